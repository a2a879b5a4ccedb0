//! A bundle, prepared on the backend that was asked for.

use std::path::{Path, PathBuf};
use std::time::Instant;

use offramp_models::{Bundle, Causes, Wire};
use offramp_runtime::backend::slowed::Scale;
use offramp_runtime::backend::{Backend, Description};
use offramp_runtime::pipeline::{Pipeline, RanBy};
use offramp_runtime::prepare::{self, PrepareError, PrepareOptions, Prepared, Progress, Segments};
use offramp_runtime::report::{BackendName, BundleName};

use crate::backends::{BackendFlags, Candidates, Threads};
use crate::output;
use crate::status::refused_by_backend;

/// A bundle ready to run.
pub struct PreparedBundle {
    /// The bundle.
    pub bundle: Bundle,
    /// Its segments on this device.
    pub pipeline: Pipeline,
    /// What runs them.
    pub backend: Box<dyn Backend>,
    /// What they are.
    pub segments: Segments,
    /// Whether they lie in the cache for the next time.
    pub kept: bool,
    /// Threads inside one of their operators.
    pub threads: Threads,
    /// Seconds that preparing took.
    pub prepare_s: f64,
}

/// What the bundle is prepared for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Device {
    /// The form in which what segments give can be sent; `None` where nothing is.
    pub offload: Option<Wire>,
    /// How much slower than it is the device is emulated.
    pub scale: Option<Scale>,
}

impl PreparedBundle {
    /// Prepares `bundle` on the first backend that can run it, and says on stderr which and why. What is worth keeping
    /// is kept in `cache`, else in the bundle.
    ///
    /// # Errors
    /// What [`prepare::prepare`] says on the last backend.
    pub fn open(
        bundle: Bundle,
        flags: &BackendFlags,
        cache: Option<&Path>,
        device: Device,
    ) -> anyhow::Result<Self> {
        let cache = cache.map_or_else(|| bundle.dir().join(".prepared"), PathBuf::from);
        let candidates = flags.candidates(Some(&cache))?;
        let candidates = match device.scale {
            Some(scale) => candidates.slowed(scale),
            None => candidates,
        };
        let options = PrepareOptions {
            threads: flags.thread_count(),
            cache: Some(cache),
            offload: device.offload,
            ..PrepareOptions::default()
        };
        Self::on(bundle, candidates, flags, &options)
    }

    /// As [`PreparedBundle::open`], on the first of `candidates`.
    ///
    /// # Errors
    /// As [`PreparedBundle::open`].
    pub fn on(
        bundle: Bundle,
        candidates: Candidates,
        flags: &BackendFlags,
        options: &PrepareOptions,
    ) -> anyhow::Result<Self> {
        let attempt = |backend: &dyn Backend| prepare(&bundle, backend, options);
        let ((prepared, prepare_s), candidate) = candidates.first_that_runs(refused_by_backend, attempt)?;
        let Prepared { pipeline, segments, kept, notes } = prepared;
        output::note(format!("backend: {} ({})", providers(&pipeline), candidate.why));
        for note in &notes {
            output::note(format!("note: {}", Causes(note)));
        }
        let threads = flags.threads_of(&pipeline);
        if threads.threads != flags.thread_count() && flags.threads.is_some() {
            output::note(format!("note: threads: {threads}"));
        }
        Ok(Self { bundle, pipeline, backend: candidate.backend, segments, kept, threads, prepare_s })
    }

    /// The bundle's own segments on the same backend, not optimised for this device.
    ///
    /// # Errors
    /// What [`prepare::prepare`] says.
    pub fn as_bundled(&self, flags: &BackendFlags) -> Result<Pipeline, PrepareError> {
        let options =
            PrepareOptions { threads: flags.thread_count(), as_bundled: true, ..PrepareOptions::default() };
        prepare(&self.bundle, self.backend.as_ref(), &options).map(|(prepared, _)| prepared.pipeline)
    }

    /// The bundle's name for reports.
    pub fn bundle_name(&self) -> BundleName {
        BundleName { name: self.bundle.manifest().name.clone(), identity: self.bundle.identity() }
    }

    /// The backend's name for reports.
    pub fn backend_name(&self) -> BackendName {
        BackendName::from(&self.backend.describe())
    }

    /// Cumulative multiply-adds by exit.
    pub fn macs(&self) -> Vec<u64> {
        self.pipeline.exits().iter().map(|exit| exit.macs).collect()
    }

    /// What runs each segment.
    pub fn ran_by(&self) -> Vec<RanBy> {
        self.pipeline.ran_by().collect()
    }
}

/// Prepares and says how many seconds that took.
fn prepare(
    bundle: &Bundle,
    backend: &dyn Backend,
    options: &PrepareOptions,
) -> Result<(Prepared, f64), PrepareError> {
    let spinner = output::spinner("preparing");
    let started = Instant::now();
    let prepared = prepare::prepare(bundle, backend, options, &mut |progress| {
        spinner.set_message(describe(progress));
    });
    spinner.finish_and_clear();
    Ok((prepared?, started.elapsed().as_secs_f64()))
}

fn describe(progress: Progress) -> String {
    match progress {
        Progress::Checking => "checking digests".to_owned(),
        Progress::Optimising => "optimising for this device".to_owned(),
        Progress::Segment { index, of } => format!("loading segment {} of {of}", index + 1),
        _ => "preparing".to_owned(),
    }
}

/// What runs the segments: one line where all share a backend and provider, else one per segment.
fn providers(pipeline: &Pipeline) -> String {
    let ran: Vec<&Description> = pipeline.stages().iter().map(|stage| &stage.description).collect();
    let spell = |Description { name, provider, version }: &Description, on: &str| {
        format!("{name} {version}, provider {provider} on {on}")
    };
    match ran.as_slice() {
        [] => "no segment".to_owned(),
        [one] => spell(one, "the only segment"),
        [first, rest @ ..] if rest.iter().all(|other| other == first) => {
            spell(first, &format!("all {} segments", ran.len()))
        }
        mixed => {
            let lines = mixed.iter().enumerate();
            let lines = lines.map(|(segment, ran)| spell(ran, &format!("segment {segment}")));
            lines.collect::<Vec<_>>().join("\n         ")
        }
    }
}
