//! `offramp calibrate`: thresholds for a budget, from logits recorded once.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use offramp_models::Bundle;
use offramp_models::dataset::{DataRef, Dataset, PublishedSplit, shapes};
use offramp_runtime::calibrate::{CalibrateError, Costs, Demand, Family, calibrate};
use offramp_runtime::meter::{Joules, Meter};
use offramp_runtime::pass;
use offramp_runtime::policy::{Constraint, PolicyFile, PolicySpec};
use offramp_runtime::recording::Recording;
use offramp_runtime::replay::Replay;
use serde_json::json;

use crate::backends::BackendFlags;
use crate::energy::WindowFlags;
use crate::input::InputFlags;
use crate::meters::{MeterChoice, MeterFlags};
use crate::policies::{FallbackKind, Kind};
use crate::prepared::{Device, PreparedBundle};
use crate::status::{Status, hint, usage};
use crate::{output, provenance, quantities};

/// Choose thresholds for a budget and write them as a policy file
///
/// The images must not be those that the policy is judged on later. A budget that cannot be met is status 3.
#[derive(Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "Examples:\n  offramp calibrate network.bundle --input calibration.npz --max-accuracy-drop 0.01 -o policy.json\n  \
                        offramp calibrate network.bundle --input calibration.npz --max-macs 0.5 --per-exit -o policy.json\n  \
                        offramp calibrate network.bundle --input calibration.npz --max-energy-mj 12 --meter ina -o policy.json"
)]
pub struct Calibrate {
    /// The bundle, a folder that `split` wrote
    bundle: PathBuf,
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
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    budget: Budget,
    #[command(flatten)]
    input: InputFlags,
    #[command(flatten)]
    backend: BackendFlags,
    #[command(flatten)]
    meter: MeterFlags,
    #[command(flatten)]
    windows: WindowFlags,
}

/// What the policy must keep to; one of them.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
#[command(next_help_heading = "Budget (one of them)")]
struct Budget {
    /// Accuracy that may be lost against the final exit, in [0, 1]
    #[arg(long, value_name = "P", value_parser = quantities::fraction)]
    max_accuracy_drop: Option<f64>,
    /// Mean multiply-adds over those of the final exit, in [0, 1]
    #[arg(long, value_name = "F", value_parser = quantities::fraction)]
    max_macs: Option<f64>,
    /// Mean latency in milliseconds, on this device and backend
    #[arg(long, value_name = "L", value_parser = quantities::amount)]
    max_latency_ms: Option<f64>,
    /// Mean energy in millijoules, net of idling, measured by --meter exit by exit; takes minutes
    #[arg(long, value_name = "E", value_parser = quantities::amount)]
    max_energy_mj: Option<f64>,
}

impl Budget {
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
const TIMED_IMAGES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(199);

impl Calibrate {
    pub fn run(self) -> anyhow::Result<Status> {
        self.refuse_test_images()?;
        let mut meter = self.meter()?;
        let bundle = Bundle::open(&self.bundle)?;
        let data = self.input.open(bundle.manifest())?;
        let prepared = PreparedBundle::open(bundle, &self.backend, self.cache.as_deref(), Device::default())?;
        let found = self.calibrate(&prepared, data.as_ref(), meter.as_deref_mut())?;
        if let Some(folder) = self.output.parent().filter(|folder| folder.ends_with("policies")) {
            std::fs::create_dir_all(folder)?;
        }
        found.file.write(&self.output)?;
        self.print(&prepared, &found)?;
        Ok(Status::Done)
    }

    fn calibrate(
        &self,
        prepared: &PreparedBundle,
        data: &dyn Dataset,
        meter: Option<&mut (dyn Meter + 'static)>,
    ) -> anyhow::Result<Found> {
        let pipeline = &prepared.pipeline;
        let whole = provenance::digest(&self.input.input, prepared.bundle.manifest())?;
        let bar = output::progress(data.len() as u64, "recording");
        let recording = pass::record(pipeline, data, whole, || bar.inc(1));
        bar.finish_and_clear();
        let constraint = self.budget.constraint(self.relative);
        let latency = match constraint {
            Constraint::MaxLatency { .. } => {
                let bar = output::spinner("timing");
                let latencies = pass::exit_latencies(pipeline, data, TIMED_IMAGES, || bar.tick());
                bar.finish_and_clear();
                Some(latencies?)
            }
            _ => None,
        };
        let family = match self.policy.measure() {
            Some(measure) => Family::Confidence { measure, per_exit: self.per_exit },
            None => Family::Patience,
        };
        let (macs, recording) = (prepared.macs(), recording?);
        let energy = match meter {
            Some(meter) => Some(self.windows.exits(&self.meter.host(), meter, pipeline, data)?),
            None => None,
        };
        let joules: Option<Vec<f64>> =
            energy.as_ref().map(|energy| energy.iter().map(|(mean, _)| mean.0).collect());
        let costs = Costs { macs: &macs, latency_s: latency.as_deref(), energy_j: joules.as_deref() };
        let demand = Demand { constraint, family, fallback: self.fallback.into() };
        let file = calibrate(&recording, &demand, &costs).map_err(explain)?;
        Ok(Found { file, recording, latency_s: latency, energy })
    }

    /// The meter, for a budget of energy.
    fn meter(&self) -> anyhow::Result<Option<Box<dyn Meter>>> {
        if self.budget.max_energy_mj.is_none() {
            return Ok(None);
        }
        let advice = "--max-macs and --max-latency-ms bound what energy follows; `offramp meter list` tells what there is";
        self.meter.open(&MeterChoice::Auto)?.map(Some).map_err(|reason| hint(reason, advice))
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
            return Err(usage(message, format!("calibrate on other images: --input {instead}")));
        }
        Ok(())
    }

    fn print(&self, prepared: &PreparedBundle, found: &Found) -> anyhow::Result<()> {
        let Found { file, recording, latency_s, energy } = found;
        let macs = prepared.macs();
        let replay = Replay::new(recording)?;
        let exits = replay.exits();
        let at = |spec: &PolicySpec| anyhow::Ok(replay.evaluate(spec.fit(exits)?.as_ref(), &macs));
        let last = at(&PolicySpec::fixed(exits - 1))?;
        let chosen = at(&file.policy)?;
        // What an image costs on average when it stops where it does.
        let mean = |of_exit: &dyn Fn(usize) -> f64| {
            let all: f64 =
                chosen.counts.iter().enumerate().map(|(at, count)| *count as f64 * of_exit(at)).sum();
            all / recording.images().max(1) as f64
        };
        let latency = latency_s.as_ref().map(|exits| mean(&|at| exits.get(at).copied().unwrap_or(f64::NAN)));
        let joules = energy.as_ref().map(|exits| mean(&|at| exits.get(at).map_or(f64::NAN, |exit| exit.0.0)));
        if self.json {
            let exits = energy.as_ref().map(|exits| {
                let exit = |(mean, half): &(Joules, Joules)| json!({"net_j": mean, "net_interval_j": half});
                exits.iter().map(exit).collect::<Vec<_>>()
            });
            return output::json(&json!({
                "schema_version": 1, "bundle": prepared.bundle_name(), "backend": prepared.backend_name(),
                "policy_file": self.output.display().to_string(), "policy": file,
                "exit_counts": chosen.counts, "final_accuracy": last.accuracy,
                "latency_s": latency, "latency_by_exit_s": latency_s,
                "energy_j": joules, "energy_by_exit": exits,
            }));
        }
        let percent = |fraction: Option<f64>| {
            fraction.map_or("unknown".to_owned(), |it| format!("{:.2} %", it * 100.0))
        };
        let mut lines = vec![format!(
            "{}: {}\non these {} images: accuracy {} (final exit {}), MACs fraction {}, exits {:?}",
            self.output.display(),
            file.policy,
            recording.images(),
            percent(chosen.accuracy),
            percent(last.accuracy),
            chosen.macs_fraction.map_or("unknown".to_owned(), |fraction| format!("{fraction:.3}")),
            chosen.counts
        )];
        lines.extend(latency.map(|seconds| format!("mean latency {:.3} ms", seconds * 1e3)));
        if let Some((joules, exits)) = joules.zip(energy.as_ref()) {
            let exits: Vec<String> = exits.iter().map(|(mean, half)| mean.within(*half)).collect();
            lines.push(format!("mean energy {} net; by exit {}", Joules(joules), exits.join(", ")));
        }
        output::text(lines.join("\n"))
    }
}

/// What came out.
struct Found {
    file: PolicyFile,
    recording: Recording,
    /// By exit, where that was measured.
    latency_s: Option<Vec<f64>>,
    /// The same, net of idling, with half of its interval.
    energy: Option<Vec<(Joules, Joules)>>,
}

/// Adds what helps to an error of calibration.
fn explain(error: CalibrateError) -> anyhow::Error {
    match &error {
        CalibrateError::Infeasible { .. } => {
            hint(error, "nothing was written; allow more, or train better exits")
        }
        CalibrateError::Unlabelled { .. } => hint(error, "calibrate on images whose labels are known"),
        _ => error.into(),
    }
}
