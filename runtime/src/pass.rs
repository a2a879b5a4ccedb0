//! A data set through a pipeline, from the first image to the last.
//!
//! [`run`] stops every image where the policy says, [`record`] sends every image to the final exit and keeps all
//! logits, [`exit_latencies`] times the way to every exit.

use std::num::NonZeroUsize;

use offramp_models::Sha256;
use offramp_models::dataset::Dataset;

use crate::executor::{Executor, ExecutorError, Offload, Outcome};
use crate::feed::{Feed, FeedError};
use crate::pacing::{MonotonicClock, Pacer, RateRange};
use crate::pipeline::Pipeline;
use crate::policy::{Policy, PolicyError, PolicySpec};
use crate::recording::{Recorder, Recording, RecordingError};
use crate::report::Tally;

/// How a data set is run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PassOptions {
    /// Images at once; no more than there are.
    pub batch: NonZeroUsize,
    /// Frames per second of a camera, for counting those that are missed; `None` runs as fast as it can.
    pub rate_hz: Option<f64>,
}

impl Default for PassOptions {
    fn default() -> Self {
        Self { batch: NonZeroUsize::MIN, rate_hz: None }
    }
}

/// A pass that cannot be finished.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PassError {
    /// A picture cannot become the network's input.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// The network cannot be run on it.
    #[error(transparent)]
    Executor(#[from] ExecutorError),
    /// No camera has this rate.
    #[error(transparent)]
    Rate(#[from] RateRange),
    /// The policy does not fit the network.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The labels or logits do not make a recording.
    #[error(transparent)]
    Recording(#[from] RecordingError),
}

/// Runs all of `data` and counts what comes out; `each` gets every outcome with the image's label, in order. With
/// `offload`, what is left of images may be completed elsewhere.
///
/// The first batch is run once before, untimed: engines allocate and build on first use.
///
/// # Errors
/// What ended the pass: a [`PassError`], or the first error of `each`.
pub fn run<'a, E: From<PassError>>(
    pipeline: &'a Pipeline,
    policy: &'a dyn Policy,
    data: &dyn Dataset,
    options: PassOptions,
    offload: Option<Offload<'a>>,
    mut each: impl FnMut(&Outcome<'_>, Option<usize>) -> Result<(), E>,
) -> Result<Tally, E> {
    let images = NonZeroUsize::new(data.len()).unwrap_or(NonZeroUsize::MIN);
    let batch = options.batch.min(images);
    let pacer = options.rate_hz.map(|hz| Pacer::new(hz, MonotonicClock::default()));
    let mut pacer = pacer.transpose().map_err(PassError::from)?;
    let mut feed = Feed::new(data, pipeline.input()).map_err(PassError::from)?;
    let mut executor = Executor::new(pipeline, policy, batch).map_err(PassError::from)?;
    let mut tally = Tally::new(pipeline.exits().len());
    if let Some(offload) = offload {
        executor = executor.with_offload(offload);
        tally.watch_offload();
    }
    executor.warm_up(feed.batch(0, batch.get()).map_err(PassError::from)?).map_err(PassError::from)?;
    for (first, count) in batches(data.len(), batch) {
        let images = feed.batch(first, count).map_err(PassError::from)?;
        if let Some(pacer) = &mut pacer {
            pacer.wait();
        }
        let batch = executor.run_batch(first, images).map_err(PassError::from)?;
        if let Some(pacer) = &mut pacer {
            pacer.done();
        }
        tally.add_compaction(batch.compaction());
        for outcome in batch.outcomes() {
            let label = data.label(outcome.image);
            tally.add(&outcome, label);
            each(&outcome, label)?;
        }
    }
    if let Some(pacer) = pacer {
        tally.set_deadline_misses(pacer.misses());
    }
    tally.set_preprocessing(feed.preprocessing());
    Ok(tally)
}

/// Logits of every exit for all of `data`, images of the data set whose digest is `data_sha256`; `each` is called after
/// every image.
///
/// # Errors
/// `Feed` or `Executor` for the first image that cannot be run, `Recording` for a label out of range.
pub fn record(
    pipeline: &Pipeline,
    data: &dyn Dataset,
    data_sha256: Sha256,
    mut each: impl FnMut(),
) -> Result<Recording, PassError> {
    let mut feed = Feed::new(data, pipeline.input())?;
    let mut recorder = Recorder::new(pipeline, NonZeroUsize::MIN)?;
    for image in 0..data.len() {
        recorder.record(feed.batch(image, 1)?, &[data.label(image)])?;
        each();
    }
    Ok(recorder.finish(data_sha256)?)
}

/// Mean seconds to each exit over the first `images` of `data`, by always stopping there; `each` is called after every
/// run.
///
/// # Errors
/// `Feed` or `Executor` for the first image that cannot be run.
pub fn exit_latencies(
    pipeline: &Pipeline,
    data: &dyn Dataset,
    images: NonZeroUsize,
    mut each: impl FnMut(),
) -> Result<Vec<f64>, PassError> {
    let exits = pipeline.exits().len();
    let images = data.len().min(images.get());
    let mut feed = Feed::new(data, pipeline.input())?;
    let mut means = Vec::with_capacity(exits);
    for exit in 0..exits {
        let policy = PolicySpec::fixed(exit).fit(exits)?;
        let mut executor = Executor::new(pipeline, policy.as_ref(), NonZeroUsize::MIN)?;
        executor.warm_up(feed.batch(0, 1)?)?;
        let mut seconds = 0.0;
        for image in 0..images {
            seconds += executor.run_one(image, feed.batch(image, 1)?)?.latency.as_secs_f64();
            each();
        }
        means.push(seconds / images as f64);
    }
    Ok(means)
}

/// Positions of batches over `images`.
fn batches(images: usize, batch: NonZeroUsize) -> impl Iterator<Item = (usize, usize)> {
    (0..images).step_by(batch.get()).map(move |first| (first, batch.get().min(images - first)))
}
