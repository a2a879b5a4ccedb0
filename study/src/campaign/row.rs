//! One line of `rows.jsonl`: one network on one input under one policy, beside the images as they were.

use offramp_models::Sha256;
use offramp_runtime::bench::Comparison as Latencies;
use offramp_runtime::meter::{Joules, NotMeasured};
use offramp_runtime::policy::PolicySpec;
use offramp_runtime::report::BundleName;
use serde::{Deserialize, Serialize};

use crate::adversarial::Sizes;

/// One network on one input under one policy. Pairs are benign first, then the input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Digest of all that determines the row, measured columns aside.
    pub key: Sha256,
    /// The network that the input was crafted on; null where nothing was.
    pub surrogate: Option<BundleName>,
    /// What the network was run on.
    pub input: RowInput,
    /// The network that was run.
    pub target: BundleName,
    /// When it stops.
    pub policy: RowPolicy,
    /// What came out; null where [`Row::skipped`] says why not.
    pub figures: Option<Figures>,
    /// Why there are no figures.
    pub skipped: Option<String>,
    /// What another run measures anew.
    pub measured: Measured,
}

/// What a network was run on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowInput {
    /// `benign`, `corrupted` or `adversarial`.
    pub kind: InputKind,
    /// For people.
    pub label: String,
    /// Name of its recording, and of its set.
    pub name: String,
    /// The seed, where something is drawn.
    pub seed: Option<u64>,
}

/// Kinds of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InputKind {
    /// The data.
    Benign,
    /// The data, corrupted.
    Corrupted,
    /// A crafted set.
    Adversarial,
}

/// A policy of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowPolicy {
    /// Its name in the study.
    pub name: String,
    /// The policy itself, as calibrated for the network.
    #[serde(flatten)]
    pub spec: PolicySpec,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Images run.
    pub images: usize,
    /// One entry per exit.
    pub exits: Vec<RowExit>,
    /// Fraction of the labelled images that are labelled rightly under the policy.
    pub accuracy: Option<[f64; 2]>,
    /// Mean index of the exit under the policy.
    pub mean_exit: [Option<f64>; 2],
    /// Mean cumulative MACs over those of the final exit, in [0, 1].
    pub macs_fraction: [Option<f64>; 2],
    /// Area under the early-exit capability curve, in [0, 1]; higher: more computation saved.
    pub efficacy: [Option<f64>; 2],
    /// Sizes of the perturbation as stored.
    pub size: Option<Sizes>,
    /// Images whose attack may succeed on the surrogate.
    pub attackable: Option<usize>,
    /// Fraction of those for which it does on the surrogate: before rounding to 8 bits, as stored.
    pub success: Option<[f64; 2]>,
}

/// One exit of a row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowExit {
    /// The exit.
    pub exit: usize,
    /// Accuracy when all images stop here.
    pub accuracy: Option<[f64; 2]>,
    /// Images that stop here under the policy.
    pub count: [usize; 2],
}

/// What another run measures anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Latency on the images as they were and on the input, by interleaved blocks.
    pub latency: Option<Latencies>,
    /// Energy per image.
    pub energy_j: Option<Joules>,
    /// Why keys above are null.
    pub not_measured: Vec<NotMeasured>,
}

impl Measured {
    /// Nothing was measured of latency, because of `why`; there is no meter yet.
    pub(super) fn without_latency(why: &str) -> Self {
        let not_measured = vec![NotMeasured::new("latency", why), no_meter()];
        Self { latency: None, energy_j: None, not_measured }
    }

    pub(super) fn latency(latency: Latencies) -> Self {
        Self { latency: Some(latency), energy_j: None, not_measured: vec![no_meter()] }
    }
}

/// Why there are no joules.
pub(super) fn no_meter() -> NotMeasured {
    NotMeasured::new("energy_j", "a study measures no energy: `offramp bench --meter` does")
}
