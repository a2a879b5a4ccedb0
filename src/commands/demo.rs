//! `offramp demo`: the main job, end to end, on the shipped network.

use std::num::NonZeroUsize;

use anyhow::Context as _;
use clap::Args;
use offramp_exporter::split::{self, SplitOptions};
use offramp_exporter::verify::VerifyOptions;
use offramp_models::dataset::{self, DataRef, Dataset, OpenOptions, shapes};
use offramp_models::zoo;
use offramp_runtime::calibrate::{Costs, Demand, Family, calibrate};
use offramp_runtime::confidence::Measure;
use offramp_runtime::executor::Executor;
use offramp_runtime::meter::NotMeasured;
use offramp_runtime::policy::{Constraint, Fallback, PolicySpec};
use offramp_runtime::recording::Recorder;
use offramp_runtime::report::{Report, Subject, Tally};
use serde_json::json;

use crate::engines::EngineFlags;
use crate::output;
use crate::session::{Feed, Session, batches};
use crate::status::Status;

/// Split the shipped network, prove it, calibrate it, and run it with and without early exit.
#[derive(Args)]
#[command(after_help = "Example:\n  offramp demo --backend tract")]
pub struct Demo {
    /// Pictures of the built-in data set to run, and to calibrate on
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u16).range(10..=2000))]
    images: u16,
    #[command(flatten)]
    engine: EngineFlags,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Accuracy that the demo's policy may lose on the calibration pictures.
const DROP: f64 = 0.005;

impl Demo {
    pub fn run(self) -> anyhow::Result<Status> {
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let model = folder.path().join(format!("{}.onnx", zoo::SHAPES_SDN_NAME));
        std::fs::write(&model, zoo::SHAPES_SDN)
            .with_context(|| format!("cannot write {}", model.display()))?;
        let bundle = folder.path().join("bundle");
        let names = folder.path().join("classes.txt");
        std::fs::write(&names, shapes::CLASS_NAMES.join("\n"))?;
        let mut options = SplitOptions {
            plan: Default::default(),
            name: None,
            force: false,
            gradients: false,
            verify: VerifyOptions::default(),
        };
        options.plan.classes = Some(names);
        let candidates = self.engine.candidates()?;
        let backend = candidates.last().map(|candidate| candidate.backend.as_ref());
        let written = split::split(&model, &bundle, &options, backend)?;
        let manifest = written.bundle.manifest();
        output::note(format!("1 split {} at {} exits", manifest.name, manifest.exits.len()));
        if let Some(proof) = &written.verification {
            output::note(format!("2 {}", super::verify::sentence(proof)));
        }

        let session = Session::open(&bundle, &self.engine, None)?;
        let open = |split| {
            let data = DataRef::Shapes { split, count: Some(self.images.into()) };
            dataset::open(&data, &OpenOptions::default())
        };
        let policy = self.calibrate(&session, open(shapes::Split::Calibration)?.as_ref())?;
        output::note(format!("3 calibrated on {} other pictures: {policy}", self.images));

        let test = open(shapes::Split::Test)?;
        let last = session.pipeline.exits().len() - 1;
        let whole = run(&session, &PolicySpec::fixed(last), test.as_ref())?;
        let early = run(&session, &policy, test.as_ref())?;
        if self.json {
            output::json(
                &json!({"schema_version": 1, "proof": written.verification, "whole": whole, "early": early}),
            )?;
        } else {
            output::text(format!("4 every picture to the final exit\n{}", whole.table()))?;
            output::text(format!("5 with early exit\n{}", early.table().trim_end()))?;
            if let (Some(a), Some(b)) = (&early.latency_s, &whole.latency_s) {
                output::text(format!(
                    "\nearly exit takes {:.2} of the time of the whole network",
                    a.mean / b.mean
                ))?;
            }
        }
        Ok(Status::Done)
    }

    fn calibrate(&self, session: &Session, data: &dyn Dataset) -> anyhow::Result<PolicySpec> {
        let mut recorder = Recorder::new(&session.pipeline, NonZeroUsize::MIN)?;
        let mut feed = Feed::new(data, &session.bundle)?;
        for image in 0..data.len() {
            recorder.record(feed.batch(image, 1)?, &[data.label(image)])?;
        }
        let recording = recorder.finish(data.digest()?)?;
        let demand = Demand {
            constraint: Constraint::MaxAccuracyDrop { limit: DROP, relative: false },
            family: Family::Confidence { measure: Measure::MaxSoftmax, per_exit: false },
            fallback: Fallback::Final,
        };
        let macs = session.macs();
        Ok(calibrate(&recording, &demand, &Costs { macs: &macs, latency_s: None, energy_j: None })?.policy)
    }
}

fn run(session: &Session, spec: &PolicySpec, data: &dyn Dataset) -> anyhow::Result<Report> {
    let exits = session.pipeline.exits().len();
    let policy = spec.fit(exits)?;
    let mut executor = Executor::new(&session.pipeline, policy.as_ref(), NonZeroUsize::MIN)?;
    let mut feed = Feed::new(data, &session.bundle)?;
    let mut tally = Tally::new(exits);
    let bar = output::progress(data.len() as u64, "running");
    executor.warm_up(feed.batch(0, 1)?)?;
    for (image, _) in batches(data.len(), NonZeroUsize::MIN) {
        let outcome = executor.run_one(image, feed.batch(image, 1)?)?;
        tally.add(&outcome, data.label(image));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let macs = session.macs();
    let subject = Subject {
        bundle: session.bundle_name(),
        backend: session.backend_name(),
        policy: spec.clone(),
        macs: &macs,
    };
    Ok(tally.report(subject, Err(NotMeasured::new("energy_j", "this build has no energy meter"))))
}
