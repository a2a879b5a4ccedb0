//! `offramp serve`: the rest of a network, for devices that ask.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use offramp_models::{Bundle, Wire};
use offramp_offload::server::{Admission, Batching, Config, Model, ModelError, Server, TlsFiles};
use offramp_runtime::backend::Backend;
use serde_json::json;
use tracing::{info, warn};

use crate::backends::{BackendFlags, Candidate};
use crate::logs::LogFlags;
use crate::status::{Status, hint, tail_refused_by_backend};
use crate::{interrupt, output, quantities};

/// Answer devices that send what crosses a cut, over the Open Inference Protocol
#[derive(Args)]
#[command(after_help = "Examples:\n  offramp serve network.bundle\n  \
                  offramp serve network.bundle --listen 0.0.0.0:8001 --tls-cert s.pem --tls-key s.key --client-ca c.pem\n  \
                  offramp serve a.bundle b.bundle --listen 127.0.0.1:0 --metrics-listen 127.0.0.1:9100 --json\n\n\
                  SIGTERM and Ctrl-C refuse new requests, finish those under way and end with status 0; a second one ends at once.")]
pub struct Serve {
    /// Bundles with tails, folders that `split --tails` wrote
    #[arg(required = true, value_name = "BUNDLE")]
    bundles: Vec<PathBuf>,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8001", value_parser = quantities::address)]
    listen: SocketAddr,
    /// Where Prometheus reads /metrics, over plain HTTP [default: nowhere]
    #[arg(long, value_name = "HOST:PORT", value_parser = quantities::address)]
    metrics_listen: Option<SocketAddr>,
    /// Serve tails of this wire form only: f32 or u8 [default: all]
    #[arg(long, value_name = "FORM")]
    wire: Option<Wire>,
    /// Print one JSON object on one line when ready
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: AccessFlags,
    #[command(flatten)]
    limits: LimitFlags,
    #[command(flatten)]
    backend: BackendFlags,
    #[command(flatten)]
    logs: LogFlags,
}

/// Who is let in.
#[derive(Args)]
#[command(next_help_heading = "Access")]
struct AccessFlags {
    /// The server's certificate, PEM, with those between it and the authority that clients know
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Let in only clients with a certificate of this authority, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    client_ca: Option<PathBuf>,
    /// Let in only requests with a bearer token of this file, one token a line; it is read again when it changes
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// What is taken at once.
#[derive(Args)]
#[command(next_help_heading = "Limits")]
struct LimitFlags {
    /// Images that run together, and images in one request, 1 to 1024
    #[arg(long, value_name = "N", default_value = "32", value_parser = clap::value_parser!(u16).range(1..=1024))]
    max_batch: u16,
    /// Microseconds that an idle model waits for company of a request
    #[arg(long, value_name = "N", default_value = "500", value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    max_delay_us: u32,
    /// Requests that wait, by tail; those beyond are refused at once
    #[arg(long, value_name = "N", default_value = "64", value_parser = quantities::count)]
    queue: NonZeroUsize,
    /// Bytes of one message, at most 1 GiB
    #[arg(long, value_name = "BYTES", default_value = "4194304", value_parser = clap::value_parser!(u32).range(1024..=1 << 30))]
    max_message: u32,
    /// Seconds that requests under way may take when the server is told to end
    #[arg(long, value_name = "S", default_value = "10", value_parser = clap::value_parser!(u16).range(..=3600))]
    drain_seconds: u16,
}

impl Serve {
    pub fn run(self) -> anyhow::Result<Status> {
        self.logs.install();
        allow_open_files();
        let (config, json) = (self.config(), self.json);
        let bundles = self.bundles.iter().map(Bundle::open).collect::<Result<Vec<_>, _>>()?;
        bundles.iter().try_for_each(|bundle| has_tails(bundle, self.wire))?;
        let (models, candidate) = prepare(&bundles, self.wire, &self.backend)?;
        let backend = candidate.backend.describe();
        info!(
            backend = backend.name,
            provider = backend.provider,
            version = backend.version,
            why = candidate.why
        );
        let server = Server::bind(config.clone(), models)?;
        let address = server.local_addr();
        warn_of_what_is_open(&config, address);
        let (stop, stopped) = tokio::sync::oneshot::channel();
        interrupt::instead(move || {
            // Fails when the server has ended by itself.
            let _ended = stop.send(());
        });
        let names: Vec<&str> = server.models().collect();
        if json {
            output::json_line(&json!({
                "schema_version": 1, "listening": address, "models": names, "backend": backend,
                "metrics": server.metrics_addr(), "tls": config.tls.is_some(), "tokens": config.tokens.is_some(),
                "client_certificates": config.tls.as_ref().is_some_and(|tls| tls.client_authority.is_some()),
            }))?;
        } else {
            output::text(format!("listening on {address}\n  {}", names.join("\n  ")))?;
        }
        let drained = server.run(async { drop(stopped.await) })?;
        if drained.unanswered > 0 {
            warn!(unanswered = drained.unanswered, "--drain-seconds were not enough");
        }
        Ok(Status::Done)
    }

    fn config(&self) -> Config {
        let AccessFlags { tls_cert, tls_key, client_ca, token_file } = &self.access;
        let tls = tls_cert.clone().zip(tls_key.clone()).map(|(certificate, key)| TlsFiles {
            certificate,
            key,
            client_authority: client_ca.clone(),
        });
        let limits = &self.limits;
        Config {
            listen: self.listen,
            metrics: self.metrics_listen,
            tls,
            tokens: token_file.clone(),
            batching: Batching {
                images: usize::from(limits.max_batch),
                delay: Duration::from_micros(limits.max_delay_us.into()),
                waiting: limits.queue.get(),
            },
            admission: Admission::default().with_messages_of(limits.max_message as usize),
            drain: Duration::from_secs(limits.drain_seconds.into()),
        }
    }
}

/// The tails of `bundles`, those of one wire form or all, on the first backend that can run them.
///
/// # Errors
/// When tails were changed or no backend runs them.
pub fn prepare(
    bundles: &[Bundle],
    wire: Option<Wire>,
    flags: &BackendFlags,
) -> anyhow::Result<(Vec<Model>, Candidate)> {
    let threads = flags.thread_count();
    let prepare = |backend: &dyn Backend| {
        let tails = bundles.iter().map(|bundle| Model::tails(bundle, wire, backend, threads));
        Ok::<_, ModelError>(tails.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    };
    Ok(flags.candidates(None)?.first_that_runs(tail_refused_by_backend, prepare)?)
}

/// Refuses a bundle that a server would have nothing of.
fn has_tails(bundle: &Bundle, wire: Option<Wire>) -> anyhow::Result<()> {
    let tails = bundle.tails()?;
    if tails.iter().any(|tail| wire.is_none_or(|wire| tail.wire == wire)) {
        return Ok(());
    }
    let folder = bundle.dir().display();
    Err(match wire.filter(|_| !tails.is_empty()) {
        Some(wire) => {
            let found: BTreeSet<String> = tails.iter().map(|tail| tail.wire.to_string()).collect();
            let found = found.into_iter().collect::<Vec<_>>().join(", ");
            hint(anyhow::anyhow!("{folder} has no {wire} tails"), format!("--wire: its tails are {found}"))
        }
        None => hint(anyhow::anyhow!("{folder} has no tails"), "`offramp split --tails` writes them"),
    })
}

/// Lets this process have as many files open as it may ask for: a connection is one.
#[cfg(unix)]
fn allow_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // The server makes do with less, and says so.
    let _refused = setrlimit(Resource::Nofile, limit);
}

#[cfg(not(unix))]
fn allow_open_files() {}

/// Says what somebody on the network could do.
fn warn_of_what_is_open(config: &Config, address: SocketAddr) {
    let certificates = config.tls.as_ref().is_some_and(|tls| tls.client_authority.is_some());
    let reach = if address.ip().is_loopback() { "this machine" } else { "the network" };
    if config.tls.is_none() {
        let tokens = if config.tokens.is_some() { "tokens, " } else { "" };
        warn!(
            "no TLS: whoever listens in on {reach} reads {tokens}images and answers (--tls-cert, --tls-key)"
        );
    }
    if config.tokens.is_none() && !certificates {
        warn!(
            "no token and no client certificates: everybody on {reach} is let in (--token-file, --client-ca)"
        );
    }
    info!(%address, "listening");
}
