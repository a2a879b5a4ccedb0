//! The prepared segments of one bundle, and which tensor feeds which.

use offramp_models::{Exit, Input, Manifest};

use crate::backend::{Description, RunError, Runner, Share};
use crate::executor::{ExecutorError, Wiring};

/// Segments ready to run on one backend, one per exit.
pub struct Pipeline {
    input: Input,
    classes: usize,
    exits: Vec<Exit>,
    stages: Vec<Stage>,
}

/// One segment, ready to run.
pub struct Stage {
    /// The prepared graph.
    pub runner: Box<dyn Runner>,
    /// What runs it.
    pub description: Description,
    /// Where each of the graph's inputs comes from.
    pub feeds: Vec<Feed>,
    /// Which of the graph's outputs are this exit's logits.
    pub logits: usize,
}

/// Where a stage's input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// The preprocessed image.
    Image,
    /// An output of an earlier stage.
    Output {
        /// The stage.
        stage: usize,
        /// Position among its outputs.
        output: usize,
    },
}

/// What runs a segment, for reports.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RanBy {
    /// The segment.
    pub segment: usize,
    /// Engine, provider and version.
    pub backend: Description,
    /// Threads that one operator runs on, whatever was asked for; `None` where the engine chooses.
    pub threads: Option<usize>,
    /// What ran the segment's nodes when it was prepared; empty where the engine has no choice, or does not tell.
    pub shares: Vec<Share>,
}

/// Segments that do not fit together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// Not one segment per exit.
    #[error("{expected} exits need {expected} segments, got {found}")]
    Stages {
        /// Exits in the manifest.
        expected: usize,
        /// Segments given.
        found: usize,
    },
    /// A segment takes a tensor that nothing before it gives.
    #[error("segment {segment} takes \"{tensor}\", which neither the image nor an earlier segment gives")]
    Unfed {
        /// The segment.
        segment: usize,
        /// The tensor.
        tensor: String,
    },
    /// A segment lacks its exit's logits.
    #[error("segment {segment} does not output \"{tensor}\", the logits of its exit")]
    NoLogits {
        /// The segment.
        segment: usize,
        /// The tensor.
        tensor: String,
    },
}

impl Pipeline {
    /// Wires prepared segments by tensor names.
    ///
    /// # Errors
    /// [`PipelineError`] when a segment lacks an input or its logits.
    pub fn new(
        manifest: &Manifest,
        runners: Vec<(Box<dyn Runner>, Description)>,
    ) -> Result<Self, PipelineError> {
        let expected = manifest.exits.len();
        if runners.len() != expected {
            return Err(PipelineError::Stages { expected, found: runners.len() });
        }
        let mut stages: Vec<Stage> = Vec::with_capacity(expected);
        for (segment, (runner, description)) in runners.into_iter().enumerate() {
            let find = |name: &str| find(&manifest.input, &stages, name);
            let feeds = runner.inputs().iter().map(|spec| {
                find(&spec.name).ok_or_else(|| PipelineError::Unfed { segment, tensor: spec.name.clone() })
            });
            let feeds = feeds.collect::<Result<_, _>>()?;
            let tensor = &manifest.exits[segment].logits;
            let Some(logits) = runner.outputs().iter().position(|spec| spec.name == *tensor) else {
                return Err(PipelineError::NoLogits { segment, tensor: tensor.clone() });
            };
            stages.push(Stage { runner, description, feeds, logits });
        }
        let (input, exits) = (manifest.input.clone(), manifest.exits.clone());
        Ok(Self { input, classes: manifest.classes.count, exits, stages })
    }

    /// What the network takes.
    pub fn input(&self) -> &Input {
        &self.input
    }

    /// Logits per exit.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Exits by depth, one per stage.
    pub fn exits(&self) -> &[Exit] {
        &self.exits
    }

    /// Segments in the order of running.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// Where `tensor` is when the segments before `segment` have run.
    pub fn feed(&self, tensor: &str, segment: usize) -> Option<Feed> {
        find(&self.input, self.stages.get(..segment)?, tensor)
    }

    /// What runs each segment, in the order of running.
    pub fn ran_by(&self) -> impl ExactSizeIterator<Item = RanBy> {
        self.stages.iter().enumerate().map(|(segment, stage)| RanBy {
            segment,
            backend: stage.description.clone(),
            threads: stage.runner.threads(),
            shares: stage.runner.shares().to_vec(),
        })
    }

    /// Runs every segment once on a single image of zeros: engines are built, kernels loaded and memory touched, and a
    /// device that cannot run is found out. A network that insists on more images than one is left alone.
    ///
    /// # Errors
    /// [`RunError`] of the segment that cannot be wired or run.
    pub fn try_out(&self) -> Result<(), RunError> {
        let mut wiring = match Wiring::new(self, 1) {
            Ok(wiring) => wiring,
            Err(ExecutorError::Wire { source, .. }) => return Err(source),
            // An executor says so when it is made.
            Err(_) => return Ok(()),
        };
        let mut logits = vec![0.0; self.classes];
        for (segment, stage) in self.stages.iter().enumerate() {
            wiring.run(segment, stage.logits, &mut logits)?;
        }
        Ok(())
    }
}

/// Where `tensor` is when `stages` have run.
fn find(input: &Input, stages: &[Stage], tensor: &str) -> Option<Feed> {
    if tensor == input.name {
        return Some(Feed::Image);
    }
    stages.iter().enumerate().find_map(|(stage, earlier)| {
        let output = earlier.runner.outputs().iter().position(|spec| spec.name == tensor)?;
        Some(Feed::Output { stage, output })
    })
}
