//! The runtime's [`Remote`] over the Open Inference Protocol.
//!
//! A client owns its connections and the one thread that serves them; the executor's thread only hands messages over and waits.
//! The way of one image: its [placement](crate::placement) says whether it leaves, the first peer that has proved that it serves the
//! cut's model is asked, the answer is checked, and whatever goes wrong is classed, counted and answered with silence: the
//! device then completes the image itself. No image waits for a peer to be reached.

mod breaker;
mod config;
mod credentials;
mod endpoint;
mod failure;
mod handshake;
mod keeper;
mod message;
mod model;
mod peer;
mod reply;
mod request;
mod retry;
mod session;
mod summary;
mod terms;

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use offramp_runtime::backend::Value;
use offramp_runtime::remote::{Answered, Cut, Pending, Placement, Remote};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

pub use breaker::{BreakerSettings, State};
pub use config::{Address, Config, ConfigError, Metadatum, NotAnAddress, NotMetadata, Tls};
use credentials::Credentials;
pub use failure::Class;
use message::{Envelope, MessageError};
pub use model::{Model, ModelError};
use peer::Peer;
pub use reply::ReplyError;
use request::{Question, Request, route};
pub use summary::{CutSummary, Declined, Handshakes, ModelSummary, Outcomes, PeerSummary, Standing, Summary};
use terms::Terms;

use crate::placement::{Candidate, Observed, Place};

/// Models that a client keeps apart: a bit of a number each.
const MODELS: usize = u64::BITS as usize;

/// Peers that complete images.
pub struct Client {
    /// `None` only while the client is being dropped.
    runtime: Option<Runtime>,
    terms: Arc<Terms>,
    peers: Arc<[Arc<Peer>]>,
    place: Box<dyn Place>,
    /// By model.
    candidates: Vec<Candidate>,
    envelopes: Vec<Envelope>,
    cuts: Vec<CutSummary>,
    /// What is sent next is a copy that nobody waits for.
    probing: bool,
    /// Requests made so far.
    sent: u64,
    declined: Declined,
    observed: Receiver<Observed>,
    changed: watch::Receiver<()>,
}

impl Client {
    /// A client that asks for `models`, when `place` says so. Peers are connected in the background; one that is not there
    /// is tried again and again.
    ///
    /// # Errors
    /// [`ConfigError`]: peers, models, files or credentials that can never be used.
    pub fn connect(
        config: Config,
        mut models: Vec<Model>,
        place: Box<dyn Place>,
    ) -> Result<Self, ConfigError> {
        models.sort_by_key(|model| model.cut);
        check(&config, &models)?;
        let credentials = Credentials::new(&config)?;
        for peer in &config.peers {
            endpoint::endpoint(peer, &config.tls)?;
        }
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("offload-client").enable_all().build();
        let runtime = runtime.map_err(|source| ConfigError::Runtime { source })?;
        let candidate =
            |model: &Model| Candidate { cut: model.cut, bytes: model.bytes_per_image(), usable: false };
        let cut = |model: &Model| CutSummary { cut: model.cut, ..CutSummary::default() };
        let (candidates, cuts) = (models.iter().map(candidate).collect(), models.iter().map(cut).collect());
        let envelopes = models.iter().map(|_| Envelope::default()).collect();
        let (tell, changed) = watch::channel(());
        let mut seeds = ChaCha8Rng::seed_from_u64(config.seed);
        let (observer, observed) = mpsc::channel();
        let terms = Arc::new(Terms::new(config, credentials, models, observer));
        if terms.config.token_file.is_some() {
            runtime.spawn(credentials::refresh(Arc::clone(&terms)));
        }
        let mut ahead = None;
        let peer = |address: &Address| {
            let (terms, seed) = (Arc::clone(&terms), seeds.random());
            let peer = Arc::new(Peer::new(address.clone(), ahead.take(), terms, seed, tell.clone()));
            ahead = Some(Arc::clone(&peer));
            runtime.spawn(keeper::keep(Arc::clone(&peer)));
            peer
        };
        let peers = terms.config.peers.iter().map(peer).collect();
        Ok(Self {
            runtime: Some(runtime),
            terms,
            peers,
            place,
            candidates,
            envelopes,
            cuts,
            probing: false,
            sent: 0,
            declined: Declined::default(),
            observed,
            changed,
        })
    }

    /// Waits until a peer can be used, or all have been tried, for `at_most` so long. Says whether one can be used.
    ///
    /// # Panics
    /// When called within a tokio runtime, whose threads must not wait.
    pub fn wait_for_peer(&mut self, at_most: Duration) -> bool {
        let usable = |peers: &[Arc<Peer>]| peers.iter().any(|peer| peer.usable() != 0);
        if let Some(runtime) = &self.runtime {
            let (peers, changed) = (&self.peers, &mut self.changed);
            let settled = async {
                while !(usable(peers) || peers.iter().all(|peer| peer.is_tried())) {
                    if changed.changed().await.is_err() {
                        break;
                    }
                }
            };
            let _late = runtime.block_on(async { tokio::time::timeout(at_most, settled).await });
        }
        usable(&self.peers)
    }

    /// What was seen so far. A request that was given up counts when its end has been noticed, a moment later.
    pub fn summary(&self) -> Summary {
        Summary {
            peers: self.peers.iter().map(|peer| peer.summary()).collect(),
            cuts: self.cuts.clone(),
            declined: self.declined,
            retries: self.terms.retries(|budget| budget.retries()),
        }
    }

    /// Ends, and says what was seen: requests that are still on their way are given up and counted so.
    ///
    /// # Panics
    /// When called within a tokio runtime, whose threads must not wait.
    pub fn finish(mut self) -> Summary {
        /// Tasks are dropped at once; a name that is being looked up is not waited for longer.
        const PATIENCE: Duration = Duration::from_millis(100);
        // Ending ends connections: peers stand where they stood before.
        let stood: Vec<State> = self.peers.iter().map(|peer| peer.known().breaker.state()).collect();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(PATIENCE);
        }
        let mut summary = self.summary();
        summary.peers.iter_mut().zip(stood).for_each(|(peer, stood)| peer.state = stood);
        summary
    }

    fn model(&self, cut: usize) -> Option<usize> {
        self.candidates.iter().position(|candidate| candidate.cut == cut)
    }

    /// Tells the placement what came of requests.
    fn observe(&mut self) {
        while let Ok(observed) = self.observed.try_recv() {
            self.place.observe(&observed);
        }
    }
}

impl Remote for Client {
    fn place(&mut self, cut: Cut<'_>) -> Placement {
        let Some(model) = self.model(cut.segment) else { return Placement::Local };
        let usable = self.peers.iter().fold(0, |usable, peer| usable | peer.usable());
        for (model, candidate) in self.candidates.iter_mut().enumerate() {
            candidate.usable = usable >> model & 1 == 1;
        }
        self.observe();
        let now = Instant::now();
        let mut placement = self.place.place(&cut, &self.candidates, now);
        self.probing = placement == Placement::Local && self.place.probe(&cut, &self.candidates, now);
        if self.probing {
            placement = Placement::Offload;
        }
        if placement == Placement::Offload && !self.candidates[model].usable {
            self.declined.no_peer += 1;
            return Placement::Local;
        }
        placement
    }

    fn complete(&mut self, cut: Cut<'_>, values: &[Value], deadline: Instant) -> Option<Box<dyn Pending>> {
        let sent = Instant::now();
        let model = self.model(cut.segment)?;
        if sent >= deadline {
            self.declined.too_late += 1;
            return None;
        }
        let Some(route) = route(&self.peers, (model, cut.images), None) else {
            // Somebody would take fewer at once.
            let fewer = self.peers.iter().any(|peer| peer.usable() >> model & 1 == 1);
            *(if fewer { &mut self.declined.too_large } else { &mut self.declined.no_peer }) += 1;
            return None;
        };
        let (asked, cap) = (&self.terms.models[model], self.terms.config.payload_cap);
        let id = format!("{:016x}", self.sent);
        let message = self.envelopes[model].fill(asked, cut.images, &id, values, cap);
        let message = match message {
            Ok(message) => message,
            Err(error) => {
                let declined = match error {
                    MessageError::TooLarge { .. } => &mut self.declined.too_large,
                    _ => &mut self.declined.unfit,
                };
                *declined += 1;
                if *declined == 1 {
                    tracing::error!(model = asked.name, error = %error, "images are not sent");
                }
                return None;
            }
        };
        self.sent += 1;
        self.terms.retries(|budget| budget.request());
        let question = Question { model, cut: cut.segment, images: cut.images, message, sent, deadline };
        let (answer, awaited) = mpsc::sync_channel(1);
        let asking = question.ask(route, Arc::clone(&self.peers));
        let task = self.runtime.as_ref()?.spawn(async move {
            // Nobody waits any more when another answer was taken.
            let _gone = answer.send(asking.await);
        });
        if self.probing {
            if let Some(cut) = self.cuts.iter_mut().find(|of| of.cut == cut.segment) {
                cut.probes += 1;
            }
            return None;
        }
        Some(Box::new(Request { answer: awaited, task: task.abort_handle() }))
    }

    fn answered(&mut self, answered: Answered) {
        if let Some(offload) = answered.offload
            && let Some(cut) = self.cuts.iter_mut().find(|cut| cut.cut == offload.cut)
        {
            cut.count(offload.by);
        }
        self.observe();
        self.place.answered(&answered);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Names being looked up may hold a thread for longer than anybody wants to wait.
            runtime.shutdown_background();
        }
    }
}

/// What can never work.
fn check(config: &Config, models: &[Model]) -> Result<(), ConfigError> {
    if config.peers.is_empty() {
        return Err(ConfigError::NoPeer);
    }
    let Tls { ca, identity } = &config.tls;
    if (ca.is_some() || identity.is_some()) && !config.peers.iter().any(Address::is_secure) {
        return Err(ConfigError::NoTlsPeer);
    }
    if models.is_empty() {
        return Err(ConfigError::NoModel);
    }
    if models.len() > MODELS {
        return Err(ConfigError::Models { found: models.len(), most: MODELS });
    }
    for model in models {
        model.check().map_err(|source| ConfigError::Model { model: model.name.clone(), source })?;
    }
    for pair in models.windows(2) {
        if let [first, second] = pair
            && first.cut == second.cut
        {
            let (first, second, cut) = (first.name.clone(), second.name.clone(), first.cut);
            return Err(ConfigError::SameCut { cut, first, second });
        }
    }
    Ok(())
}
