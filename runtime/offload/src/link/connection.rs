//! One connection through a link.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, watch};

use super::clock;
use super::control::{Mode, Shared, Signal};
use super::profile::{Direction, milliseconds};
use super::record::{Ending, Record};
use super::requests::Requests;
use super::wire::{Arriving, Load, Packet};

/// Bytes of one direction that may be on their way before the sender has to wait, as if the receiver announced such a
/// window: a receiver that does not read stops its sender.
const WINDOW: usize = 16 << 20;

/// One connection through a link.
pub(super) struct Connection {
    shared: Arc<Shared>,
    number: u64,
    wires: [mpsc::UnboundedSender<Packet>; 2],
    signal: watch::Receiver<Signal>,
    accepted: Instant,
    /// Something was lost: nothing can be delivered any more.
    dead: AtomicBool,
    /// Bytes handed on.
    handed: [AtomicU64; 2],
}

impl Connection {
    pub(super) fn new(shared: &Arc<Shared>, wires: [mpsc::UnboundedSender<Packet>; 2]) -> Self {
        let number = shared.accept();
        shared.record(&Record::Accepted { t_s: shared.seconds(), connection: number });
        let mut signal = shared.watch();
        let dead = AtomicBool::new(signal.borrow_and_update().mode == Mode::Blackhole);
        let handed = [AtomicU64::new(0), AtomicU64::new(0)];
        Self { shared: Arc::clone(shared), number, wires, signal, accepted: Instant::now(), dead, handed }
    }

    /// Carries bytes both ways until an end closes or breaks it, or the link resets it.
    pub(super) async fn serve(mut self, mut client: TcpStream, upstream: SocketAddr) {
        let mut server = None;
        let mut signal = self.signal.clone();
        let resets = signal.borrow().resets;
        let how = tokio::select! {
            biased;
            _ = signal.wait_for(|signal| signal.resets > resets) => Ending::Reset,
            ended = self.carry(&mut client, &mut server, upstream) => match ended {
                Ok(()) => Ending::Closed,
                Err(_) => Ending::Broken,
            },
        };
        if how != Ending::Closed {
            // Where this is refused the end is closed instead, which is the next best.
            let _ = client.set_zero_linger();
            let _ = server.as_ref().map(TcpStream::set_zero_linger);
        }
        self.shared.state().counters.resets += u64::from(how == Ending::Reset);
        let [up_bytes, down_bytes] = self.handed.each_mut().map(|bytes| *bytes.get_mut());
        let t_s = self.shared.seconds();
        self.shared.record(&Record::Ended { t_s, connection: self.number, how, up_bytes, down_bytes });
    }

    async fn carry(
        &self,
        client: &mut TcpStream,
        server: &mut Option<TcpStream>,
        upstream: SocketAddr,
    ) -> io::Result<()> {
        if self.dead.load(Ordering::Relaxed) {
            return std::future::pending().await;
        }
        let delay = |direction| milliseconds(self.shared.shape(direction).delay_ms);
        // Setting a connection up takes a round trip, before which a client sends nothing.
        let ready = self.accepted + delay(Direction::Up) + delay(Direction::Down);
        let server = match TcpStream::connect(upstream).await {
            Ok(stream) => server.insert(stream),
            Err(absent) => {
                clock::sleep_until(ready).await;
                return Err(absent);
            }
        };
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let up = self.flow(Direction::Up, from_client, to_server, ready);
        let down = self.flow(Direction::Down, from_server, to_client, ready);
        tokio::try_join!(up, down).map(|_| ())
    }

    /// One direction, from end to end.
    async fn flow(
        &self,
        direction: Direction,
        from: impl AsyncRead + Unpin,
        to: impl AsyncWrite + Unpin,
        ready: Instant,
    ) -> io::Result<()> {
        let window = Semaphore::new(WINDOW);
        let (far, arriving) = mpsc::unbounded_channel();
        let departure = self.depart(direction, from, far, &window, ready);
        let arrival = self.arrive(direction, to, arriving, &window);
        tokio::try_join!(departure, arrival).map(|_| ())
    }

    async fn depart(
        &self,
        direction: Direction,
        mut from: impl AsyncRead + Unpin,
        to: mpsc::UnboundedSender<Arriving>,
        window: &Semaphore,
        ready: Instant,
    ) -> io::Result<()> {
        let mut requests = Requests::new();
        let mut buffer = BytesMut::new();
        let queue = |load: Load| {
            self.shared.enqueue(direction, load.len());
            let packet = Packet { at: ready.max(Instant::now()), load, to: to.clone() };
            // Without the wire the link is ending, and this connection with it.
            let _ = self.wires[direction as usize].send(packet);
        };
        loop {
            self.shared.room(direction).await;
            let chunk = self.shared.chunk(direction);
            buffer.reserve(chunk);
            let read = from.read_buf(&mut (&mut buffer).limit(chunk)).await;
            match read {
                Ok(0) => {
                    queue(Load::End);
                    return Ok(());
                }
                Ok(_) => {}
                // That an end is gone does not come through either.
                Err(_) if self.is_lost() => return std::future::pending().await,
                Err(broken) => return Err(broken),
            }
            while !buffer.is_empty() {
                let (passed, events) = match direction {
                    Direction::Up => self.shared.take(&mut requests, &buffer),
                    Direction::Down => (buffer.len(), Vec::new()),
                };
                let permits = u32::try_from(passed).unwrap_or(u32::MAX);
                if let Ok(taken) = window.acquire_many(permits).await {
                    taken.forget();
                }
                queue(Load::Bytes(buffer.split_to(passed).freeze()));
                if !events.is_empty() {
                    queue(Load::Events(events));
                }
            }
        }
    }

    async fn arrive(
        &self,
        direction: Direction,
        mut to: impl AsyncWrite + Unpin,
        mut arriving: mpsc::UnboundedReceiver<Arriving>,
        window: &Semaphore,
    ) -> io::Result<()> {
        while let Some(Arriving { at, load }) = arriving.recv().await {
            clock::sleep_until(at).await;
            if let Load::Events(events) = load {
                events.into_iter().for_each(|event| self.shared.apply(event));
                // A reset is seen before what has arrived behind it is handed on.
                tokio::task::yield_now().await;
                continue;
            }
            if self.is_lost() {
                self.shared.state().counters.direction(direction).lost_bytes += load.len() as u64;
                window.add_permits(load.len());
                continue;
            }
            match load {
                Load::Bytes(bytes) => {
                    to.write_all(&bytes).await?;
                    window.add_permits(bytes.len());
                    self.handed[direction as usize].fetch_add(bytes.len() as u64, Ordering::Relaxed);
                    self.shared.state().counters.direction(direction).bytes += bytes.len() as u64;
                }
                Load::End => {
                    to.shutdown().await?;
                    return Ok(());
                }
                Load::Events(_) => {}
            }
        }
        // Nobody can send any more: what was lost was the end.
        std::future::pending().await
    }

    /// Whether what arrives now is lost, and with it all that follows.
    fn is_lost(&self) -> bool {
        if self.shared.mode() == Mode::Blackhole {
            self.dead.store(true, Ordering::Relaxed);
        }
        self.dead.load(Ordering::Relaxed)
    }
}
