//! How a server is set up.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Addresses, secrets, limits.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where requests come in; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where Prometheus reads `/metrics`, over plain HTTP.
    pub metrics: Option<SocketAddr>,
    /// Certificates; without them nothing is encrypted.
    pub tls: Option<TlsFiles>,
    /// A file of tokens, one a line, any of which lets a request in; read again when it changes. Without it everybody is
    /// let in.
    pub tokens: Option<PathBuf>,
    /// How requests are run together.
    pub batching: Batching,
    /// What one client can take from the others.
    pub admission: Admission,
    /// How long requests under way may take to finish when the server is told to end.
    pub drain: Duration,
}

/// PEM files.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The server's certificate, and those between it and the authority that clients know.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authority that must have signed a client's certificate; without it clients need none.
    pub client_authority: Option<PathBuf>,
}

impl fmt::Display for TlsFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { certificate, key, client_authority } = self;
        write!(f, "certificate {} with key {}", certificate.display(), key.display())?;
        match client_authority {
            Some(authority) => write!(f, " and client authority {}", authority.display()),
            None => Ok(()),
        }
    }
}

/// How requests of one model are run together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    /// Images in a batch, and in one request; at least 1.
    pub images: usize,
    /// How long an idle model waits for company of a request.
    pub delay: Duration,
    /// Requests that wait, by model; those beyond are refused at once.
    pub waiting: usize,
}

/// What one client can take from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Bytes of a message.
    pub message_bytes: usize,
    /// Bytes of all messages that are on their way in.
    pub receiving_bytes: usize,
    /// Connections at once.
    pub connections: usize,
    /// Requests at once on one connection.
    pub streams: u32,
    /// How long a new connection may take to bring a first request that is let in, handshakes included.
    pub introduction: Duration,
    /// How long a message may be on its way, in or out.
    pub message: Duration,
    /// How long a request without a deadline of its own is good for.
    pub deadline: Duration,
}

impl Config {
    /// Without encryption and tokens, with the limits' defaults.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            metrics: None,
            tls: None,
            tokens: None,
            batching: Batching::default(),
            admission: Admission::default(),
            drain: Duration::from_secs(10),
        }
    }
}

impl Admission {
    /// Messages of up to `bytes`, and room for at least four of them on their way in.
    #[must_use]
    pub fn with_messages_of(self, bytes: usize) -> Self {
        let receiving_bytes = self.receiving_bytes.max(bytes.saturating_mul(4));
        Self { message_bytes: bytes, receiving_bytes, ..self }
    }
}

impl Default for Batching {
    fn default() -> Self {
        Self { images: 32, delay: Duration::from_micros(500), waiting: 64 }
    }
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            message_bytes: 4 << 20,
            receiving_bytes: 256 << 20,
            connections: 1024,
            streams: 128,
            introduction: Duration::from_secs(10),
            message: Duration::from_secs(10),
            deadline: Duration::from_secs(30),
        }
    }
}
