//! Connections: a bounded number, and none that stays without bringing a request.
//!
//! Who connects has a while to bring a first request that is let in. Where no seat is free, the oldest connection that has
//! not done so yet makes room; where all have, the new one is closed. So a flood of connections costs others nothing
//! but the time between theirs and their first request.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};
use tonic::transport::server::Connected;
use tracing::{debug, info};

use super::metrics::{Lost, Metrics};
use super::seldom::Seldom;

/// All open connections.
#[derive(Debug)]
pub(super) struct Seats {
    most: usize,
    /// Those that left without a request.
    strangers: Seldom,
    metrics: Arc<Metrics>,
    taken: Mutex<Taken>,
}

/// Senders end their connections.
#[derive(Debug, Default)]
struct Taken {
    number: u64,
    new: BTreeMap<u64, oneshot::Sender<Lost>>,
    introduced: HashMap<u64, oneshot::Sender<Lost>>,
}

/// One of the seats; free again when dropped.
#[derive(Debug)]
struct Seat {
    seats: Arc<Seats>,
    number: u64,
    introduced: AtomicBool,
}

/// Whose request it is; an extension of every request.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    seat: Arc<Seat>,
}

/// A connection that can be ended from outside.
pub(super) struct Connection {
    /// `None` once it is dropped.
    tcp: Option<TcpStream>,
    peer: Peer,
    /// `None` once it has come.
    end: Option<oneshot::Receiver<Lost>>,
    introduction: Option<Pin<Box<Sleep>>>,
}

impl Seats {
    pub(super) fn new(most: usize, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { most, strangers: Seldom::default(), metrics, taken: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(self: &Arc<Self>) -> Option<(Seat, oneshot::Receiver<Lost>)> {
        let mut taken = self.lock();
        if taken.new.len() + taken.introduced.len() >= self.most {
            let Some((_, oldest)) = taken.new.pop_first() else {
                drop(taken);
                self.metrics.lose(Lost::NoRoom);
                return None;
            };
            // It may be about to end by itself.
            let _ended = oldest.send(Lost::Displaced);
        }
        taken.number += 1;
        let (number, (sender, end)) = (taken.number, oneshot::channel());
        taken.new.insert(number, sender);
        drop(taken);
        self.metrics.connections.inc();
        let seat = Seat { seats: Arc::clone(self), number, introduced: AtomicBool::new(false) };
        Some((seat, end))
    }

    /// Ends all connections.
    pub(super) fn clear(&self) {
        let mut taken = self.lock();
        taken.new.clear();
        taken.introduced.clear();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        taken.new.remove(&self.number);
        taken.introduced.remove(&self.number);
        drop(taken);
        self.seats.metrics.connections.dec();
    }
}

impl Peer {
    /// The connection has brought a request that was let in, and stays.
    pub(super) fn introduce(&self) {
        if self.seat.introduced.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut taken = self.seat.seats.lock();
        if let Some(sender) = taken.new.remove(&self.seat.number) {
            taken.introduced.insert(self.seat.number, sender);
        }
    }

    /// Ends the connection.
    pub(super) fn end(&self, reason: Lost) {
        let sender = self.seat.seats.lock().introduced.remove(&self.seat.number);
        if let Some(sender) = sender {
            // It may be about to end by itself.
            let _ended = sender.send(reason);
        }
    }
}

impl Connection {
    /// Gives `tcp` a seat. `None`: there is none.
    pub(super) fn new(
        tcp: TcpStream,
        address: SocketAddr,
        seats: &Arc<Seats>,
        introduction: Duration,
    ) -> Option<Self> {
        let (seat, end) = seats.take()?;
        // Small answers must not wait for more.
        let _slower = tcp.set_nodelay(true);
        let peer = Peer { address, seat: Arc::new(seat) };
        Some(Self { tcp: Some(tcp), peer, end: Some(end), introduction: Some(Box::pin(sleep(introduction))) })
    }

    fn tcp(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.tcp.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Fails when the connection is to end.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let Some(end) = &mut self.end else { return Err(io::ErrorKind::ConnectionAborted.into()) };
        if let Poll::Ready(reason) = Pin::new(end).poll(context) {
            self.end = None;
            return Err(self.lose(reason.ok(), io::ErrorKind::ConnectionAborted));
        }
        let Some(introduction) = &mut self.introduction else { return Ok(()) };
        let introduced = self.peer.seat.introduced.load(Ordering::Relaxed);
        if !introduced && introduction.as_mut().poll(context).is_pending() {
            return Ok(());
        }
        self.introduction = None;
        if introduced {
            return Ok(());
        }
        self.end = None;
        Err(self.lose(Some(Lost::TooSlow), io::ErrorKind::TimedOut))
    }

    fn lose(&self, reason: Option<Lost>, kind: io::ErrorKind) -> io::Error {
        if let Some(reason) = reason {
            self.peer.seat.seats.metrics.lose(reason);
            debug!(address = %self.peer.address, ?reason, "connection closed");
        }
        kind.into()
    }
}

/// How long, and for how many bytes, a connection that the server has turned away is listened to.
const LINGER: (Duration, u64) = (Duration::from_secs(1), 256 << 10);

impl Drop for Connection {
    /// Who is turned away in the handshake has mostly sent more by then. Closed with bytes unread, a connection is reset, and the
    /// reason that was sent before is lost on the way: so the rest is read first.
    fn drop(&mut self) {
        if self.peer.seat.introduced.load(Ordering::Relaxed) {
            return;
        }
        if let Some(connections) = self.peer.seat.seats.strangers.tell() {
            let (address, why) = (self.peer.address, "TLS or a token kept it out, or it only looked");
            info!(%address, connections, why, "connection ended before a request was let in");
        }
        if let (Some(tcp), Some(end), Ok(runtime)) = (self.tcp.take(), self.end.take(), Handle::try_current())
        {
            runtime.spawn(linger(tcp, end, self.peer.clone()));
        }
    }
}

async fn linger(mut tcp: TcpStream, end: oneshot::Receiver<Lost>, _seat: Peer) {
    let rest = async {
        // It may be gone.
        let _closed = tcp.shutdown().await;
        let _read = tokio::io::copy(&mut tcp.take(LINGER.1), &mut tokio::io::sink()).await;
    };
    tokio::select! {
        () = rest => {}
        _ = end => {}
        () = sleep(LINGER.0) => {}
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        self.tcp()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        self.tcp()?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        self.tcp()?.poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp()?.poll_shutdown(context)
    }
}
