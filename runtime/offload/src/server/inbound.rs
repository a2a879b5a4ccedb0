//! A message on its way in: not too long, not too slow, not too many at once.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Sleep, sleep};
use tonic::Status;
use tonic::body::Body;

use super::config::Admission;
use super::metrics::{Metrics, Turned};
use super::refusal::Refusal;

/// All messages that are on their way in.
#[derive(Debug)]
pub(super) struct Receiving {
    admission: Admission,
    metrics: Arc<Metrics>,
    bytes: AtomicUsize,
}

/// The body of a request, watched.
pub(super) struct Inbound {
    body: Body,
    receiving: Arc<Receiving>,
    late: Pin<Box<Sleep>>,
    prefix: Prefix,
    /// Bytes that have come.
    held: usize,
}

/// What comes before a message: whether it is compressed, and its length. Source: gRPC over HTTP/2.
#[derive(Debug, Default)]
struct Prefix {
    bytes: [u8; 5],
    filled: usize,
}

impl Receiving {
    pub(super) fn new(admission: Admission, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { admission, metrics, bytes: AtomicUsize::new(0) })
    }

    pub(super) fn watch(self: &Arc<Self>, body: Body) -> Body {
        // A request without a message has nothing to watch.
        if body.is_end_stream() {
            return body;
        }
        let late = Box::pin(sleep(self.admission.message));
        Body::new(Inbound { body, receiving: Arc::clone(self), late, prefix: Prefix::default(), held: 0 })
    }

    fn refuse(&self, turned: Turned, refusal: Refusal) -> Status {
        self.metrics.turn_away(turned);
        refusal.into()
    }
}

impl Inbound {
    fn check(&mut self, data: &Bytes) -> Result<(), Status> {
        let receiving = &self.receiving;
        let most = receiving.admission.message_bytes;
        if let Some(found) = self.prefix.length(data).filter(|length| *length > most) {
            return Err(receiving.refuse(Turned::TooLarge, Refusal::TooLarge { most, found }));
        }
        self.held += data.len();
        let all = receiving.bytes.fetch_add(data.len(), Ordering::Relaxed) + data.len();
        if all > receiving.admission.receiving_bytes {
            let most = receiving.admission.receiving_bytes;
            return Err(receiving.refuse(Turned::NoRoom, Refusal::NoRoom { most }));
        }
        Ok(())
    }
}

impl Prefix {
    /// The message's length, once all of the prefix has come.
    fn length(&mut self, mut data: &[u8]) -> Option<usize> {
        if self.filled < self.bytes.len() {
            let taken = data.len().min(self.bytes.len() - self.filled);
            data.copy_to_slice(&mut self.bytes[self.filled..self.filled + taken]);
            self.filled += taken;
        }
        let [_, length @ ..] = self.bytes;
        (self.filled == self.bytes.len()).then(|| u32::from_be_bytes(length) as usize)
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        self.receiving.bytes.fetch_sub(self.held, Ordering::Relaxed);
    }
}

impl http_body::Body for Inbound {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.late.as_mut().poll(context).is_ready() {
            let within = self.receiving.admission.message;
            let refusal = Refusal::TooSlow { within };
            return Poll::Ready(Some(Err(self.receiving.refuse(Turned::TooSlow, refusal))));
        }
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
            && let Err(status) = self.check(data)
        {
            return Poll::Ready(Some(Err(status)));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_may_come_in_pieces() {
        let mut prefix = Prefix::default();
        assert_eq!(prefix.length(&[1, 0]), None);
        assert_eq!(prefix.length(&[]), None);
        assert_eq!(prefix.length(&[1, 2, 3, 9, 9]), Some(0x01_02_03));
        assert_eq!(prefix.length(&[255; 8]), Some(0x01_02_03));
        assert_eq!(Prefix::default().length(&[0, 255, 255, 255, 255]), Some(u32::MAX as usize));
    }
}
