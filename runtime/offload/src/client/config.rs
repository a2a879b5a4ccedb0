//! What a client is told: peers, credentials, limits.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::breaker::BreakerSettings;
use super::model::ModelError;

/// Everything a client needs to know but the models.
#[derive(Clone, Debug)]
pub struct Config {
    /// Peers; the first that serves a model is asked.
    pub peers: Vec<Address>,
    /// Files for `grpcs://` peers.
    pub tls: Tls,
    /// A file with a bearer token, read again when it changes.
    pub token_file: Option<PathBuf>,
    /// Sent with every request, names in lower case.
    pub metadata: Vec<Metadatum>,
    /// Bytes of a request's message that are still sent. Peers in the field take 4 MiB and more.
    pub payload_cap: usize,
    /// How long connecting and each question of a handshake may take.
    pub handshake: Duration,
    /// How patient the client is with a peer.
    pub breaker: BreakerSettings,
    /// Seed of all waits' jitter.
    pub seed: u64,
}

impl Config {
    /// A client of these peers, without TLS files and credentials.
    pub fn new(peers: Vec<Address>) -> Self {
        Self {
            peers,
            tls: Tls::default(),
            token_file: None,
            metadata: Vec::new(),
            payload_cap: (4 << 20) - (64 << 10),
            handshake: Duration::from_secs(5),
            breaker: BreakerSettings::default(),
            seed: 0,
        }
    }
}

/// PEM files; read again whenever a connection is made.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Certificates of those who may vouch for servers.
    pub ca: Option<PathBuf>,
    /// The client's certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// One name and value of gRPC metadata. The value is a secret: it is neither shown nor logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Metadatum {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

impl fmt::Debug for Metadatum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metadatum").field("name", &self.name).finish_non_exhaustive()
    }
}

impl FromStr for Metadatum {
    type Err = NotMetadata;

    fn from_str(text: &str) -> Result<Self, NotMetadata> {
        let (name, value) =
            text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or(NotMetadata::Form)?;
        // The transport makes them lower-case.
        let lower = name.to_ascii_lowercase();
        let reserved =
            lower.starts_with("grpc-") || lower.starts_with(':') || RESERVED.contains(&lower.as_str());
        if reserved {
            return Err(NotMetadata::Reserved { name: name.to_owned() });
        }
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

/// Names that are the transport's, beside those that begin with `grpc-`.
const RESERVED: [&str; 6] = ["te", "content-type", "host", "user-agent", "connection", "transfer-encoding"];

/// Text that is no metadata.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotMetadata {
    /// No name with a value.
    #[error("expected NAME=VALUE")]
    Form,
    /// A name that means something to the transport itself.
    #[error("\"{name}\" is the transport's own")]
    Reserved {
        /// The name.
        name: String,
    },
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    secure: bool,
    /// A name, an IPv4 address or an IPv6 address without brackets.
    host: String,
    port: u16,
}

impl Address {
    /// A server without TLS.
    pub fn plain(host: impl Into<String>, port: u16) -> Self {
        Self { secure: false, host: host.into(), port }
    }

    /// A server with TLS.
    pub fn secure(host: impl Into<String>, port: u16) -> Self {
        Self { secure: true, host: host.into(), port }
    }

    /// Whether it speaks TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Host and port for connecting.
    pub fn host_and_port(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// As HTTP calls it.
    pub(super) fn uri(&self) -> String {
        format!("{}://{}", if self.secure { "https" } else { "http" }, Authority(self))
    }
}

struct Authority<'a>(&'a Address);

impl fmt::Display for Authority<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Address { host, port, .. } = self.0;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.secure { "grpcs" } else { "grpc" }, Authority(self))
    }
}

/// Text that is no server's address. What stands before an `@` may be a password and is not repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAnAddress {
    /// Neither `grpc://` nor `grpcs://`.
    #[error("expected grpc://HOST:PORT or grpcs://HOST:PORT")]
    Scheme,
    /// Credentials belong into files.
    #[error("credentials are not part of an address")]
    Credentials,
    /// No port.
    #[error("expected a port after the host, 1 to 65535: HOST:PORT")]
    Port,
    /// No host, or one with characters that no host has.
    #[error("expected the name or address of a host")]
    Host,
    /// Something after the port.
    #[error("expected nothing after the port")]
    Path,
}

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let secure = |rest| (true, rest);
        let plain = |rest| (false, rest);
        let parts = text.strip_prefix("grpcs://").map(secure).or(text.strip_prefix("grpc://").map(plain));
        let (secure, rest) = parts.ok_or(NotAnAddress::Scheme)?;
        if rest.contains('@') {
            return Err(NotAnAddress::Credentials);
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return Err(NotAnAddress::Path);
        }
        let (host, port) = rest.rsplit_once(':').ok_or(NotAnAddress::Port)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or(NotAnAddress::Port)?;
        let host = match host.strip_prefix('[') {
            Some(address) => {
                let address = address.strip_suffix(']').ok_or(NotAnAddress::Host)?;
                address.parse::<std::net::Ipv6Addr>().map_err(|_| NotAnAddress::Host)?.to_string()
            }
            None => host.to_owned(),
        };
        let odd = |c: char| !(c.is_ascii_alphanumeric() || "-._:".contains(c));
        if host.is_empty() || host.contains(odd) || (host.contains(':') && !rest.starts_with('[')) {
            return Err(NotAnAddress::Host);
        }
        Ok(Self { secure, host, port })
    }
}

/// A client that cannot be made. A peer that is not there is no such error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Nobody to ask.
    #[error("no peer is named")]
    NoPeer,
    /// Nothing to ask for.
    #[error("no model is named")]
    NoModel,
    /// More models than a client keeps apart.
    #[error("{found} models are named, a client keeps {most} apart")]
    Models {
        /// Models given.
        found: usize,
        /// The most.
        most: usize,
    },
    /// A model that no request can be made for.
    #[error("model \"{model}\" cannot be asked")]
    Model {
        /// Its name.
        model: String,
        /// Why.
        #[source]
        source: ModelError,
    },
    /// Two models for one cut.
    #[error("models \"{first}\" and \"{second}\" both begin at cut {cut}")]
    SameCut {
        /// The cut.
        cut: usize,
        /// A model.
        first: String,
        /// Another.
        second: String,
    },
    /// A TLS peer whose certificate nobody may vouch for.
    #[error("{peer} speaks TLS, but no CA file says who may vouch for it")]
    NoCa {
        /// The peer.
        peer: Address,
    },
    /// Certificates, and nobody to show them to.
    #[error("TLS files are named, but no peer speaks TLS")]
    NoTlsPeer,
    /// A file that cannot be read.
    #[error("cannot read {what} {}", path.display())]
    Read {
        /// `the CA file`, `the token file` and so on.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A file without a certificate, or with one that cannot be read.
    #[error("there is no certificate in {}", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A file without a private key, or with one that cannot be read.
    #[error("there is no private key in {}", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// Certificates or a key that are none.
    #[error("the TLS files cannot be used for {peer}")]
    Tls {
        /// The peer.
        peer: Address,
        /// Why.
        #[source]
        source: tonic::transport::Error,
    },
    /// A token that cannot be sent.
    #[error("the token in {} is empty or holds characters that cannot be sent", path.display())]
    Token {
        /// The file.
        path: PathBuf,
    },
    /// Metadata that cannot be sent.
    #[error(
        "metadata \"{name}\" cannot be sent: names are lower-case letters, digits, - _ ., values printable ASCII"
    )]
    Metadata {
        /// Its name.
        name: String,
    },
    /// The system gives no threads.
    #[error("the client's thread cannot be started")]
    Runtime {
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_survive_being_written_and_read() {
        for text in
            ["grpc://localhost:8001", "grpcs://edge-1.example:443", "grpc://[::1]:9", "grpc://10.0.0.1:1"]
        {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!("grpc://h:1/".parse(), Ok(Address::plain("h", 1)));
        assert_eq!("grpcs://[::1]:9".parse::<Address>().unwrap().uri(), "https://[::1]:9");
    }

    #[test]
    fn what_is_no_address_is_refused_by_what_is_wrong_with_it() {
        use NotAnAddress::{Credentials, Host, Path, Port, Scheme};
        let cases = [
            ("http://h:1", Scheme),
            ("h:1", Scheme),
            ("grpc://", Port),
            ("grpc://h", Port),
            ("grpc://h:0", Port),
            ("grpc://h:65536", Port),
            ("grpc://:1", Host),
            ("grpc://::1:1", Host),
            ("grpc://[::1:1", Host),
            ("grpc://[nothing]:1", Host),
            ("grpc://h h:1", Host),
            ("grpc://h:1/path", Path),
            ("grpc://name:secret@h:1", Credentials),
        ];
        for (text, expected) in cases {
            let error = text.parse::<Address>().unwrap_err();
            assert_eq!(error, expected, "{text}");
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn metadata_is_a_name_and_a_value_that_is_not_shown() {
        let found: Metadatum = "triton-grpc-protocol-key=hush=hush".parse().unwrap();
        assert_eq!((found.name.as_str(), found.value.as_str()), ("triton-grpc-protocol-key", "hush=hush"));
        assert!(!format!("{found:?}").contains("hush"));
        assert!("=v".parse::<Metadatum>().is_err() && "name".parse::<Metadatum>().is_err());
        for transports in ["grpc-timeout=1n", "Grpc-Timeout=1n", "TE=x", "Connection=close"] {
            assert!(
                matches!(transports.parse::<Metadatum>(), Err(NotMetadata::Reserved { .. })),
                "{transports}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_stops_the_process(text in ".{0,40}") {
            let _ = format!("grpc://{text}").parse::<Address>();
            let _ = text.parse::<Metadatum>();
        }
    }
}
