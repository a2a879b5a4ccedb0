//! Why there is no server.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use offramp_runtime::backend::RunError;

use super::config::TlsFiles;
use super::tokens::TokenError;

/// A server that cannot start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// There is nothing to serve.
    #[error("no model to serve")]
    NoModels,
    /// Two models of one name.
    #[error("two models are called \"{model}\"")]
    Twice {
        /// The name.
        model: String,
    },
    /// A model cannot be wired or run.
    #[error("model \"{model}\" does not run")]
    Model {
        /// The model's name.
        model: String,
        /// Why.
        source: RunError,
    },
    /// A model's thread cannot be started, or broke down when it ran the model first.
    #[error("the thread of model \"{model}\" does not run")]
    Thread {
        /// The model's name.
        model: String,
        /// Why, unless it broke down.
        source: Option<io::Error>,
    },
    /// A certificate or key cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file without what it is there for.
    #[error("there is no {what} in {}, or none that can be read", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// `certificate` or `private key`.
        what: &'static str,
    },
    /// Certificate, key and authority do not go together, or hold what nobody can check.
    #[error("{files} cannot be used")]
    Tls {
        /// The files.
        files: TlsFiles,
        /// Why.
        source: tonic::transport::Error,
    },
    /// The file of tokens cannot be used.
    #[error(transparent)]
    Tokens(#[from] TokenError),
    /// The asynchronous runtime cannot be started.
    #[error("cannot start the network's threads")]
    Runtime(#[source] io::Error),
    /// The transport failed.
    #[error("the server ended by itself")]
    Transport(#[source] Option<tonic::transport::Error>),
}
