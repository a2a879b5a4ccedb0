//! What a bench came to, as it is kept: `bench.json`.

mod doubts;

use std::io;
use std::path::{Path, PathBuf};

use offramp_meter::protocol::{Comparison, Idle, Session, Summary};
use offramp_meter::state::BoardState;
use offramp_meter::{Flag, Joules, NotMeasured, Watts};
use offramp_models::Sha256;
use offramp_models::partial::write_whole;
use serde::{Deserialize, Serialize};

use super::energy::ExitEnergies;
use super::{Measured, Ratio};
use crate::policy::PolicySpec;
use crate::report::{BackendName, BundleName};
use crate::statistics::Latency;
pub use doubts::Doubt;

/// The schema version that this build writes and reads.
pub const SCHEMA_VERSION: u32 = 1;

/// The file's name in its folder.
pub const FILE: &str = "bench.json";

/// A bench. Readers skip keys that they do not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Always [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The program and its version.
    pub producer: String,
    /// The processor.
    pub machine: String,
    /// The network.
    pub bundle: BundleName,
    /// What ran it.
    pub backend: BackendName,
    /// Threads inside an operator; `None`: the engine chose.
    pub threads: Option<usize>,
    /// Whether the engine's idle threads spin, which takes power; `None` where there are none.
    pub spinning: Option<bool>,
    /// When it stopped.
    pub policy: PolicySpec,
    /// What the data are called, the benign first.
    pub data: Vec<String>,
    /// The digest of the first.
    pub data_sha256: Sha256,
    /// The board before anything was measured.
    pub board: BoardState,
    /// What was measured, the benign first.
    pub loads: Vec<Load>,
    /// Median latencies over the first load's; empty in older files.
    #[serde(default)]
    pub ratios: Vec<Ratio>,
    /// Energy; null where there was no meter.
    pub energy: Option<Energy>,
    /// Why keys above are null.
    pub not_measured: Vec<NotMeasured>,
}

/// One load's latency and exits, over the runs whose latency was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Its name.
    pub name: String,
    /// Runs.
    pub runs: usize,
    /// How many of them stopped at each exit.
    pub exits: Vec<usize>,
    /// Latency, without a meter beside it.
    pub latency_s: Option<Latency>,
    /// Whether it was steady when the warm-up ended; null in older files.
    #[serde(default)]
    pub steady: Option<bool>,
}

/// What the loads cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Energy {
    /// What measured.
    pub meter: MeterName,
    /// Seconds of a window, and what the rule asks for.
    pub window_s: [f64; 2],
    /// Power while nothing ran, before and after; null where it does not count.
    #[serde(rename = "idle_w")]
    pub idle: [Option<Watts>; 2],
    /// Why it does not count; null where it does.
    #[serde(default)]
    pub idle_rejected: [Option<String>; 2],
    /// By how much the idle power that is taken off may be wrong; null in older files.
    #[serde(rename = "idle_error_w", default)]
    pub idle_error: Option<Watts>,
    /// What each load cost.
    pub loads: Vec<Summary>,
    /// Every later load against the first.
    pub pairs: Vec<Pair>,
    /// By exit; absent where that was not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exits: Option<ExitEnergies>,
    /// Every window in the order of measuring, those that do not count too.
    pub windows: Vec<WindowEnergy>,
}

/// What measured, and what it covers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeterName {
    /// `ina`, `rapl`, `serial` and so on.
    pub source: String,
    /// What the total covers; `None` where there is none.
    pub domain: Option<String>,
    /// Who says that this is the whole, or why nothing is.
    pub rule: String,
    /// Seconds between samples.
    pub period_s: f64,
    /// Share of one core that sampling takes, in [0, 1]; `None` where that was not measured.
    pub cpu_share: Option<f64>,
    /// Watts that sampling takes; `None` where it is below the resolution.
    #[serde(rename = "cost_w")]
    pub cost: Option<Watts>,
    /// Its rails.
    pub rails: Vec<RailName>,
    /// What is worth knowing about it.
    pub notes: Vec<String>,
}

/// A rail of a meter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RailName {
    /// Its label.
    pub name: String,
    /// The rail that contains its energy.
    pub within: Option<String>,
    /// Whether the total contains it.
    pub counted: bool,
    /// Mean power over the windows that count, by load; null where there is none.
    #[serde(rename = "mean_w")]
    pub mean: Vec<Option<Watts>>,
}

/// Two loads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The later load.
    pub name: String,
    /// The first.
    pub against: String,
    /// What can be said.
    #[serde(flatten)]
    pub found: Comparison,
}

/// One window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowEnergy {
    /// Place of its load: those of [`Energy::loads`], then, where energy by exit was asked for, exits and mixtures.
    pub load: usize,
    /// What that load is called.
    #[serde(default)]
    pub load_name: String,
    /// Its middle, in seconds since the measurement began.
    pub middle_s: f64,
    /// Its length.
    pub window_s: f64,
    /// Gross energy; null where there is none.
    #[serde(rename = "gross_j")]
    pub gross: Option<Joules>,
    /// Less what idling would have taken.
    #[serde(rename = "net_j")]
    pub net: Option<Joules>,
    /// By how much the gross energy may be wrong.
    #[serde(rename = "budget_j")]
    pub budget: Joules,
    /// Images.
    pub images: u64,
    /// The rule by which it does not count; null where it does.
    pub rejected: Option<String>,
    /// What makes it doubtful.
    pub flags: Vec<String>,
}

impl Load {
    /// `measured`, of a network of `exits` exits.
    pub fn of(measured: &Measured, exits: usize) -> Self {
        let mut counts = vec![0; exits];
        for exit in &measured.exits {
            if let Some(count) = counts.get_mut(exit.exit) {
                *count = exit.runs;
            }
        }
        Self {
            name: measured.name.clone(),
            runs: measured.runs,
            exits: counts,
            latency_s: measured.latency_s,
            steady: Some(measured.warm_up.steady),
        }
    }
}

impl Energy {
    /// What `session` found of its first `loads` loads.
    pub fn of(session: &Session, loads: usize, exits: Option<ExitEnergies>) -> Self {
        let pairs = (1..loads).filter_map(|later| {
            let (name, against) = (session.loads.get(later)?.clone(), session.loads.first()?.clone());
            Some(Pair { name, against, found: session.compare(0, later) })
        });
        Self {
            meter: MeterName::of(session),
            window_s: [session.plan.window.as_secs_f64(), session.plan.needed_window.as_secs_f64()],
            idle: session.idle.each_ref().map(Idle::counted),
            idle_rejected: session
                .idle
                .each_ref()
                .map(|idle| idle.rejected.as_ref().map(ToString::to_string)),
            idle_error: Some(session.idle_error()),
            loads: session.summaries().into_iter().take(loads).collect(),
            pairs: pairs.collect(),
            exits,
            windows: WindowEnergy::all(session),
        }
    }
}

impl MeterName {
    /// What measured `session`.
    pub fn of(session: &Session) -> Self {
        let meter = &session.meter;
        let (domain, rule) = match &meter.total {
            Ok(rule) => (Some(rule.domain.clone()), rule.source.clone()),
            Err(reason) => (None, reason.why.clone()),
        };
        let counted = |name: &String| meter.total.as_ref().is_ok_and(|rule| rule.rails.contains(name));
        let mean = |rail: usize, load: usize| {
            let windows = session.windows.iter();
            let counting = windows.filter(|window| window.load == load && window.rejected.is_none());
            let (mut joules, mut seconds) = (0.0, 0.0);
            for window in counting {
                joules += window.reading.rails.get(rail)?.energy.as_ref().ok()?.0;
                seconds += window.reading.window.as_secs_f64();
            }
            (seconds > 0.0).then(|| Watts(joules / seconds))
        };
        let rails = meter.rails.iter().enumerate().map(|(at, rail)| RailName {
            name: rail.name.clone(),
            within: rail.within.clone(),
            counted: counted(&rail.name),
            mean: (0..session.loads.len()).map(|load| mean(at, load)).collect(),
        });
        Self {
            source: meter.source.clone(),
            domain,
            rule,
            period_s: meter.period.as_secs_f64(),
            cpu_share: session.overhead.and_then(|cost| cost.cpu_share),
            cost: session.overhead.and_then(|cost| cost.per_second).map(|joules| Watts(joules.0)),
            rails: rails.collect(),
            notes: meter.notes.clone(),
        }
    }
}

impl WindowEnergy {
    /// All of `session`.
    pub fn all(session: &Session) -> Vec<Self> {
        let window = |window: &offramp_meter::protocol::Window| Self {
            load: window.load,
            load_name: session.loads.get(window.load).cloned().unwrap_or_default(),
            middle_s: window.middle.as_secs_f64(),
            window_s: window.reading.window.as_secs_f64(),
            gross: window.reading.energy.as_ref().ok().copied(),
            net: window.net.as_ref().ok().copied(),
            budget: window.budget.total(),
            images: window.work.images,
            rejected: window.rejected.as_ref().map(ToString::to_string),
            flags: window.reading.flags.iter().map(Flag::to_string).collect(),
        };
        session.windows.iter().map(window).collect()
    }
}

impl Record {
    /// Writes it into `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// When it cannot be written; nothing is left half-written.
    pub fn write(&self, folder: &Path) -> io::Result<PathBuf> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(FILE);
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        write_whole(&path, &bytes)?;
        Ok(path)
    }

    /// What the board calls itself, else its processor.
    pub fn device(&self) -> &str {
        self.board.model.as_deref().unwrap_or(&self.machine)
    }
}
