//! An answer on its way out: who does not read it in time is hung up on.
//!
//! HTTP/2 lets a client ask for answers and leave no room for them, while it keeps the connection alive. Nothing of the
//! body is asked for then, so that the body cannot end itself; what was taken of it is held for as long as the stream is.
//! So an answer is looked after from outside, until the last of its bytes is gone.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use super::connection::Peer;
use super::metrics::Lost;

/// All answers that are on their way out.
#[derive(Debug)]
pub(super) struct Sending {
    /// How long an answer may be.
    within: Duration,
    unread: Mutex<Unread>,
}

/// By number, so the oldest first.
#[derive(Debug, Default)]
struct Unread {
    number: u64,
    answers: BTreeMap<u64, (Instant, Peer)>,
}

/// The body of an answer, looked after.
struct Outbound {
    body: Body,
    owed: Arc<Owed>,
}

/// An answer that is not out yet, until it is dropped.
struct Owed {
    sending: Arc<Sending>,
    number: u64,
}

/// Bytes of an answer.
struct Held {
    data: Bytes,
    _owed: Arc<Owed>,
}

impl Sending {
    pub(super) fn new(within: Duration) -> Arc<Self> {
        Arc::new(Self { within, unread: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Unread> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn watch(self: &Arc<Self>, body: Body, peer: Peer) -> Body {
        // A refusal is all in its headers.
        if body.is_end_stream() {
            return body;
        }
        let mut unread = self.lock();
        unread.number += 1;
        let number = unread.number;
        unread.answers.insert(number, (Instant::now(), peer));
        drop(unread);
        Body::new(Outbound { body, owed: Arc::new(Owed { sending: Arc::clone(self), number }) })
    }

    /// Hangs up on those who have let an answer lie, for ever.
    pub(super) async fn hang_up(self: Arc<Self>) {
        loop {
            tokio::time::sleep(self.within / 4).await;
            while let Some(peer) = self.overdue() {
                peer.end(Lost::Unread);
            }
        }
    }

    /// Forgets the oldest answer if it is too old; gives whose it is.
    fn overdue(&self) -> Option<Peer> {
        let mut unread = self.lock();
        let oldest = unread.answers.first_entry().filter(|oldest| oldest.get().0.elapsed() > self.within)?;
        Some(oldest.remove().1)
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        // The peer goes after the lock: with it may go its seat.
        let _peer = self.sending.lock().answers.remove(&self.number);
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl http_body::Body for Outbound {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let hold = |data| Bytes::from_owner(Held { data, _owed: Arc::clone(&self.owed) });
        polled.map(|frame| frame.map(|frame| frame.map(|frame| frame.map_data(hold))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
