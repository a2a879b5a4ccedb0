//! `offramp run`: pictures through the segments with early exit.

use std::fs::File;
use std::io::BufWriter;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use offramp_models::dataset::Dataset;
use offramp_models::partial::Partial;
use offramp_runtime::executor::Executor;
use offramp_runtime::meter::NotMeasured;
use offramp_runtime::pacing::{MonotonicClock, Pacer};
use offramp_runtime::report::{Report, Subject, Tally};
use offramp_runtime::trace::TraceWriter;

use crate::engines::EngineFlags;
use crate::input::InputFlags;
use crate::output;
use crate::policies::{Chosen, PolicyFlags};
use crate::session::{Feed, Session, batches};
use crate::status::{Status, usage};

/// Run pictures through a bundle, stopping each at the first confident exit.
#[derive(Args)]
#[command(after_help = "Examples:\n  offramp run network.bundle --input test.npz --threshold 0.8\n  \
                        offramp run network.bundle --input photos/ --policy entropy --thresholds 0.9,0.8,0.7 --trace t.jsonl\n  \
                        offramp run network.bundle --input shapes:test --exit 2 --backend tract --json")]
pub struct Run {
    /// The bundle
    bundle: PathBuf,
    #[command(flatten)]
    input: InputFlags,
    #[command(flatten)]
    policy: PolicyFlags,
    /// Images at once
    #[arg(long, value_name = "N", default_value = "1")]
    batch: NonZeroUsize,
    /// Take pictures at this rate, like a camera, and count missed frames
    #[arg(long, value_name = "HZ")]
    rate: Option<f64>,
    /// Write one JSON line per image
    #[arg(long, value_name = "FILE.jsonl")]
    trace: Option<PathBuf>,
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

/// Energy meters of this build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum MeterChoice {
    /// The best there is
    Auto,
    /// No meter
    None,
}

impl MeterChoice {
    /// Why there are no joules.
    pub fn not_measured(self) -> NotMeasured {
        let why = match self {
            Self::Auto => "this build has no energy meter",
            Self::None => "no meter was asked for",
        };
        NotMeasured::new("energy_j", why)
    }
}

impl Run {
    pub fn run(self) -> anyhow::Result<Status> {
        if self.rate.is_some() && self.batch.get() > 1 {
            return Err(usage("--rate takes one picture at a time: leave --batch out"));
        }
        let bundle = offramp_models::Bundle::open(&self.bundle)?;
        let chosen = self.policy.choose(&bundle)?;
        let data = self.input.open(bundle.manifest())?;
        let session = Session::open(&self.bundle, &self.engine, self.cache.as_deref())?;
        output::note(format!("policy: {} ({})", chosen.spec, chosen.origin));
        if let Some(calibrated_on) = chosen.calibrated_on
            && data.digest()? == calibrated_on
        {
            output::note(
                "warning: the policy was calibrated on these very images; its figures here prove nothing",
            );
        }
        let report = self.measure(&session, &chosen, data.as_ref())?;
        if self.json {
            output::json(&report)?
        } else {
            output::text(report.table().trim_end())?
        }
        Ok(Status::Done)
    }

    fn measure(&self, session: &Session, chosen: &Chosen, data: &dyn Dataset) -> anyhow::Result<Report> {
        let mut feed = Feed::new(data, &session.bundle)?;
        output::note(format!("input: {}; {}", data.describe(), feed.describe()));
        let images = NonZeroUsize::new(data.len()).unwrap_or(NonZeroUsize::MIN);
        let at_once = self.batch.min(images);
        let mut executor = Executor::new(&session.pipeline, chosen.policy.as_ref(), at_once)?;
        let mut tally = Tally::new(session.pipeline.exits().len());
        let mut pacer = self.rate.map(|hz| Pacer::new(hz, MonotonicClock::default())).transpose();
        let pacer = pacer.as_mut().map_err(|error| usage(error.to_string()))?;
        let mut trace = self.trace.as_ref().map(|path| TraceFile::create(path)).transpose()?;
        let bar = output::progress(data.len() as u64, "running");
        // The first run of a segment allocates, touches pages and may build engines: it is not timed.
        let warm_up = feed.batch(0, at_once.get())?;
        executor.warm_up(warm_up)?;
        for (first, count) in batches(data.len(), at_once) {
            let images = feed.batch(first, count)?;
            if let Some(pacer) = pacer {
                pacer.wait();
            }
            let batch = executor.run_batch(first, images)?;
            if let Some(pacer) = pacer {
                pacer.done();
            }
            tally.add_compaction(batch.compaction());
            for outcome in batch.outcomes() {
                let label = data.label(outcome.image);
                tally.add(&outcome, label);
                if let Some(trace) = &mut trace {
                    trace.writer.write(&outcome, label).with_context(|| trace.failed())?;
                }
            }
            bar.inc(count as u64);
        }
        bar.finish_and_clear();
        if let Some(pacer) = pacer {
            tally.set_deadline_misses(pacer.misses());
        }
        if let Some(trace) = trace {
            trace.finish()?;
        }
        let macs = session.macs();
        let subject = Subject {
            bundle: session.bundle_name(),
            backend: session.backend_name(),
            policy: chosen.spec.clone(),
            macs: &macs,
        };
        let mut report = tally.report(subject, Err(self.meter.not_measured()));
        report.preprocessing = Some(feed.preprocessing());
        Ok(report)
    }
}

/// A trace that appears under its name when it is complete. A pipe or terminal is written to as it is.
struct TraceFile {
    writer: TraceWriter<BufWriter<File>>,
    path: PathBuf,
    /// What appears as `path` at the end.
    partial: Option<Partial>,
}

impl TraceFile {
    fn create(path: &std::path::Path) -> anyhow::Result<Self> {
        let special = std::fs::metadata(path).is_ok_and(|there| !there.is_file());
        let opened = match special {
            true => File::create(path).map(|file| (None, file)),
            false => Partial::file(path).map(|(partial, file)| (Some(partial), file)),
        };
        let (partial, file) = opened.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { writer: TraceWriter::new(BufWriter::new(file)), path: path.to_owned(), partial })
    }

    fn failed(&self) -> String {
        format!("cannot write {}", self.path.display())
    }

    fn finish(self) -> anyhow::Result<()> {
        let failed = self.failed();
        self.writer.finish().with_context(|| failed.clone())?;
        match self.partial {
            Some(partial) => partial.publish(&self.path).context(failed),
            None => Ok(()),
        }
    }
}
