//! `offramp bench`: latency in steady state, interleaved where two things are compared.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use offramp_models::dataset::{DataRef, Dataset};
use offramp_models::preprocess::Preprocessor;
use offramp_models::{Bundle, regular};
use offramp_runtime::backend::{Bound, GraphSource, Origin, RunnerOptions, Value};
use offramp_runtime::bench::{Comparison, Measured, Protocol, Sample, Subject, compare};
use offramp_runtime::executor::Executor;
use offramp_runtime::report::Preprocessing;
use serde_json::json;

use super::run::MeterChoice;
use crate::engines::{BackendChoice, EngineFlags};
use crate::input::{self, InputFlags};
use crate::output;
use crate::policies::{Chosen, PolicyFlags};
use crate::session::{Feed, Session};
use crate::status::Status;

/// Measure steady-state latency per image and per exit, one image at a time, with 95 % intervals.
///
/// What is compared runs in turns (A B B A) in one process, so that the machine's moods hit both alike.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  offramp bench network.bundle --input test.npz --threshold 0.8 --threads 1\n  \
                        offramp bench network.bundle --input benign.npz --against adversarial.npz\n  \
                        offramp bench network.bundle --input test.npz --exit 6 --whole network.onnx --threads 1\n  \
                        offramp bench network.bundle --input test.npz --exit 6 --against-backend tract --backend ort"
)]
pub struct Bench {
    /// The bundle
    bundle: PathBuf,
    #[command(flatten)]
    input: InputFlags,
    /// Compare with these pictures
    #[arg(long, value_name = "DATA2")]
    against: Option<DataRef>,
    /// Compare with another backend on the same pictures
    #[arg(long, value_name = "B")]
    against_backend: Option<BackendChoice>,
    /// Compare with the whole network in one session of the same backend
    #[arg(long, value_name = "MODEL.onnx")]
    whole: Option<PathBuf>,
    #[command(flatten)]
    policy: PolicyFlags,
    /// Blocks, the unit of resampling; each has two turns of every subject
    #[arg(long, value_name = "N", default_value = "30", value_parser = clap::value_parser!(u16).range(2..))]
    blocks: u16,
    /// Images of one subject in a row
    #[arg(long, value_name = "N", default_value = "20")]
    turn: NonZeroUsize,
    /// Energy meter: auto or none
    #[arg(long, value_name = "M", default_value = "auto")]
    meter: MeterChoice,
    /// Where prepared segments are kept [default: BUNDLE/.prepared]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineFlags,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Bench {
    pub fn run(self) -> anyhow::Result<Status> {
        let bundle = Bundle::open(&self.bundle)?;
        let chosen = self.policy.choose(&bundle)?;
        let data = self.input.open(bundle.manifest())?;
        let other_data =
            self.against.as_ref().map(|other| input::open(other, self.input.limit, bundle.manifest()));
        let other_data = other_data.transpose()?;
        let session = Session::open(&self.bundle, &self.engine, self.cache.as_deref())?;
        let other_session = match self.against_backend {
            Some(backend) => {
                let engine = EngineFlags { backend, ..self.engine.clone() };
                Some(Session::open(&self.bundle, &engine, self.cache.as_deref())?)
            }
            None => None,
        };
        output::note(format!("policy: {} ({})", chosen.spec, chosen.origin));

        let name = |session: &Session| format!("{} {}", session.backend.name, session.backend.provider);
        let mut subjects = vec![staged(name(&session), &session, &chosen, data.as_ref())?];
        if let (Some(other), Some(reference)) = (&other_data, &self.against) {
            subjects[0].name = self.input.input.to_string();
            subjects.push(staged(reference.to_string(), &session, &chosen, other.as_ref())?);
        }
        if let Some(other) = &other_session {
            subjects.push(staged(name(other), other, &chosen, data.as_ref())?);
        }
        if let Some(model) = &self.whole {
            subjects.push(self.whole(model, &session, data.as_ref())?);
        }
        let protocol = Protocol { blocks: self.blocks.into(), turn: self.turn.get(), ..Protocol::default() };
        let total = subjects.len() as u64 * 2 * u64::from(self.blocks) * self.turn.get() as u64;
        let bar = output::progress(total, "measuring");
        let mut subjects: Vec<_> = subjects.into_iter().map(|subject| counted(subject, &bar)).collect();
        let comparison = compare(&mut subjects, &protocol)?;
        bar.finish_and_clear();
        drop(subjects);
        self.print(&session, &chosen, &comparison)?;
        Ok(Status::Done)
    }

    fn whole<'a>(
        &self,
        model: &std::path::Path,
        session: &'a Session,
        data: &'a dyn Dataset,
    ) -> anyhow::Result<Subject<'a, anyhow::Error>> {
        let candidate =
            self.engine.candidates()?.into_iter().find(|c| c.backend.describe() == session.backend);
        let candidate = candidate.ok_or_else(|| anyhow::anyhow!("the backend is gone"))?;
        // Engines wait for the writer of a pipe.
        regular::open(model).with_context(|| format!("cannot read {}", model.display()))?;
        let exits = session.pipeline.exits();
        let source = GraphSource { label: "the whole network".to_owned(), origin: Origin::File(model) };
        let options = RunnerOptions {
            threads: self.engine.thread_count(),
            host_outputs: exits.iter().map(|exit| exit.logits.clone()).collect(),
            ..RunnerOptions::default()
        };
        let runner = candidate.backend.prepare(&source, &options)?;
        let image: Value = runner.allocate(0, 1)?;
        let mut bound: Box<dyn Bound> = runner.bind(std::slice::from_ref(&image), 1)?;
        let last = exits.len() - 1;
        let logits = runner.outputs().iter().position(|output| output.name == exits[last].logits);
        let logits = logits.ok_or_else(|| {
            anyhow::anyhow!("{} does not output \"{}\"", model.display(), exits[last].logits)
        })?;
        let mut row = vec![0.0; session.pipeline.classes()];
        let mut feed = Feed::new(data, &session.bundle)?;
        let run = Box::new(move |input: usize| {
            let tensor = feed.batch(input % data.len(), 1)?;
            let started = std::time::Instant::now();
            image.write(tensor)?;
            bound.run()?;
            bound.outputs()[logits].read(&mut row)?;
            Ok(Sample { exit: last, latency: started.elapsed() })
        });
        Ok(Subject { name: "the whole network".to_owned(), run })
    }

    fn print(&self, session: &Session, chosen: &Chosen, comparison: &Comparison) -> anyhow::Result<()> {
        let Some(first) = comparison.subjects.first() else { return Ok(()) };
        let preprocessing = Preprocessing {
            how: Preprocessor::new(&session.bundle.manifest().input)?.describe().to_owned(),
            // Only folders are resized; their pictures are not counted here.
            resized: (!matches!(self.input.input, DataRef::Folder(_))).then_some(0),
        };
        if self.json {
            let exit = |exit: &offramp_runtime::bench::MeasuredExit| json!({"exit": exit.exit, "count": exit.runs, "latency_s": exit.latency_s, "median_s": exit.median_s});
            return output::json(&json!({
                "schema_version": 1, "bundle": session.bundle_name(), "backend": session.backend_name(),
                "policy": chosen.spec, "preprocessing": preprocessing, "threads": self.engine.threads, "spinning": !self.engine.no_spinning,
                "segments": session.segments, "prepare_s": session.prepare_s,
                "latency_s": first.latency_s, "exits": first.exits.iter().map(exit).collect::<Vec<_>>(),
                "subjects": comparison.subjects, "ratios": comparison.ratios,
                "energy_j": null, "not_measured": [self.meter.not_measured()],
            }));
        }
        let mut lines = vec![format!(
            "prepared in {:.2} s; threads: {}",
            session.prepare_s,
            self.engine.threads.map_or("the engine's choice".to_owned(), |threads| threads.to_string())
        )];
        lines.push(format!("input: {}", preprocessing.how));
        lines.extend(comparison.subjects.iter().map(tell));
        for ratio in &comparison.ratios {
            let interval = &ratio.ratio;
            lines.push(format!(
                "{} / {}: {:.4} (95 % {:.4} to {:.4}), medians",
                ratio.name, ratio.against, interval.estimate, interval.low, interval.high
            ));
        }
        let missing = self.meter.not_measured();
        lines.push(format!("energy: not measured ({})", missing.why));
        output::text(lines.join("\n"))
    }
}

fn staged<'a>(
    name: String,
    session: &'a Session,
    chosen: &'a Chosen,
    data: &'a dyn Dataset,
) -> anyhow::Result<Subject<'a, anyhow::Error>> {
    let mut executor = Executor::new(&session.pipeline, chosen.policy.as_ref(), NonZeroUsize::MIN)?;
    let mut feed = Feed::new(data, &session.bundle)?;
    executor.warm_up(feed.batch(0, 1)?)?;
    let run = Box::new(move |input: usize| {
        let image = input % data.len();
        let outcome = executor.run_one(image, feed.batch(image, 1)?)?;
        Ok(Sample { exit: outcome.exit, latency: outcome.latency })
    });
    Ok(Subject { name, run })
}

fn counted<'a>(
    mut subject: Subject<'a, anyhow::Error>,
    bar: &'a indicatif::ProgressBar,
) -> Subject<'a, anyhow::Error> {
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
            ms(latency.p50),
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
