//! `offramp run`: pictures through the segments with early exit.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use offramp_offload::client::Summary;
use offramp_runtime::meter::{NotMeasured, Reading};
use offramp_runtime::pass::{self, PassOptions};
use offramp_runtime::pipeline::RanBy;
use offramp_runtime::report::{Report, Tally};
use serde::Serialize;

use crate::backends::Threads;
use crate::meters::MeterChoice;
use crate::offload::{OffloadFlags, Offloading, Plan};
use crate::status::{Status, usage};
use crate::trace::TraceFile;
use crate::workload::{Device, Workload, WorkloadFlags};
use crate::{output, quantities};

/// Run pictures through a bundle, stopping each at the first confident exit
#[derive(Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "Examples:\n  offramp run network.bundle --input test.npz --threshold 0.8\n  \
                        offramp run network.bundle --input photos/ --policy entropy --thresholds 0.9,0.8,0.7 --trace t.jsonl\n  \
                        offramp run network.bundle --input shapes:test --exit 2 --backend tract --json\n  \
                        offramp run network.bundle --input test.npz --offload grpc://10.0.0.7:8001 --offload-after 1 --deadline-ms 50\n  \
                        offramp run network.bundle --input test.npz --offload grpc://10.0.0.7:8001 --offload-after auto"
)]
pub struct Run {
    /// Images at once
    #[arg(long, value_name = "N", default_value = "1", value_parser = quantities::count)]
    batch: NonZeroUsize,
    /// Take pictures at this rate, like a camera, and count missed deadlines; no picture is dropped
    #[arg(long, value_name = "HZ", value_parser = quantities::rate)]
    rate: Option<f64>,
    /// Write one JSON line per image: exit, label, confidences, latencies (docs/semantics.md has the keys)
    #[arg(long, value_name = "FILE.jsonl")]
    trace: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    workload: WorkloadFlags,
    #[command(flatten)]
    offload: OffloadFlags,
}

/// A report, and what ran it in detail.
#[derive(Serialize)]
struct Detailed<'a> {
    #[serde(flatten)]
    report: &'a Report,
    #[serde(flatten)]
    threads: Threads,
    segments: Vec<RanBy>,
    #[serde(flatten)]
    offload: Option<Summary>,
    /// Energy of the whole run, reading the pictures included.
    #[serde(skip_serializing_if = "Option::is_none")]
    energy: Option<Reading>,
}

impl Run {
    pub fn run(self) -> anyhow::Result<Status> {
        if self.rate.is_some() && self.batch.get() > 1 {
            let advice = "leave --batch out: a camera gives one picture at a time";
            return Err(usage("--rate does not go with --batch", advice));
        }
        let bundle = self.workload.bundle()?;
        let plan = self.offload.plan(&bundle)?;
        let workload = self
            .workload
            .open(bundle, Device { offload: plan.as_ref().and_then(Plan::wire), scale: None })?;
        let connect = |plan: Plan| plan.connect(&workload.prepared, &self.workload.backend);
        let mut offloading = plan.map(connect).transpose()?;
        let mut meter = self.workload.meter.open(&MeterChoice::Auto)?;
        if let Ok(meter) = &mut meter {
            meter.start()?;
        }
        let tally = self.pass(&workload, offloading.as_mut())?;
        let energy = match meter {
            Ok(mut meter) => Ok(meter.stop()?),
            Err(reason) => Err(reason),
        };
        let joules = energy.as_ref().map_err(NotMeasured::clone).and_then(|reading| reading.energy.clone());
        let report = workload.report(tally, joules);
        let energy = energy.ok();
        let offload = offloading.map(Offloading::finish);
        if self.json {
            let (threads, segments) = (workload.prepared.threads, workload.prepared.ran_by());
            output::json(&Detailed { report: &report, threads, segments, offload, energy })?
        } else {
            let peers = offload.map(|summary| summary.table()).unwrap_or_default();
            let rails = energy.iter().filter(|reading| reading.energy.is_err()).filter_map(rails);
            let flags =
                energy.iter().flat_map(|reading| &reading.flags).map(|flag| format!("energy: {flag}\n"));
            let (rails, flags): (String, String) = (rails.collect(), flags.collect());
            output::text(format!("{}{rails}{flags}{peers}", report.table()).trim_end())?
        }
        Ok(Status::Done)
    }

    fn pass(&self, workload: &Workload, offloading: Option<&mut Offloading>) -> anyhow::Result<Tally> {
        let Workload { prepared, chosen, data } = workload;
        let options = PassOptions { batch: self.batch, rate_hz: self.rate };
        let mut trace = self.trace.as_deref().map(TraceFile::create).transpose()?;
        let bar = output::progress(data.len() as u64, "running");
        let tally = pass::run(
            &prepared.pipeline,
            chosen.policy.as_ref(),
            data.as_ref(),
            options,
            offloading.map(Offloading::offload),
            |outcome, label| {
                bar.inc(1);
                trace.as_mut().map_or(Ok(()), |trace| trace.write(outcome, label))
            },
        );
        bar.finish_and_clear();
        let tally = tally?;
        trace.map_or(Ok(()), TraceFile::finish)?;
        Ok(tally)
    }
}

/// Rails of a reading that has no total; `None` where none gave energy.
fn rails(reading: &Reading) -> Option<String> {
    let told =
        reading.rails.iter().filter_map(|rail| Some(format!("{} {}", rail.name, rail.energy.as_ref().ok()?)));
    let told: Vec<String> = told.collect();
    (!told.is_empty())
        .then(|| format!("energy of rails, which may lie within each other: {}\n", told.join(", ")))
}
