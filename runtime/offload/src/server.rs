//! The part of a network after a cut, for devices that ask.
//!
//! A [`Server`] speaks the Open Inference Protocol. It runs whole batches to the end and keeps nothing of them: what is
//! asked, of whom and when is the client's policy. The network's work is done on tokio's threads, a model's on one thread
//! of its own, with the device's backends; between the two lies a queue per model.
//!
//! | step | where |
//! |---|---|
//! | accept, make room, close who brings nothing | `listener`, `connection` |
//! | token, deadline, size of the message | `gate`, `inbound` |
//! | model, tensors, shapes, bytes | `service`, `request` |
//! | wait, earliest deadline first | `queue` |
//! | run together, answer | `worker`, `engine` |
//! | hang up on who does not read | `outbound` |

mod config;
mod connection;
mod contents;
mod engine;
mod error;
mod gate;
mod health;
mod inbound;
mod listener;
mod metrics;
mod model;
mod outbound;
mod pace;
mod queue;
mod refusal;
mod request;
mod room;
mod scrape;
mod seldom;
mod service;
mod tls;
mod tokens;
mod worker;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offramp_models::Causes;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout_at;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;
use tonic::transport::ServerTlsConfig;
use tonic_health::ServingStatus;
use tracing::{info, warn};

pub use config::{Admission, Batching, Config, TlsFiles};
pub use error::ServeError;
pub use model::{Model, ModelError, Signature};
pub use tokens::TokenError;

use crate::oip::grpc_inference_service_server::GrpcInferenceServiceServer;
use connection::Seats;
use gate::Gate;
use health::Health;
use inbound::Receiving;
use listener::{Listener, Listening};
use metrics::Metrics;
use outbound::Sending;
use queue::Limits;
use scrape::Scrape;
use service::Models;
use tokens::Tokens;
use worker::{Ended, Worker};

/// How often a file of tokens is looked at.
const REFRESH: Duration = Duration::from_secs(1);
/// How often draining looks whether it is done.
const TICK: Duration = Duration::from_millis(5);
/// For how long health says that the server leaves before it looks whether it may, at most.
const ANNOUNCED: Duration = Duration::from_secs(1);
/// How often models are looked at.
const WATCH: Duration = Duration::from_millis(200);
/// Silence after which a client is asked whether it is still there, and how long it may take to say so.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));
/// Connections that may read metrics at once.
const SCRAPERS: usize = 16;

/// A server that listens, with its models ready to run.
pub struct Server {
    config: Config,
    inference: Listening,
    scraping: Option<Listening>,
    tls: Option<ServerTlsConfig>,
    tokens: Option<Arc<Tokens>>,
    models: Arc<Models>,
    metrics: Arc<Metrics>,
    ended: Vec<Ended>,
}

/// What draining came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Requests that were under way and got no answer within the time for it.
    pub unanswered: usize,
}

impl Server {
    /// Takes the addresses, reads secrets, starts a thread per model and runs each of them once. Connections are
    /// answered from [`Server::serve_until`] on.
    ///
    /// # Errors
    /// [`ServeError`], before anybody has been answered.
    pub fn bind(config: Config, models: Vec<Model>) -> Result<Self, ServeError> {
        if models.is_empty() {
            return Err(ServeError::NoModels);
        }
        let inference = Listening::bind(config.listen)?;
        let scraping = config.metrics.map(Listening::bind).transpose()?;
        let tls = tls::read(&config)?;
        let tokens = config.tokens.as_deref().map(Tokens::open).transpose()?.map(Arc::new);
        let metrics = Metrics::new();
        let (models, ended) = start(&config, models, &metrics)?;
        Ok(Self { config, inference, scraping, tls, tokens, models, metrics, ended })
    }

    /// Where requests come in.
    pub fn local_addr(&self) -> SocketAddr {
        self.inference.address
    }

    /// Where Prometheus reads.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.scraping.as_ref().map(|scraping| scraping.address)
    }

    /// Names of the models, sorted.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        self.models.names()
    }

    /// [`Server::serve_until`] on threads of its own, until it is done.
    ///
    /// # Errors
    /// As [`Server::serve_until`]; `Runtime` when the threads cannot be started.
    ///
    /// # Panics
    /// When called within a tokio runtime, whose threads must not wait.
    pub fn run(self, shutdown: impl Future<Output = ()>) -> Result<Drained, ServeError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().thread_name("network").enable_all().build();
        let runtime = runtime.map_err(ServeError::Runtime)?;
        let drained = runtime.block_on(self.serve_until(shutdown));
        // Whoever is still connected had the time to leave.
        runtime.shutdown_background();
        drained
    }

    /// Serves until `shutdown` comes, then drains: says that it is not ready, refuses new requests, finishes those under
    /// way, and closes connections. Must be polled within a tokio runtime.
    ///
    /// # Errors
    /// `Listen` or `Transport` when the system takes the sockets away, `Tls` when the transport refuses what it took before.
    pub async fn serve_until(self, shutdown: impl Future<Output = ()>) -> Result<Drained, ServeError> {
        let Self { config, inference, scraping, tls, tokens, models, metrics, ended } = self;
        let admission = config.admission;
        let seats = Seats::new(room::connections(admission.connections), Arc::clone(&metrics));
        // Both end with this future, whatever ends it.
        let (mut serving, mut beside) = (JoinSet::new(), JoinSet::new());
        if let Some(scraping) = scraping {
            let listener = scraping.listen(Seats::new(SCRAPERS, Metrics::new()), admission.introduction)?;
            beside.spawn(scrape(Scrape::new(&models, &metrics), listener));
        }
        if let Some(tokens) = tokens.clone() {
            beside.spawn(refresh(tokens));
        }
        let health = Health::of(&models, tokens.is_none());
        health.report(ServingStatus::Serving).await;
        beside.spawn(watch(Arc::clone(&models), health.clone()));
        let sending = Sending::new(admission.message);
        beside.spawn(Arc::clone(&sending).hang_up());
        let gate = Gate {
            routes: routes(&models, &health, admission.message_bytes),
            tokens,
            refused: Arc::default(),
            receiving: Receiving::new(admission, Arc::clone(&metrics)),
            sending,
            metrics: Arc::clone(&metrics),
            timeout: admission.deadline,
        };
        let mut server = tonic::transport::Server::builder()
            .max_concurrent_streams(admission.streams)
            .http2_keepalive_interval(Some(KEEPALIVE.0))
            .http2_keepalive_timeout(Some(KEEPALIVE.1));
        if let Some((tls, files)) = tls.zip(config.tls) {
            server = server.tls_config(tls).map_err(|source| ServeError::Tls { files, source })?;
        }
        let listener = inference.listen(Arc::clone(&seats), admission.introduction)?;
        let (close, closing) = oneshot::channel::<()>();
        // Closed either way: the sender is gone when this future is.
        serving.spawn(server.serve_with_incoming_shutdown(gate, listener, async { drop(closing.await) }));
        tokio::select! {
            () = shutdown => {}
            ended = serving.join_next() => {
                let error = ended.and_then(Result::ok).and_then(Result::err);
                return Err(ServeError::Transport(error));
            }
        }

        let until = Instant::now() + config.drain;
        let unanswered = drain(&models, &health, &metrics, config.drain, until).await;
        health.end().await;
        let _closed = close.send(());
        let _late = timeout_at(until.into(), serving.join_next()).await;
        seats.clear();
        models.close();
        for ended in ended {
            let _late = timeout_at(until.into(), ended).await;
        }
        Ok(Drained { unanswered })
    }
}

/// Takes no new requests and waits for those under way until `until`; gives how many are left.
async fn drain(
    models: &Models,
    health: &Health,
    metrics: &Metrics,
    within: Duration,
    until: Instant,
) -> usize {
    info!(under_way = models.under_way(), "draining");
    metrics.draining.set(1);
    models.drain();
    health.report(ServingStatus::NotServing).await;
    // Long enough for those who are connected to hear of it.
    tokio::time::sleep((within / 10).min(ANNOUNCED)).await;
    while models.under_way() > 0 && Instant::now() < until {
        tokio::time::sleep(TICK).await;
    }
    let unanswered = models.under_way();
    match unanswered {
        0 => info!("drained"),
        _ => warn!(unanswered, "the time to drain is over"),
    }
    unanswered
}

/// Looks for models that have broken down, until the server drains.
async fn watch(models: Arc<Models>, health: Health) {
    loop {
        tokio::time::sleep(WATCH).await;
        if models.is_draining() {
            return;
        }
        health.report_broken(&models).await;
    }
}

/// Answers Prometheus for ever.
async fn scrape(scrape: Scrape, listener: Listener) {
    let server = tonic::transport::Server::builder().accept_http1(true);
    if let Err(error) = server.serve_with_incoming(scrape, listener).await {
        warn!(error = %Causes(&error), "metrics are no longer served");
    }
}

/// Reads tokens again when they change, for ever.
async fn refresh(tokens: Arc<Tokens>) {
    loop {
        tokio::time::sleep(REFRESH).await;
        let tokens = Arc::clone(&tokens);
        // A file may lie where reading takes its time: nobody waits for it but this task.
        let _stopped = tokio::task::spawn_blocking(move || tokens.refresh()).await;
    }
}

/// Starts the models' threads together and waits until all have run.
fn start(
    config: &Config,
    models: Vec<Model>,
    metrics: &Arc<Metrics>,
) -> Result<(Arc<Models>, Vec<Ended>), ServeError> {
    let Batching { images, delay, waiting } = config.batching;
    let limits = Limits { images: images.max(1), joins: true, delay, waiting };
    let mut served = Models::new(Arc::clone(metrics));
    let (mut warm, mut ended) = (Vec::new(), Vec::new());
    for model in models {
        let name = model.signature().name.clone();
        let (worker, is_warm, has_ended) = Worker::start(model, limits, metrics.of(&name))
            .map_err(|source| ServeError::Thread { model: name.clone(), source: Some(source) })?;
        if !served.add(worker) {
            return Err(ServeError::Twice { model: name });
        }
        warm.push((name, is_warm));
        ended.push(has_ended);
    }
    for (model, is_warm) in warm {
        match is_warm.recv() {
            Ok(Ok(())) => info!(model, "model ready"),
            Ok(Err(source)) => return Err(ServeError::Model { model, source }),
            Err(_) => return Err(ServeError::Thread { model, source: None }),
        }
    }
    Ok((Arc::new(served), ended))
}

fn routes(models: &Arc<Models>, health: &Health, message_bytes: usize) -> Routes {
    let inference = GrpcInferenceServiceServer::from_arc(Arc::clone(models))
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(message_bytes);
    Routes::new(inference).add_service(health.service()).prepare()
}
