//! `offramp bench`: latency in steady state, interleaved where two things are compared.

mod energy;
mod offload;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use offramp_models::Sha256;
use offramp_models::dataset::DataRef;
use offramp_models::preprocess::Preprocessor;
use offramp_offload::experiment;
use offramp_runtime::bench::record::{self, Energy};
use offramp_runtime::bench::{Comparison, Measured, MeasuredExit, Protocol, Subject, SubjectError, compare};
use offramp_runtime::meter::state::BoardState;
use offramp_runtime::meter::{Meter, NotMeasured};
use offramp_runtime::report::Preprocessing;
use serde_json::json;

use self::energy::EnergyTrials;
use self::offload::{OffloadTrials, Plan};
use crate::backends::{BackendChoice, BackendFlags};
use crate::input;
use crate::meters::MeterChoice;
use crate::prepared::PreparedBundle;
use crate::results::ResultFlags;
use crate::status::{Status, usage};
use crate::workload::{Device, Workload, WorkloadFlags};
use crate::{output, quantities};

/// Measure steady-state latency per image and per exit, one image at a time, with 95 % intervals
///
/// What is compared runs in turns (A B B A) in one process, so that the machine's moods hit both alike.
#[derive(Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "Examples:\n  offramp bench network.bundle --input test.npz --threshold 0.8 --threads 1\n  \
                        offramp bench network.bundle --input benign.npz --against adversarial.npz\n  \
                        offramp bench network.bundle --input test.npz --exit 6 --whole network.onnx --threads 1\n  \
                        offramp bench network.bundle --input test.npz --exit 6 --against-backend tract --backend ort\n  \
                        offramp bench network.bundle --input test.npz --as-bundled\n  \
                        offramp bench network.bundle --input benign.npz --against adversarial.npz --meter auto -o results\n  \
                        offramp bench network.bundle --input test.npz --offload self --link 4g.toml,wifi.toml --device-scale 5 -o field"
)]
pub struct Bench {
    /// Compare with these pictures; DATA as for --input
    #[arg(long, value_name = "DATA")]
    against: Option<DataRef>,
    /// Compare with another backend on the same pictures
    #[arg(long, value_name = "B")]
    against_backend: Option<BackendChoice>,
    /// Compare with the bundle's own segments, not optimised for this device
    #[arg(long)]
    as_bundled: bool,
    /// Compare with the whole network in one piece on the same backend
    #[arg(long, value_name = "MODEL.onnx")]
    whole: Option<PathBuf>,
    /// Blocks, the unit of resampling, 2 or more; each has two turns of everything compared [default: 30, with --offload 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..))]
    blocks: Option<u16>,
    /// Images in a row before the next one's turn [default: 20, with --offload 10]
    #[arg(long, value_name = "N", value_parser = quantities::count)]
    turn: Option<NonZeroUsize>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    workload: WorkloadFlags,
    #[command(flatten)]
    results: ResultFlags,
    #[command(flatten)]
    energy: EnergyTrials,
    #[command(flatten)]
    offload: OffloadTrials,
}

/// What came out.
struct Found {
    /// The board before it.
    board: BoardState,
    comparison: Comparison,
    energy: Result<Energy, NotMeasured>,
}

impl Bench {
    pub fn run(self) -> anyhow::Result<Status> {
        if self.offload.are_asked() {
            if self.workload.meter.meter.as_ref().is_some_and(|meter| *meter != MeterChoice::None) {
                let advice = "measure energy without --offload: windows of minutes and links that change do not go together";
                return Err(usage("--meter does not go with --offload", advice));
            }
            return self.offload.run(&Plan {
                workload: &self.workload,
                against: self.against.as_ref(),
                blocks: self.blocks.unwrap_or(5),
                turn: self.turn.map_or(10, NonZeroUsize::get),
                output: self.results.folder(experiment::FILE)?,
                json: self.json,
            });
        }
        // What is not there is told before anything is opened.
        let meter = self.energy.meter(&self.workload)?;
        let folder = self.results.folder(record::FILE)?;
        let workload = self.workload.open(self.workload.bundle()?, Device::default())?;
        let found = self.compare(&workload, meter)?;
        self.print(&workload, found, folder)?;
        Ok(Status::Done)
    }

    fn compare(
        &self,
        workload: &Workload,
        meter: Result<Box<dyn Meter>, NotMeasured>,
    ) -> anyhow::Result<Found> {
        let Workload { prepared, chosen, data } = workload;
        let (flags, policy, data) = (&self.workload.backend, chosen.policy.as_ref(), data.as_ref());
        let manifest = prepared.bundle.manifest();
        let other_data = self.against.as_ref().map(|other| {
            chosen.warn_if_calibrated_on(other, manifest);
            input::open(other, self.workload.input.limit, manifest)
        });
        let other_data = other_data.transpose()?;
        let other_backend = self
            .against_backend
            .map(|backend| self.workload.prepare_on(workload, &BackendFlags { backend, ..flags.clone() }));
        let other_backend = other_backend.transpose()?;
        let as_bundled = self.as_bundled.then(|| prepared.as_bundled(flags)).transpose()?;

        let mut subjects = vec![Subject::segments(name(prepared), &prepared.pipeline, policy, data)?];
        if let (Some(other), Some(reference)) = (&other_data, &self.against) {
            if other.len() != data.len() {
                output::note(format!(
                    "note: {} has {} images, {reference} has {}: they differ in more than what was done to them",
                    self.workload.input.input,
                    data.len(),
                    other.len()
                ));
            }
            subjects[0].name = self.workload.input.input.to_string();
            let other = Subject::segments(reference.to_string(), &prepared.pipeline, policy, other.as_ref())?;
            subjects.push(other);
        }
        if let Some(other) = &other_backend {
            subjects.push(Subject::segments(name(other), &other.pipeline, policy, data)?);
        }
        if let Some(pipeline) = &as_bundled {
            let name = format!("{}, as bundled", name(prepared));
            subjects.push(Subject::segments(name, pipeline, policy, data)?);
        }
        if let Some(model) = &self.whole {
            let digest =
                Sha256::of_file(model).with_context(|| format!("cannot read {}", model.display()))?;
            if digest != manifest.source.sha256 {
                let (file, name) = (model.display(), &manifest.source.file);
                output::note(format!("warning: {file} is not the {name} that the bundle was split from"));
            }
            let (backend, threads) = (prepared.backend.as_ref(), flags.thread_count());
            subjects.push(Subject::whole(model, backend, threads, &prepared.pipeline, data)?);
        }
        let plain = Protocol::default();
        let protocol = Protocol {
            blocks: self.blocks.map_or(plain.blocks, usize::from),
            turn: self.turn.map_or(plain.turn, NonZeroUsize::get),
            ..plain
        };
        let total = (subjects.len() * 2 * protocol.blocks * protocol.turn) as u64;
        let bar = output::progress(total, "measuring");
        let mut subjects: Vec<_> = subjects.into_iter().map(|subject| counted(subject, &bar)).collect();
        let board = BoardState::read(&self.workload.meter.host());
        let comparison = compare(&mut subjects, &protocol);
        bar.finish_and_clear();
        let comparison = comparison?;
        let energy = meter.map(|mut meter| {
            self.energy.measure(&self.workload, meter.as_mut(), &mut subjects, &prepared.pipeline, data)
        });
        let energy = match energy {
            Ok(measured) => Ok(measured?),
            Err(reason) => Err(reason),
        };
        Ok(Found { board, comparison, energy })
    }

    fn print(&self, workload: &Workload, found: Found, folder: Option<&Path>) -> anyhow::Result<()> {
        let Workload { prepared, chosen, .. } = workload;
        let Found { board, comparison: found, energy } = found;
        let Some(first) = found.subjects.first() else { return Ok(()) };
        let data = std::iter::once(&self.workload.input.input).chain(&self.against).map(ToString::to_string);
        if let Some(folder) = folder {
            let record =
                energy::record(&self.workload, workload, data.collect(), &found, energy.clone(), board)?;
            record.write(folder).with_context(|| format!("cannot write into {}", folder.display()))?;
        }
        let (energy, missing) = match energy {
            Ok(energy) => (Some(energy), None),
            Err(reason) => (None, Some(reason)),
        };
        let threads = prepared.threads;
        let preprocessing = Preprocessing {
            how: Preprocessor::new(prepared.pipeline.input())?.describe().to_owned(),
            // Only folders are resized; their pictures are not counted here.
            resized: (!matches!(self.workload.input.input, DataRef::Folder(_))).then_some(0),
        };
        if self.json {
            let exit = |exit: &MeasuredExit| json!({"exit": exit.exit, "count": exit.runs, "latency_s": exit.latency_s, "median_s": exit.median_s});
            return output::json(&json!({
                "schema_version": 1, "bundle": prepared.bundle_name(), "backend": prepared.backend_name(),
                "policy": chosen.file.policy, "preprocessing": preprocessing, "threads": threads.threads, "threads_why": threads.threads_why,
                "spinning": threads.spinning, "prepared": prepared.segments,
                "segments": prepared.ran_by(), "prepare_s": prepared.prepare_s,
                "latency_s": first.latency_s, "exits": first.exits.iter().map(exit).collect::<Vec<_>>(),
                "subjects": found.subjects, "ratios": found.ratios,
                "energy_j": energy.as_ref().and_then(|energy| energy.loads.first()?.gross).map(|gross| gross.mean),
                "energy": energy, "not_measured": missing.as_slice(),
            }));
        }
        let mut lines = vec![format!("prepared in {:.2} s; threads: {threads}", prepared.prepare_s)];
        lines.extend(found.subjects.iter().map(tell));
        for ratio in &found.ratios {
            let interval = &ratio.ratio;
            lines.push(format!(
                "{} / {}: {:.4} (95 % {:.4} to {:.4}), medians",
                ratio.name, ratio.against, interval.estimate, interval.low, interval.high
            ));
        }
        lines.extend(energy.as_ref().map(energy::tell));
        lines.extend(missing.map(|missing| format!("energy: not measured ({})", missing.why)));
        output::text(lines.join("\n"))?;
        if let Some(folder) = folder {
            output::note(format!("`offramp report {} -o FILE.html` shows it", folder.display()));
        }
        Ok(())
    }
}

fn name(prepared: &PreparedBundle) -> String {
    let backend = prepared.backend.describe();
    format!("{} {}", backend.name, backend.provider)
}

fn counted<'a>(
    mut subject: Subject<'a, SubjectError>,
    bar: &'a indicatif::ProgressBar,
) -> Subject<'a, SubjectError> {
    let run = Box::new(move |input| {
        bar.inc(1);
        (subject.run)(input)
    });
    Subject { name: subject.name, run }
}

fn tell(subject: &Measured) -> String {
    let ms = |seconds: f64| format!("{:.3}", seconds * 1e3);
    let mut text = format!("{}: {} runs", subject.name, subject.runs);
    if let (Some(latency), Some(median)) = (&subject.latency_s, &subject.median_s) {
        text += &format!(
            ", mean {} ms, median {} ms (95 % {} to {}), p90 {}, p99 {}, max {}",
            ms(latency.mean),
            ms(median.estimate),
            ms(median.low),
            ms(median.high),
            ms(latency.p90),
            ms(latency.p99),
            ms(latency.max)
        );
    }
    if !subject.warm_up.steady {
        text += "; NOT STEADY after the warm-up";
    }
    for exit in &subject.exits {
        if let Some(latency) = &exit.latency_s {
            let (p50, p90, p99) = (ms(latency.p50), ms(latency.p90), ms(latency.p99));
            text +=
                &format!("\n  exit {}: {} runs, p50 {p50} ms, p90 {p90}, p99 {p99}", exit.exit, exit.runs);
        }
    }
    text
}
