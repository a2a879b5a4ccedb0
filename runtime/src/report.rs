//! A run in figures. What is unknown is null, and [`Report::not_measured`] says why.

mod offload;
mod table;

use std::time::Duration;

use offramp_models::Sha256;
use serde::{Deserialize, Serialize};

use crate::backend::Description;
use crate::executor::Outcome;
use crate::meter::{Joules, NotMeasured};
use crate::policy::PolicySpec;
use crate::replay::{macs_fraction, mean_exit};
use crate::statistics::Latency;
pub use offload::OffloadReport;
use offload::Sent;

/// The schema version that this build writes.
pub const SCHEMA_VERSION: u32 = 1;

/// What a run came to. Readers skip keys that they do not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Always [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The network.
    pub bundle: BundleName,
    /// What ran it.
    pub backend: BackendName,
    /// When it stopped.
    pub policy: PolicySpec,
    /// Images run.
    pub images: usize,
    /// Fraction of the labelled images that were labelled rightly, in [0, 1].
    pub accuracy: Option<f64>,
    /// What became of the pictures on their way in; absent where nobody noted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preprocessing: Option<Preprocessing>,
    /// By exit where computing stopped, one entry per exit.
    pub exits: Vec<ExitReport>,
    /// Mean index of the exit.
    pub mean_exit: Option<f64>,
    /// Mean cumulative MACs over those of the final exit, in [0, 1].
    pub macs_fraction: Option<f64>,
    /// Latency of all images.
    pub latency_s: Option<Latency>,
    /// Time spent on compacting batches; absent where none was compacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compaction_s: Option<f64>,
    /// Frames whose label came after the next frame; absent where no rate was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_misses: Option<usize>,
    /// What became of images that were sent to another machine; absent where none may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offload: Option<OffloadReport>,
    /// Energy of the run.
    pub energy_j: Option<Joules>,
    /// Why keys above are null.
    pub not_measured: Vec<NotMeasured>,
}

/// How pictures became the network's input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// One line: shape, sizes, range, mean and std.
    pub how: String,
    /// Pictures of another size, which were resized and centre-cropped; null where they were not counted.
    pub resized: Option<usize>,
}

/// A bundle in a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleName {
    /// The network's name.
    pub name: String,
    /// The bundle's identity.
    pub identity: Sha256,
}

/// A backend in a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendName {
    /// `ort` or `tract`.
    pub name: String,
    /// `cpu`, `cuda` or `tensorrt`.
    pub provider: String,
    /// Version of the engine's library.
    pub version: String,
}

impl From<&Description> for BackendName {
    fn from(description: &Description) -> Self {
        let Description { name, provider, version } = description;
        Self { name: (*name).into(), provider: (*provider).into(), version: version.clone() }
    }
}

/// The images that stopped at one exit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExitReport {
    /// The exit.
    pub exit: usize,
    /// Images that stopped here.
    pub count: usize,
    /// Fraction of them, as far as labelled, that were labelled rightly.
    pub accuracy: Option<f64>,
    /// Their latency.
    pub latency_s: Option<Latency>,
}

/// What was run, for [`Tally::report`].
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// The network.
    pub bundle: BundleName,
    /// What ran it.
    pub backend: BackendName,
    /// When it stopped.
    pub policy: PolicySpec,
    /// Cumulative MACs by exit.
    pub macs: &'a [u64],
}

/// Counts outcomes as they come; keeps of each only its latency.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    exits: Vec<Stopped>,
    compaction: Duration,
    deadline_misses: Option<usize>,
    preprocessing: Option<Preprocessing>,
    sent: Option<Sent>,
}

#[derive(Clone, Debug, Default)]
struct Stopped {
    seconds: Vec<f64>,
    labelled: usize,
    right: usize,
}

impl Stopped {
    fn accuracy(&self) -> Option<f64> {
        (self.labelled > 0).then(|| self.right as f64 / self.labelled as f64)
    }
}

impl Tally {
    /// Nothing yet, of a network of `exits` exits.
    pub fn new(exits: usize) -> Self {
        Self { exits: vec![Stopped::default(); exits], ..Self::default() }
    }

    /// Counts one image.
    pub fn add(&mut self, outcome: &Outcome<'_>, label: Option<usize>) {
        if self.exits.len() <= outcome.exit {
            self.exits.resize(outcome.exit + 1, Stopped::default());
        }
        let stopped = &mut self.exits[outcome.exit];
        stopped.seconds.push(outcome.latency.as_secs_f64());
        stopped.labelled += usize::from(label.is_some());
        stopped.right += usize::from(label == Some(outcome.predicted));
        if let Some(sent) = &mut self.sent {
            sent.add(outcome);
        }
    }

    /// Counts what becomes of images that are sent to another machine.
    pub fn watch_offload(&mut self) {
        self.sent.get_or_insert_default();
    }

    /// Adds the time that compacting a batch took.
    pub fn add_compaction(&mut self, spent: Duration) {
        self.compaction += spent;
    }

    /// Notes what became of the pictures on their way in.
    pub fn set_preprocessing(&mut self, preprocessing: Preprocessing) {
        self.preprocessing = Some(preprocessing);
    }

    /// Notes the frames missed at the rate that was kept.
    pub fn set_deadline_misses(&mut self, misses: usize) {
        self.deadline_misses = Some(misses);
    }

    /// Images counted so far.
    pub fn images(&self) -> usize {
        self.exits.iter().map(|exit| exit.seconds.len()).sum()
    }

    /// Images by the exit where computing stopped.
    pub fn counts(&self) -> Vec<usize> {
        self.exits.iter().map(|exit| exit.seconds.len()).collect()
    }

    /// Fraction of the labelled images that were labelled rightly; `None` without any.
    pub fn accuracy(&self) -> Option<f64> {
        let sum = |of: fn(&Stopped) -> usize| self.exits.iter().map(of).sum::<usize>();
        let (labelled, right) = (sum(|exit| exit.labelled), sum(|exit| exit.right));
        (labelled > 0).then(|| right as f64 / labelled as f64)
    }

    /// What became of images that were sent; `None` where nobody watched.
    pub fn offload(&self) -> Option<OffloadReport> {
        self.sent.clone().map(|sent| sent.report(self.images()))
    }

    /// The figures, with the energy of the run or the reason why it is unknown.
    pub fn report(mut self, subject: Subject<'_>, energy: Result<Joules, NotMeasured>) -> Report {
        let images = self.images();
        let mut all: Vec<f64> = self.exits.iter().flat_map(|exit| exit.seconds.iter().copied()).collect();
        let (counts, accuracy, offload) = (self.counts(), self.accuracy(), self.offload());
        let mut exits = Vec::with_capacity(counts.len());
        for (exit, stopped) in self.exits.iter_mut().enumerate() {
            let latency_s = Latency::of(&mut stopped.seconds);
            exits.push(ExitReport { exit, count: counts[exit], accuracy: stopped.accuracy(), latency_s });
        }
        let mut not_measured = Vec::new();
        let mut known = |what, value: Option<f64>, why| {
            if value.is_none() {
                not_measured.push(NotMeasured::new(what, if images == 0 { "no image was run" } else { why }));
            }
            value
        };
        let accuracy = known("accuracy", accuracy, "the images have no labels");
        let mean_exit = known("mean_exit", mean_exit(&counts), "no image was run");
        let macs = macs_fraction(&counts, subject.macs);
        let macs_fraction = known("macs_fraction", macs, "the final exit has no MACs");
        let latency_s = Latency::of(&mut all);
        known("latency_s", latency_s.map(|latency| latency.mean), "no image was run");
        let energy_j = energy.map_err(|reason| not_measured.push(reason)).ok();
        Report {
            schema_version: SCHEMA_VERSION,
            bundle: subject.bundle,
            backend: subject.backend,
            policy: subject.policy,
            images,
            accuracy,
            preprocessing: self.preprocessing,
            exits,
            mean_exit,
            macs_fraction,
            latency_s,
            compaction_s: (!self.compaction.is_zero()).then_some(self.compaction.as_secs_f64()),
            deadline_misses: self.deadline_misses,
            offload,
            energy_j,
            not_measured,
        }
    }
}
