//! What a server counts, in Prometheus' text format.

use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// How a request for a model ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Answered,
    Invalid,
    Overload,
    Expired,
    Cancelled,
    Draining,
    Failed,
}

/// Why a request came to no model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turned {
    Unauthenticated,
    UnknownModel,
    TooLarge,
    TooSlow,
    NoRoom,
}

/// Why a connection was closed: before it brought a request that was let in, or because it does not read its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    TooSlow,
    Displaced,
    NoRoom,
    Unread,
}

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Invalid => "invalid",
            Self::Overload => "overload",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Draining => "draining",
            Self::Failed => "failed",
        }
    }
}

impl Turned {
    const fn name(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::UnknownModel => "unknown_model",
            Self::TooLarge => "too_large",
            Self::TooSlow => "too_slow",
            Self::NoRoom => "no_room",
        }
    }
}

impl Lost {
    const fn name(self) -> &'static str {
        match self {
            Self::TooSlow => "too_slow",
            Self::Displaced => "displaced",
            Self::NoRoom => "no_room",
            Self::Unread => "unread",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfModel {
    model: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOutcome {
    model: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfReason {
    reason: &'static str,
}

/// All counters of a server.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<OfOutcome, Counter>,
    waiting: Family<OfModel, Gauge>,
    batches: Family<OfModel, Histogram>,
    execution: Family<OfModel, Histogram>,
    received: Family<OfModel, Counter>,
    sent: Family<OfModel, Counter>,
    turned: Family<OfReason, Counter>,
    lost: Family<OfReason, Counter>,
    pub(super) connections: Gauge,
    pub(super) draining: Gauge,
}

/// The counters of one model.
#[derive(Clone, Debug)]
pub(super) struct ModelMetrics {
    model: String,
    requests: Family<OfOutcome, Counter>,
    answered: Counter,
    pub(super) waiting: Gauge,
    /// Images in a batch.
    pub(super) batches: Histogram,
    /// Seconds of a batch.
    pub(super) execution: Histogram,
    /// Bytes of tensors that came.
    pub(super) received: Counter,
    /// Bytes of tensors that went.
    pub(super) sent: Counter,
}

impl Metrics {
    pub(super) fn new() -> Arc<Self> {
        let sizes = || Histogram::new(exponential_buckets(1.0, 2.0, 9));
        let seconds = || Histogram::new(exponential_buckets(0.0001, 2.0, 16));
        let batches = Family::new_with_constructor(sizes as fn() -> Histogram);
        let execution = Family::new_with_constructor(seconds as fn() -> Histogram);
        let mut metrics = Self {
            registry: Registry::with_prefix("offramp"),
            requests: Family::default(),
            waiting: Family::default(),
            batches,
            execution,
            received: Family::default(),
            sent: Family::default(),
            turned: Family::default(),
            lost: Family::default(),
            connections: Gauge::default(),
            draining: Gauge::default(),
        };
        metrics.register();
        Arc::new(metrics)
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("requests", "Requests by model and outcome", self.requests.clone());
        registry.register("queue_requests", "Requests that wait", self.waiting.clone());
        registry.register("batch_images", "Images that ran together", self.batches.clone());
        registry.register("execution_seconds", "Seconds that a batch ran", self.execution.clone());
        registry.register("tensor_bytes_received", "Bytes of tensors that came", self.received.clone());
        registry.register("tensor_bytes_sent", "Bytes of tensors that went", self.sent.clone());
        registry.register("requests_turned_away", "Requests that came to no model", self.turned.clone());
        let lost = "Connections that were closed: nothing came, no seat was free, or answers were not read";
        registry.register("connections_lost", lost, self.lost.clone());
        registry.register("connections", "Connections that are open", self.connections.clone());
        let draining = "1 when the server is about to end and takes no new requests";
        registry.register("draining", draining, self.draining.clone());
    }

    pub(super) fn of(&self, model: &str) -> ModelMetrics {
        let label = OfModel { model: model.to_owned() };
        ModelMetrics {
            model: label.model.clone(),
            answered: self.outcome(model, Outcome::Answered),
            requests: self.requests.clone(),
            waiting: self.waiting.get_or_create_owned(&label),
            batches: self.batches.get_or_create_owned(&label),
            execution: self.execution.get_or_create_owned(&label),
            received: self.received.get_or_create_owned(&label),
            sent: self.sent.get_or_create_owned(&label),
        }
    }

    fn outcome(&self, model: &str, outcome: Outcome) -> Counter {
        self.requests.get_or_create_owned(&OfOutcome { model: model.to_owned(), outcome: outcome.name() })
    }

    pub(super) fn turn_away(&self, reason: Turned) {
        self.turned.get_or_create(&OfReason { reason: reason.name() }).inc();
    }

    pub(super) fn lose(&self, reason: Lost) {
        self.lost.get_or_create(&OfReason { reason: reason.name() }).inc();
    }

    /// What Prometheus reads.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _written = text::encode(&mut text, &self.registry);
        text
    }
}

impl ModelMetrics {
    pub(super) fn end(&self, outcome: Outcome) {
        if outcome == Outcome::Answered {
            self.answered.inc();
        } else {
            let labels = OfOutcome { model: self.model.clone(), outcome: outcome.name() };
            self.requests.get_or_create(&labels).inc();
        }
    }
}
