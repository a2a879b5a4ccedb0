//! One server, and what is known of it.
//!
//! Users' requests never wait for a peer to be reached: whether a model can be asked is one atomic number, and a
//! [task](super::keeper) of the peer's own keeps that true.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use offramp_runtime::statistics::Reservoir;
use tokio::sync::{Notify, watch};

use super::breaker::{Breaker, Change};
use super::config::Address;
use super::failure::{Class, Failure};
use super::session::{Line, Session, Traffic};
use super::summary::{Handshakes, ModelSummary, Outcomes, PeerSummary, Standing};
use super::terms::Terms;

pub(super) struct Peer {
    pub(super) address: Address,
    pub(super) terms: Arc<Terms>,
    /// The one that is asked rather than this.
    ahead: Option<Arc<Self>>,
    pub(super) traffic: Arc<Traffic>,
    /// It is one of our servers, which like to be pinged.
    pub(super) pings_idle: AtomicBool,
    /// Wakes its keeper.
    pub(super) wake: Notify,
    /// By model: whether it can be asked now.
    usable: AtomicU64,
    known: Mutex<Known>,
    /// Tells those who wait for peers that something changed.
    changed: watch::Sender<()>,
}

/// What is known of a peer.
pub(super) struct Known {
    pub(super) breaker: Breaker,
    pub(super) session: Option<Arc<Session>>,
    /// By model.
    pub(super) standing: Vec<Standing>,
    /// By model: more images at once than this were refused, and until when that is remembered.
    most: Vec<Option<(usize, Instant)>>,
    /// When models that are not proven are asked about again.
    pub(super) recheck: Option<Instant>,
    pub(super) handshakes: Handshakes,
    pub(super) connections: u64,
    requests: Outcomes,
    round_trips: Reservoir,
    server: Reservoir,
    last_error: Option<String>,
}

impl Peer {
    pub(super) fn new(
        address: Address,
        ahead: Option<Arc<Self>>,
        terms: Arc<Terms>,
        seed: u64,
        changed: watch::Sender<()>,
    ) -> Self {
        let known = Known {
            breaker: Breaker::new(terms.config.breaker, seed, Instant::now()),
            session: None,
            standing: vec![Standing::Unproven; terms.models.len()],
            most: vec![None; terms.models.len()],
            recheck: None,
            handshakes: Handshakes::default(),
            connections: 0,
            requests: Outcomes::default(),
            round_trips: Reservoir::new(seed),
            server: Reservoir::new(seed),
            last_error: None,
        };
        Self {
            address,
            terms,
            ahead,
            traffic: Arc::default(),
            pings_idle: AtomicBool::new(false),
            wake: Notify::new(),
            usable: AtomicU64::new(0),
            known: Mutex::new(known),
            changed,
        }
    }

    /// Models that can be asked now, a bit for each.
    pub(super) fn usable(&self) -> u64 {
        self.usable.load(Ordering::Acquire)
    }

    /// Whether nobody would be asked for `model` rather than this peer.
    pub(super) fn leads(&self, model: usize) -> bool {
        self.ahead.as_ref().is_none_or(|ahead| ahead.usable() >> model & 1 == 0 && ahead.leads(model))
    }

    /// The session for asking `model` about so many images in, if it can be asked now.
    pub(super) fn session(&self, model: usize, images: usize) -> Option<Arc<Session>> {
        if self.usable() >> model & 1 == 0 {
            return None;
        }
        let known = self.known();
        // Proven in this session, not in one that was there a moment ago.
        if known.usable(Instant::now()) >> model & 1 == 0 {
            return None;
        }
        let refused = known.most.get(model).copied().flatten();
        let refuses = refused.is_some_and(|(most, until)| images > most && Instant::now() < until);
        known.session.clone().filter(|_| !refuses)
    }

    /// Whether it has shown, once, whether it can be used.
    pub(super) fn is_tried(&self) -> bool {
        let Handshakes { held, failed } = self.known().handshakes;
        held + failed > 0
    }

    /// What is known, to look at.
    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known; whoever depends on it is told.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        let (changed, usable) = {
            let mut known = self.known();
            let changed = change(&mut known);
            let usable = known.usable(Instant::now());
            self.usable.store(usable, Ordering::Release);
            (changed, usable)
        };
        tracing::trace!(peer = %self.address, usable, "peer changed");
        self.wake.notify_one();
        self.changed.send_replace(());
        changed
    }

    /// The connection of `line` is gone.
    pub(super) fn lost(&self, line: &Line) {
        self.change(|known| {
            if known.session.as_ref().is_some_and(|session| std::ptr::eq(&*session.line, line)) {
                known.session = None;
                known.breaker.lost(Instant::now());
            }
        });
    }

    /// A request was answered.
    pub(super) fn answered(&self, took: Duration, server: Option<Duration>) {
        let mut known = self.known();
        known.requests.answered += 1;
        known.round_trips.push(took.as_secs_f64());
        if let Some(server) = server {
            known.server.push(server.as_secs_f64());
        }
        known.breaker.succeeded();
    }

    /// Another answer was taken than that of a request in `session`.
    pub(super) fn abandoned(&self, session: &Arc<Session>) {
        const LATE: &str = "its answers come too late";
        let change = self.change(|known| {
            known.requests.abandoned += 1;
            if !known.uses(session) {
                return Change::None;
            }
            known.last_error = Some(LATE.to_owned());
            known.breaker.failed(Class::Deadline, None, Instant::now())
        });
        self.tell(change, LATE);
    }

    /// A request about so many images for `model` in `session` failed.
    pub(super) fn request_failed(
        &self,
        session: &Arc<Session>,
        (model, images): (usize, usize),
        failure: &Failure,
    ) {
        let class = failure.class();
        if failure.is_too_large() {
            let (model_name, error) = (&self.terms.models[model].name, self.redacted(failure));
            tracing::error!(peer = %self.address, model = model_name, error, "the peer does not take messages so large");
            return self.change(|known| {
                known.requests.count(class);
                known.refuse(model, self.terms.config.breaker.recheck);
                known.last_error = Some(error);
            });
        }
        self.fail(failure, |known| {
            known.requests.count(class);
            let current = known.uses(session);
            if current && matches!(class, Class::Link | Class::Draining | Class::Permanent) {
                known.session = None;
            }
            // The known question is one image: whether many are too many, it cannot prove.
            if current && class == Class::Mismatch && images > 1 {
                let until = Instant::now() + self.terms.config.breaker.recheck;
                known.most[model] = Some((images / 2, until));
            }
            // What an earlier connection came to says nothing about this one, but that the link is bad.
            current || class == Class::Link
        });
    }

    /// Notes a failure; `counts` says whether the breaker hears of it.
    pub(super) fn fail(&self, failure: &Failure, counts: impl FnOnce(&mut Known) -> bool) {
        let error = self.redacted(failure);
        let change = self.change(|known| {
            known.last_error = Some(error.clone());
            if counts(known) {
                known.breaker.failed(failure.class(), failure.retry_after(), Instant::now())
            } else {
                Change::None
            }
        });
        self.tell(change, &error);
    }

    pub(super) fn redacted(&self, failure: &Failure) -> String {
        self.terms.credentials.redact(&failure.told())
    }

    fn tell(&self, change: Change, error: &str) {
        let peer = &self.address;
        match change {
            Change::None => tracing::debug!(%peer, error, "request failed"),
            Change::Opened(wait) => {
                let seconds = wait.as_secs_f64();
                tracing::warn!(%peer, error, seconds, "the peer failed too often and is left alone");
            }
            Change::Disabled => tracing::error!(%peer, error, "the peer is not used: it refuses for good"),
        }
    }

    /// What was seen of it so far.
    pub(super) fn summary(&self) -> PeerSummary {
        let known = self.known();
        let standing = self.terms.models.iter().zip(&known.standing);
        PeerSummary {
            peer: self.address.to_string(),
            state: known.breaker.state(),
            models: standing
                .map(|(model, standing)| ModelSummary { model: model.name.clone(), standing: *standing })
                .collect(),
            requests: known.requests,
            sent_bytes: self.traffic.sent(),
            received_bytes: self.traffic.received(),
            connections: known.connections,
            handshakes: known.handshakes,
            openings: known.breaker.openings(),
            round_trip_s: known.round_trips.latency(),
            server_s: known.server.latency(),
            last_error: known.last_error.clone(),
        }
    }
}

impl Known {
    /// Whether requests go into this session.
    pub(super) fn uses(&self, session: &Arc<Session>) -> bool {
        self.session.as_ref().is_some_and(|current| Arc::ptr_eq(current, session))
    }

    /// Models that can be asked, a bit for each.
    fn usable(&self, now: Instant) -> u64 {
        if self.session.is_none() || !self.breaker.admits(now) {
            return 0;
        }
        let proven = self.standing.iter().enumerate().filter(|(_, standing)| **standing == Standing::Proven);
        proven.fold(0, |usable, (model, _)| usable | 1 << model)
    }

    fn refuse(&mut self, model: usize, recheck: Duration) {
        self.standing[model] = Standing::Refused;
        self.recheck = Some(Instant::now() + recheck);
    }
}
