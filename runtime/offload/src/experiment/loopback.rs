//! A server in this process.

use std::net::SocketAddr;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::ExperimentError;
use crate::server::Server;

/// A server that answers from a thread of this process until it is dropped.
pub struct Loopback {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Loopback {
    /// Lets `server` answer.
    ///
    /// # Errors
    /// `Runtime` when its thread cannot be started.
    pub fn start(server: Server) -> Result<Self, ExperimentError> {
        let address = server.local_addr();
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            if let Err(error) = server.run(async { drop(stopped.await) }) {
                tracing::error!(error = %error, "the server has ended");
            }
        };
        let thread = std::thread::Builder::new().name("server".to_owned()).spawn(serve);
        let thread = thread.map_err(ExperimentError::Runtime)?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic on that thread was told already.
            let _ended = thread.join();
        }
    }
}
