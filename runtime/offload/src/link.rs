//! A link between client and server, emulated in user space.
//!
//! A [`Link`] listens on loopback and hands every byte on to a server, as late as a [`Profile`] says: per direction a rate,
//! a delay, jitter and a bounded queue, shared by all connections as a real link is. A script of [`Event`]s, or a
//! [`Control`] in the hand of a test, changes it while it runs. What it did is told as [`Record`]s, which are a script again.
//!
//! Rates count the bytes that TCP carries, without headers. A connection's first bytes wait for one round trip, as its
//! set-up would. Loss, retransmission and congestion control are not emulated: TCP hides loss behind waiting, and
//! [`Change::Stall`] is that waiting. A server that is not there is seen as a connection that is reset, not refused.

mod clock;
mod connection;
mod control;
mod error;
mod event;
mod jitter;
mod profile;
mod record;
mod requests;
mod wire;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use connection::Connection;
pub use control::{Control, Counters, DirectionCounters};
use control::{Mode, Shared};
pub use error::{EventError, LinkError, ProfileError};
pub use event::{Change, Event, When};
pub use profile::{Direction, Profile, Shape};
pub use record::{Ending, Record};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// An emulated link, as long as it is held.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    control: Control,
    task: AbortHandle,
}

impl Link {
    /// Listens on a free port of 127.0.0.1 and hands on to `upstream`. Time begins with the first connection; every record is
    /// given to `record` as it comes.
    ///
    /// # Errors
    /// `Profile` for a profile out of range, `Listen` when there is no port to be had.
    pub fn start(
        profile: &Profile,
        upstream: SocketAddr,
        runtime: &Handle,
        record: impl FnMut(&Record) + Send + 'static,
    ) -> Result<Self, LinkError> {
        profile.check()?;
        let _guard = runtime.enter();
        let door = Door::new().map_err(LinkError::Listen)?;
        let listener = door.open().map_err(LinkError::Listen)?;
        let shared = Arc::new(Shared::new(profile, Box::new(record)));
        let address = door.address;
        let task = runtime.spawn(run(Arc::clone(&shared), door, listener, upstream)).abort_handle();
        Ok(Self { address, control: Control(shared), task })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What changes the link while it runs.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// What has passed so far.
    pub fn counters(&self) -> Counters {
        self.control.counters()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A port that stays the link's own while connections to it are refused.
struct Door {
    address: SocketAddr,
    /// Bound, never listening: nobody else is given the port.
    _bolt: TcpSocket,
}

impl Door {
    fn new() -> std::io::Result<Self> {
        let bolt = socket()?;
        bolt.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        Ok(Self { address: bolt.local_addr()?, _bolt: bolt })
    }

    fn open(&self) -> std::io::Result<TcpListener> {
        let socket = socket()?;
        socket.bind(self.address)?;
        socket.listen(BACKLOG)
    }
}

fn socket() -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    Ok(socket)
}

/// The link's life: the two wires, the clock of its script, the door, and every connection.
async fn run(shared: Arc<Shared>, door: Door, listener: TcpListener, upstream: SocketAddr) {
    let mut tasks = JoinSet::new();
    let wires = [Direction::Up, Direction::Down].map(|direction| {
        let (queue, packets) = mpsc::unbounded_channel();
        tasks.spawn(wire::run(Arc::clone(&shared), direction, packets));
        queue
    });
    tasks.spawn(control::play(Arc::clone(&shared)));
    let mut signal = shared.watch();
    let mut listener = Some(listener);
    loop {
        if signal.borrow_and_update().mode == Mode::Refuse {
            listener = None;
        } else if listener.is_none() {
            listener = door.open().ok();
        }
        let Some(open) = &listener else {
            if signal.changed().await.is_err() {
                return;
            }
            continue;
        };
        tokio::select! {
            changed = signal.changed() => if changed.is_err() { return },
            accepted = open.accept() => {
                let Ok((client, _)) = accepted else {
                    // Too many open files, mostly: some will be closed.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                let connection = Connection::new(&shared, wires.clone());
                tasks.spawn(connection.serve(client, upstream));
            }
            Some(_) = tasks.join_next() => {}
        }
    }
}
