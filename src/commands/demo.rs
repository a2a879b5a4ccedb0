//! `offramp demo`: the main job, end to end, on the shipped network.

mod adversary;

use anyhow::Context as _;
use clap::Args;
use offramp_exporter::plan::PlanOptions;
use offramp_exporter::split::SplitOptions;
use offramp_exporter::verify::VerifyOptions;
use offramp_models::dataset::{self, DataRef, Dataset, OpenOptions, shapes};
use offramp_models::partial::Partial;
use offramp_models::zoo;
use offramp_runtime::calibrate::{Costs, Demand, Family, calibrate};
use offramp_runtime::confidence::Measure;
use offramp_runtime::meter::NotMeasured;
use offramp_runtime::pass::{self, PassOptions};
use offramp_runtime::policy::{Constraint, Fallback, PolicyFile, PolicySpec};
use offramp_runtime::prepare::PrepareOptions;
use offramp_runtime::report::Report;
use serde_json::json;

use super::{split, verify};
use crate::backends::{BackendFlags, Candidates};
use crate::output;
use crate::policies::Chosen;
use crate::prepared::PreparedBundle;
use crate::status::Status;
use crate::workload::Workload;

/// Split the shipped network, prove it, calibrate it, run it with and without early exit, and attack it
#[derive(Args)]
#[command(allow_negative_numbers = true, after_help = "Example:\n  offramp demo --backend tract")]
pub struct Demo {
    /// Pictures of the built-in data set to run, and as many others to calibrate on, 10 to 2000
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u16).range(10..=2000))]
    images: u16,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backend: BackendFlags,
}

/// Accuracy that the demo's policy may lose on the calibration pictures.
const DROP: f64 = 0.005;

impl Demo {
    pub fn run(self) -> anyhow::Result<Status> {
        let folder =
            Partial::folder(&std::env::temp_dir().join("offramp-demo")).context("no temporary folder")?;
        let model = folder.path().join(format!("{}.onnx", zoo::SHAPES_SDN_NAME));
        std::fs::write(&model, zoo::SHAPES_SDN)
            .with_context(|| format!("cannot write {}", model.display()))?;
        let bundle = folder.path().join("bundle");
        let names = folder.path().join("classes.txt");
        std::fs::write(&names, shapes::CLASS_NAMES.join("\n"))?;
        let threads = self.backend.thread_count();
        let options = SplitOptions {
            plan: PlanOptions { classes: Some(names), ..PlanOptions::default() },
            name: None,
            force: false,
            gradients: false,
            tails: None,
            verify: VerifyOptions { threads, ..VerifyOptions::default() },
        };
        let cache = folder.path().join("prepared");
        let candidates = self.backend.candidates(Some(&cache))?;
        let (written, proved_on) = split::split(&model, &bundle, &options, Some(candidates))?;
        let manifest = written.bundle.manifest();
        output::note(format!("1 split {} at {} exits", manifest.name, manifest.exits.len()));
        if let Some(proof) = &written.verification {
            output::note(format!("2 {}", verify::sentence(proof)));
        }

        let proved_on = proved_on.context("no backend proved the split")?;
        let candidates = Candidates::one(proved_on.backend, proved_on.why);
        let options = PrepareOptions { threads, cache: Some(cache), ..PrepareOptions::default() };
        let prepared = PreparedBundle::on(written.bundle, candidates, &self.backend, &options)?;
        let open = |split| {
            let data = DataRef::Shapes { split, count: Some(self.images.into()) };
            dataset::open(&data, &OpenOptions::default())
        };
        let policy = policy(&prepared, open(shapes::Split::Calibration)?.as_ref())?;
        output::note(format!("3 calibrated on {} other pictures: {}", self.images, policy.policy));

        let last = PolicyFile::by_hand(PolicySpec::fixed(prepared.pipeline.exits().len() - 1));
        let mut workload =
            Workload { chosen: chosen(&prepared, last)?, data: open(shapes::Split::Test)?, prepared };
        let whole = run(&workload)?;
        workload.chosen = chosen(&workload.prepared, policy)?;
        let early = run(&workload)?;
        let few = DataRef::Shapes { split: shapes::Split::Test, count: Some(adversary::PICTURES) };
        workload.data = dataset::open(&few, &OpenOptions::default())?;
        let attacked = adversary::attacked(workload, threads)?;
        if self.json {
            let proof = written.verification;
            output::json(&json!({
                "schema_version": 1, "proof": proof, "whole": whole, "early": early, "attacked": attacked,
            }))?;
        } else {
            output::text(format!("4 every picture to the final exit\n{}", whole.table()))?;
            output::text(format!("5 with early exit\n{}", early.table().trim_end()))?;
            if let (Some(a), Some(b)) = (&early.latency_s, &whole.latency_s) {
                let ratio = a.mean / b.mean;
                output::text(format!("\nearly exit takes {ratio:.2} of the time of the whole network\n"))?;
            }
            output::text(format!(
                "6 the first {} pictures, attacked within 8/255 and stored as 8-bit images\n{}",
                adversary::PICTURES,
                adversary::table(&attacked)
            ))?;
        }
        Ok(Status::Done)
    }
}

fn policy(prepared: &PreparedBundle, data: &dyn Dataset) -> anyhow::Result<PolicyFile> {
    let bar = output::progress(data.len() as u64, "recording");
    let recording = pass::record(&prepared.pipeline, data, data.digest()?, || bar.inc(1));
    bar.finish_and_clear();
    let demand = Demand {
        constraint: Constraint::MaxAccuracyDrop { limit: DROP, relative: false },
        family: Family::Confidence { measure: Measure::MaxSoftmax, per_exit: false },
        fallback: Fallback::Final,
    };
    let macs = prepared.macs();
    Ok(calibrate(&recording?, &demand, &Costs { macs: &macs, latency_s: None, energy_j: None })?)
}

fn chosen(prepared: &PreparedBundle, file: PolicyFile) -> anyhow::Result<Chosen> {
    let policy = file.policy.fit(prepared.pipeline.exits().len())?;
    Ok(Chosen { file, policy, origin: "the demo".to_owned() })
}

fn run(workload: &Workload) -> anyhow::Result<Report> {
    let Workload { prepared, chosen, data } = workload;
    let (policy, options) = (chosen.policy.as_ref(), PassOptions::default());
    let bar = output::progress(data.len() as u64, "running");
    let tally = pass::run(&prepared.pipeline, policy, data.as_ref(), options, None, |_, _| {
        bar.inc(1);
        anyhow::Ok(())
    });
    bar.finish_and_clear();
    Ok(workload.report(tally?, Err(NotMeasured::energy("the demonstration asks for no meter"))))
}
