//! `offramp calibrate`: thresholds for a budget, from logits recorded once.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use offramp_models::dataset::{DataRef, Dataset, PublishedSplit, shapes};
use offramp_runtime::calibrate::{CalibrateError, Costs, Demand, Family, calibrate};
use offramp_runtime::executor::Executor;
use offramp_runtime::policy::{Constraint, Fallback, PolicyFile, PolicySpec};
use offramp_runtime::recording::{Recorder, Recording};
use offramp_runtime::replay::Replay;
use serde_json::json;

use crate::engines::EngineFlags;
use crate::input::InputFlags;
use crate::output;
use crate::policies::{FallbackKind, Kind};
use crate::session::{Feed, Session, batches};
use crate::status::{Status, explain, hint, usage};

/// Choose thresholds for a budget and write them as a policy file.
///
/// The images must not be those that the policy is judged on later. A budget that cannot be met is status 3.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  offramp calibrate network.bundle --input calibration.npz --max-accuracy-drop 0.01 -o policy.json\n  \
                        offramp calibrate network.bundle --input calibration.npz --max-macs 0.5 --per-exit -o policy.json"
)]
pub struct Calibrate {
    /// The bundle
    bundle: PathBuf,
    #[command(flatten)]
    input: InputFlags,
    #[command(flatten)]
    budget: Budget,
    /// The accuracy drop is a fraction of the final exit's accuracy, not a difference
    #[arg(long, requires = "max_accuracy_drop")]
    relative: bool,
    /// Confidence that decides
    #[arg(long, value_enum, default_value = "max-softmax")]
    policy: Kind,
    /// One threshold per exit instead of one for all
    #[arg(long)]
    per_exit: bool,
    /// Whose label is returned when nothing is confident
    #[arg(long, value_enum, default_value = "final")]
    fallback: FallbackKind,
    /// The policy file to write; BUNDLE/policies/default.json becomes the bundle's default
    #[arg(short, long, value_name = "POLICY")]
    output: PathBuf,
    /// Where prepared segments are kept [default: BUNDLE/.prepared]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineFlags,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What the policy must keep to; one of them.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
struct Budget {
    /// Accuracy that may be lost against the final exit, in [0, 1]
    #[arg(long, value_name = "P")]
    max_accuracy_drop: Option<f64>,
    /// Mean multiply-adds over those of the final exit, in [0, 1]
    #[arg(long, value_name = "F")]
    max_macs: Option<f64>,
    /// Mean latency in milliseconds, on this device and backend
    #[arg(long, value_name = "L")]
    max_latency_ms: Option<f64>,
    /// Mean energy in millijoules
    #[arg(long, value_name = "E")]
    max_energy_mj: Option<f64>,
}

impl Budget {
    /// Refuses what no policy can be held to, before any image is run.
    fn check(&self) -> anyhow::Result<()> {
        for (flag, value) in [("--max-accuracy-drop", self.max_accuracy_drop), ("--max-macs", self.max_macs)]
        {
            if let Some(value) = value.filter(|value| !(0.0..=1.0).contains(value)) {
                return Err(usage(format!("{flag} is a fraction in [0, 1], got {value}")));
            }
        }
        if self.max_latency_ms.is_some_and(|ms| ms.is_nan() || ms <= 0.0) {
            return Err(usage("--max-latency-ms is a number above 0"));
        }
        if self.max_energy_mj.is_some() {
            anyhow::bail!("energy is not measured: this build has no energy meter");
        }
        Ok(())
    }

    fn constraint(&self, relative: bool) -> Constraint {
        if let Some(limit) = self.max_macs {
            Constraint::MaxMacs { limit }
        } else if let Some(ms) = self.max_latency_ms {
            Constraint::MaxLatency { limit_s: ms / 1e3 }
        } else if let Some(mj) = self.max_energy_mj {
            Constraint::MaxEnergy { limit_j: mj / 1e3 }
        } else {
            Constraint::MaxAccuracyDrop { limit: self.max_accuracy_drop.unwrap_or(0.0), relative }
        }
    }
}

/// Images whose latency is measured per exit for a latency budget.
const TIMED_IMAGES: usize = 200;

impl Calibrate {
    pub fn run(self) -> anyhow::Result<Status> {
        self.refuse_test_images()?;
        self.budget.check()?;
        let session = Session::open(&self.bundle, &self.engine, self.cache.as_deref())?;
        let data = self.input.open(session.bundle.manifest())?;
        let recording = record(&session, data.as_ref())?;
        let constraint = self.budget.constraint(self.relative);
        let latency = match constraint {
            Constraint::MaxLatency { .. } => Some(exit_latencies(&session, data.as_ref())?),
            _ => None,
        };
        let family = match self.policy.measure() {
            Some(measure) => Family::Confidence { measure, per_exit: self.per_exit },
            None => Family::Patience,
        };
        let macs = session.macs();
        let costs = Costs { macs: &macs, latency_s: latency.as_deref(), energy_j: None };
        let demand = Demand { constraint, family, fallback: self.fallback.into() };
        let file = match calibrate(&recording, &demand, &costs) {
            Ok(file) => file,
            Err(error @ CalibrateError::Infeasible { .. }) => {
                explain(&error.into());
                return Ok(Status::NotHeld);
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(folder) = self.output.parent().filter(|folder| folder.ends_with("policies")) {
            std::fs::create_dir_all(folder)?;
        }
        file.write(&self.output)?;
        self.print(&session, &recording, &file, &macs)?;
        Ok(Status::Done)
    }

    /// Calibrated on the images it is judged by, a policy proves nothing.
    fn refuse_test_images(&self) -> anyhow::Result<()> {
        let (test, instead) = match &self.input.input {
            DataRef::Shapes { split: shapes::Split::Test, .. } => (true, "shapes:calibration".to_owned()),
            DataRef::Cifar10 { split: PublishedSplit::Test, .. }
            | DataRef::Cifar100 { split: PublishedSplit::Test, .. }
            | DataRef::TinyImageNet { split: PublishedSplit::Test, .. } => {
                (true, format!("{}#train", self.input.input))
            }
            _ => (false, String::new()),
        };
        if test {
            let message = format!("{} is the test split that a policy is judged by", self.input.input);
            return Err(hint(usage(message), format!("calibrate on other images: --input {instead}")));
        }
        Ok(())
    }

    fn print(
        &self,
        session: &Session,
        recording: &Recording,
        file: &PolicyFile,
        macs: &[u64],
    ) -> anyhow::Result<()> {
        let replay = Replay::new(recording)?;
        let exits = replay.exits();
        let at = |spec: &PolicySpec| anyhow::Ok(replay.evaluate(spec.fit(exits)?.as_ref(), macs));
        let last = at(&PolicySpec::fixed(exits - 1))?;
        let chosen = at(&file.policy)?;
        if self.json {
            return output::json(&json!({
                "schema_version": 1, "bundle": session.bundle_name(), "backend": session.backend_name(),
                "policy_file": self.output.display().to_string(), "policy": file,
                "exit_counts": chosen.counts, "final_accuracy": last.accuracy,
            }));
        }
        let percent =
            |part: Option<f64>| part.map_or("unknown".to_owned(), |part| format!("{:.2} %", part * 100.0));
        output::text(format!(
            "{}: {}\non these {} images: accuracy {} (final exit {}), MACs fraction {}, exits {:?}",
            self.output.display(),
            file.policy,
            recording.images(),
            percent(chosen.accuracy),
            percent(last.accuracy),
            chosen.macs_fraction.map_or("unknown".to_owned(), |fraction| format!("{fraction:.3}")),
            chosen.counts
        ))
    }
}

/// Logits of every exit for all of `data`.
fn record(session: &Session, data: &dyn Dataset) -> anyhow::Result<Recording> {
    let batch = NonZeroUsize::MIN;
    let mut recorder = Recorder::new(&session.pipeline, batch)?;
    let mut feed = Feed::new(data, &session.bundle)?;
    let bar = output::progress(data.len() as u64, "recording");
    for (first, count) in batches(data.len(), batch) {
        let labels: Vec<_> = (first..first + count).map(|image| data.label(image)).collect();
        recorder.record(feed.batch(first, count)?, &labels)?;
        bar.inc(count as u64);
    }
    bar.finish_and_clear();
    Ok(recorder.finish(data.digest()?)?)
}

/// Mean seconds to each exit, by stopping there on purpose.
fn exit_latencies(session: &Session, data: &dyn Dataset) -> anyhow::Result<Vec<f64>> {
    let exits = session.pipeline.exits().len();
    let images = data.len().min(TIMED_IMAGES);
    let mut feed = Feed::new(data, &session.bundle)?;
    let bar = output::progress((exits * images) as u64, "timing");
    let mut means = Vec::with_capacity(exits);
    for exit in 0..exits {
        let policy = PolicySpec { fallback: Fallback::Final, ..PolicySpec::fixed(exit) }.fit(exits)?;
        let mut executor = Executor::new(&session.pipeline, policy.as_ref(), NonZeroUsize::MIN)?;
        executor.warm_up(feed.batch(0, 1)?)?;
        let mut seconds = 0.0;
        for image in 0..images {
            seconds += executor.run_one(image, feed.batch(image, 1)?)?.latency.as_secs_f64();
            bar.inc(1);
        }
        means.push(seconds / images as f64);
    }
    bar.finish_and_clear();
    Ok(means)
}
