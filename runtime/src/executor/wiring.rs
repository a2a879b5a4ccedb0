//! Segments bound to values: once for a whole batch, again for what is left of it.

use super::ExecutorError;
use crate::backend::{Bound, HostTensor, RunError, Value};
use crate::pipeline::{Feed, Pipeline};

/// Every segment bound for one batch size.
pub(crate) struct Wiring {
    batch: usize,
    /// Elements of one image.
    elements: usize,
    image: Value,
    segments: Vec<Box<dyn Bound>>,
}

impl Wiring {
    /// Allocates the image and binds every segment.
    ///
    /// # Errors
    /// `FixedBatch` when the network insists on another batch, `NoImage` or `Wire` when segments cannot be wired.
    pub(crate) fn new(pipeline: &Pipeline, batch: usize) -> Result<Self, ExecutorError> {
        // A batch fixed above 1 could not shrink when some of its images stop.
        if let Some(fixed) = pipeline.input().fixed_batch()
            && (fixed, batch) != (1, 1)
        {
            return Err(ExecutorError::FixedBatch { fixed, batch });
        }
        let stages = pipeline.stages();
        let reader = stages.iter().enumerate().find_map(|(segment, stage)| {
            let input = stage.feeds.iter().position(|feed| *feed == Feed::Image)?;
            Some((segment, stage, input))
        });
        let (segment, stage, input) = reader.ok_or(ExecutorError::NoImage)?;
        let wire = |segment, source| ExecutorError::Wire { segment, batch, source };
        let image = stage.runner.allocate(input, batch).map_err(|source| wire(segment, source))?;
        let elements = pipeline.input().spec().elements_per_image();
        let mut wiring = Self { batch, elements, image, segments: Vec::with_capacity(stages.len()) };
        for (segment, stage) in stages.iter().enumerate() {
            let inputs: Vec<Value> = stage.feeds.iter().map(|feed| wiring.value(*feed).clone()).collect();
            let bound = stage.runner.bind(&inputs, batch).map_err(|source| wire(segment, source))?;
            wiring.segments.push(bound);
        }
        Ok(wiring)
    }

    pub(crate) fn batch(&self) -> usize {
        self.batch
    }

    /// How many whole images `tensor` holds.
    ///
    /// # Errors
    /// `Elements` unless they are 1 to `most`.
    pub(crate) fn count(&self, tensor: HostTensor<'_>, most: usize) -> Result<usize, ExecutorError> {
        let elements = self.elements;
        let found = match tensor {
            HostTensor::Float32(values) => values.len(),
            HostTensor::Uint8(values) => values.len(),
        };
        let images = found.checked_div(elements).unwrap_or(0);
        if images == 0 || images > most || images * elements != found {
            return Err(ExecutorError::Elements { most, elements, found });
        }
        Ok(images)
    }

    /// Copies the images in.
    pub(crate) fn write(&self, images: HostTensor<'_>) -> Result<(), RunError> {
        self.image.write(images)
    }

    /// Runs one segment and copies its logits out, `output` of its graph, shape `[batch, classes]`.
    pub(crate) fn run(&mut self, segment: usize, output: usize, logits: &mut [f32]) -> Result<(), RunError> {
        let bound = &mut self.segments[segment];
        bound.run()?;
        bound.outputs()[output].read(logits)
    }

    /// What a segment reads from there.
    pub(super) fn value(&self, feed: Feed) -> &Value {
        match feed {
            Feed::Image => &self.image,
            Feed::Output { stage, output } => &self.segments[stage].outputs()[output],
        }
    }
}

/// What is left of a batch when some of its images have stopped: the values that later segments read, and the
/// segment that runs next.
pub(super) struct Remainder {
    batch: usize,
    values: Vec<(Feed, Value)>,
}

impl Remainder {
    /// These rows of a whole batch.
    pub(super) fn of(wiring: &Wiring, crossing: &[Feed], rows: &[usize]) -> Result<Self, RunError> {
        let select = |feed: &Feed| Ok((*feed, wiring.value(*feed).select(rows)?));
        Ok(Self { batch: rows.len(), values: crossing.iter().map(select).collect::<Result<_, _>>()? })
    }

    /// These rows of what is left.
    pub(super) fn select(&self, crossing: &[Feed], rows: &[usize]) -> Result<Self, RunError> {
        let crosses = |(feed, _): &&(Feed, Value)| crossing.contains(feed);
        let select = |(feed, value): &(Feed, Value)| Ok((*feed, value.select(rows)?));
        let values = self.values.iter().filter(crosses).map(select).collect::<Result<_, _>>()?;
        Ok(Self { batch: rows.len(), values })
    }

    /// What a segment reads from there, if any that follows does.
    pub(super) fn value(&self, feed: Feed) -> Option<&Value> {
        self.values.iter().find(|(held, _)| *held == feed).map(|(_, value)| value)
    }

    /// Binds a segment to what is left.
    pub(super) fn bind(&mut self, pipeline: &Pipeline, segment: usize) -> Result<Box<dyn Bound>, RunError> {
        let stage = &pipeline.stages()[segment];
        let inputs: Vec<Value> = stage.feeds.iter().filter_map(|feed| self.value(*feed)).cloned().collect();
        let bound = stage.runner.bind(&inputs, self.batch)?;
        let outputs = bound.outputs().iter().enumerate();
        let held = outputs.map(|(output, value)| (Feed::Output { stage: segment, output }, value.clone()));
        self.values.extend(held);
        Ok(bound)
    }
}

/// What segments after `segment` read of what is there when it has run.
pub(super) fn crossing(pipeline: &Pipeline, segment: usize) -> Vec<Feed> {
    let mut crossing = Vec::new();
    for feed in pipeline.stages().iter().skip(segment + 1).flat_map(|stage| &stage.feeds) {
        let is_there = match feed {
            Feed::Image => true,
            Feed::Output { stage, .. } => *stage <= segment,
        };
        if is_there && !crossing.contains(feed) {
            crossing.push(*feed);
        }
    }
    crossing
}
