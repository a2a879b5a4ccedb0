//! What is compared: segments under a policy, and the whole network.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Instant;

use offramp_models::dataset::Dataset;

use super::{Sample, Subject};
use crate::backend::{Backend, BackendError, GraphSource, Origin, RunError, RunnerOptions};
use crate::executor::{Executor, ExecutorError};
use crate::feed::{Feed, FeedError};
use crate::pipeline::Pipeline;
use crate::policy::Policy;

/// A subject that cannot be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubjectError {
    /// A picture cannot become the network's input.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// The segments cannot be run.
    #[error(transparent)]
    Executor(#[from] ExecutorError),
    /// The whole network cannot be prepared.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The whole network cannot be run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The whole network is another one.
    #[error("the whole network does not output \"{expected}\", the logits of the bundle's final exit")]
    NoLogits {
        /// The tensor.
        expected: String,
    },
}

impl<'a> Subject<'a, SubjectError> {
    /// The segments of `pipeline`, stopping where `policy` says, on the images of `data` over and over.
    ///
    /// # Errors
    /// When segments cannot be wired or the first image cannot be run.
    pub fn segments(
        name: String,
        pipeline: &'a Pipeline,
        policy: &'a dyn Policy,
        data: &'a dyn Dataset,
    ) -> Result<Self, SubjectError> {
        let mut executor = Executor::new(pipeline, policy, NonZeroUsize::MIN)?;
        let mut feed = Feed::new(data, pipeline.input())?;
        executor.warm_up(feed.batch(0, 1)?)?;
        let run = Box::new(move |input: usize| {
            let image = input % feed.images();
            let outcome = executor.run_one(image, feed.batch(image, 1)?)?;
            Ok(Sample { exit: outcome.exit, latency: outcome.latency })
        });
        Ok(Self { name, run })
    }

    /// The network in `model`, which the segments of `pipeline` were cut from, prepared in one piece. All its outputs
    /// are computed, the final exit's logits are read.
    ///
    /// # Errors
    /// `Backend` when it cannot be prepared, `NoLogits` when it is another network.
    pub fn whole(
        model: &Path,
        backend: &dyn Backend,
        threads: Option<usize>,
        pipeline: &'a Pipeline,
        data: &'a dyn Dataset,
    ) -> Result<Self, SubjectError> {
        let name = "the whole network".to_owned();
        let exits = pipeline.exits();
        let source = GraphSource { label: name.clone(), origin: Origin::File(model) };
        let options = RunnerOptions {
            threads,
            host_outputs: exits.iter().map(|exit| exit.logits.clone()).collect(),
            ..RunnerOptions::default()
        };
        let runner = backend.prepare(&source, &options)?;
        let last = exits.len().saturating_sub(1);
        let expected = exits.last().map(|exit| exit.logits.clone()).unwrap_or_default();
        let logits = runner.outputs().iter().position(|output| output.name == expected);
        let logits = logits.ok_or(SubjectError::NoLogits { expected })?;
        let image = runner.allocate(0, 1)?;
        let mut bound = runner.bind(std::slice::from_ref(&image), 1)?;
        let mut row = vec![0.0; pipeline.classes()];
        let mut feed = Feed::new(data, pipeline.input())?;
        let run = Box::new(move |input: usize| {
            let tensor = feed.batch(input % feed.images(), 1)?;
            let started = Instant::now();
            image.write(tensor)?;
            bound.run()?;
            bound.outputs()[logits].read(&mut row)?;
            Ok(Sample { exit: last, latency: started.elapsed() })
        });
        Ok(Self { name, run })
    }
}
