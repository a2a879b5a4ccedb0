//! Sockets that connections come to.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{Sleep, sleep};
use tonic::codegen::tokio_stream::Stream;
use tracing::{debug, warn};

use super::ServeError;
use super::connection::{Connection, Seats};

/// How long accepting rests when the system has no room for connections.
const REST: Duration = Duration::from_millis(50);

/// A socket and its address.
pub(super) struct Listening {
    socket: std::net::TcpListener,
    pub(super) address: SocketAddr,
}

impl Listening {
    pub(super) fn bind(address: SocketAddr) -> Result<Self, ServeError> {
        let bind = || {
            let socket = std::net::TcpListener::bind(address)?;
            socket.set_nonblocking(true)?;
            Ok(Self { address: socket.local_addr()?, socket })
        };
        bind().map_err(|source| ServeError::Listen { address, source })
    }

    /// Must be called within a tokio runtime.
    pub(super) fn listen(self, seats: Arc<Seats>, introduction: Duration) -> Result<Listener, ServeError> {
        let Self { socket, address } = self;
        let tcp = TcpListener::from_std(socket).map_err(|source| ServeError::Listen { address, source })?;
        Ok(Listener { tcp, seats, introduction, rest: None, refused: false })
    }
}

/// Accepts connections.
pub(super) struct Listener {
    tcp: TcpListener,
    seats: Arc<Seats>,
    introduction: Duration,
    rest: Option<Pin<Box<Sleep>>>,
    /// Whether the system had no room the last time.
    refused: bool,
}

impl Stream for Listener {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(rest) = &mut self.rest {
                ready!(rest.as_mut().poll(context));
                self.rest = None;
            }
            match ready!(self.tcp.poll_accept(context)) {
                Ok((tcp, address)) => {
                    self.refused = false;
                    let Some(connection) = Connection::new(tcp, address, &self.seats, self.introduction)
                    else {
                        debug!(%address, "connection closed: no room");
                        continue;
                    };
                    return Poll::Ready(Some(Ok(connection)));
                }
                Err(error) => {
                    // Once, however long it lasts.
                    if !std::mem::replace(&mut self.refused, true) {
                        warn!(%error, "cannot accept connections");
                    }
                    self.rest = Some(Box::pin(sleep(REST)));
                }
            }
        }
    }
}
