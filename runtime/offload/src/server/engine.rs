//! A model wired for every size of batch that has come, on the thread that owns it.

use bytes::{Bytes, BytesMut};
use offramp_models::Causes;
use offramp_runtime::backend::{Bound, RunError, Value};

use super::model::Model;
use super::queue::Job;
use super::refusal::Refusal;

/// A model and its wirings.
pub(super) struct Engine {
    model: Model,
    joins: bool,
    /// By images, less one.
    wired: Vec<Option<Wired>>,
}

/// The graph bound for one size of batch.
struct Wired {
    /// In the signature's order.
    inputs: Vec<Value>,
    bound: Box<dyn Bound>,
}

impl Engine {
    /// A model that runs up to `images` at once.
    pub(super) fn new(model: Model, images: usize) -> Self {
        let joins = model.signature.joins();
        let wired = std::iter::repeat_with(|| None).take(images.max(1)).collect();
        Self { model, joins, wired }
    }

    /// Wires and runs one image, and every power of two up to the largest batch, so that no request waits for that.
    ///
    /// # Errors
    /// [`RunError`] of the engine.
    pub(super) fn warm_up(&mut self) -> Result<(), RunError> {
        let mut images = 1;
        loop {
            self.wire(images)?.bound.run()?;
            images *= 2;
            if !self.joins || images > self.wired.len() {
                return Ok(());
            }
        }
    }

    /// Runs `batch`, whose images fit into one batch, and answers every request of it.
    pub(super) fn answer(&mut self, batch: &mut Vec<Job>) {
        loop {
            let images = batch.iter().map(|job| job.images).sum();
            match self.run(batch, images) {
                Ok(()) => {
                    self.reply(batch, images);
                    return;
                }
                Err(Failure::Input { job, source }) => {
                    // The others are no worse for it.
                    let _gone = batch.remove(job).reply.send(Err(Refusal::Form(source)));
                    if batch.is_empty() {
                        return;
                    }
                }
                Err(Failure::Engine(source)) => return self.answer_alone(batch, source),
            }
        }
    }

    /// Whatever is wrong with one request is wrong with that one alone.
    fn answer_alone(&mut self, batch: &mut Vec<Job>, source: RunError) {
        if batch.len() > 1 {
            let mut alone = Vec::with_capacity(1);
            for job in batch.drain(..) {
                alone.push(job);
                self.answer(&mut alone);
            }
        } else if let Some(job) = batch.pop() {
            tracing::warn!(model = self.model.signature.name, error = %Causes(&source), "the model failed");
            let _gone = job.reply.send(Err(Refusal::Engine(source)));
        }
    }

    fn run(&mut self, batch: &[Job], images: usize) -> Result<(), Failure> {
        let wired = self.wire(images).map_err(Failure::Engine)?;
        for (input, value) in wired.inputs.iter().enumerate() {
            let mut at = 0;
            for (job, asked) in batch.iter().enumerate() {
                let Some(bytes) = asked.inputs.get(input) else { continue };
                value.write_bytes(at, bytes).map_err(|source| Failure::Input { job, source })?;
                at += bytes.len();
            }
        }
        wired.bound.run().map_err(Failure::Engine)
    }

    fn reply(&mut self, batch: &mut Vec<Job>, images: usize) {
        let Some(Some(wired)) = self.wired.get(images - 1) else { return };
        let mut at = 0;
        for job in batch.drain(..) {
            let read = |output: &usize| {
                let (spec, place) = (&self.model.signature.outputs[*output], self.model.outputs[*output]);
                let value = &wired.bound.outputs()[place];
                let (row, len) = match self.joins {
                    true => (spec.bytes_per_image(), spec.bytes_per_image() * job.images),
                    false => (0, value.shape().iter().product::<usize>() * spec.dtype.size()),
                };
                let mut bytes = BytesMut::zeroed(len);
                value.read_bytes(at * row, &mut bytes)?;
                Ok(bytes.freeze())
            };
            let outputs: Result<Vec<Bytes>, RunError> = job.outputs.iter().map(read).collect();
            at += job.images;
            let _gone = job.reply.send(outputs.map_err(Refusal::Engine));
        }
    }

    /// The graph for `images`, wired now if it never was.
    fn wire(&mut self, images: usize) -> Result<&mut Wired, RunError> {
        let none = || RunError::Form {
            graph: self.model.signature.name.clone(),
            expected: format!("1 to {} images", self.wired.len()),
            found: images.to_string(),
        };
        let slot = images.checked_sub(1).filter(|slot| *slot < self.wired.len()).ok_or_else(none)?;
        let Self { model, wired, .. } = self;
        let wired = &mut wired[slot];
        match wired {
            Some(wired) => Ok(wired),
            None => Ok(wired.insert(Wired::new(model, images)?)),
        }
    }
}

impl Wired {
    fn new(model: &Model, images: usize) -> Result<Self, RunError> {
        let batch = model.signature.fixed_batch().unwrap_or(images);
        let of_runner = (0..model.inputs.len()).map(|input| model.runner.allocate(input, batch));
        let of_runner = of_runner.collect::<Result<Vec<_>, _>>()?;
        let bound = model.runner.bind(&of_runner, batch)?;
        let inputs = model.inputs.iter().map(|place| of_runner[*place].clone()).collect();
        Ok(Self { inputs, bound })
    }
}

/// A batch that was not run.
enum Failure {
    /// What one request brought does not fit.
    Input { job: usize, source: RunError },
    /// The engine failed, on whose account is not known.
    Engine(RunError),
}
