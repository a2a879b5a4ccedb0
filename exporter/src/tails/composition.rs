//! A bundle's own segments, one after the other; the host reads whatever they give.

use offramp_models::{Bundle, TensorSpec};
use offramp_runtime::backend::{
    Backend, BackendError, GraphSource, HostTensor, Origin, Runner, RunnerOptions, Value,
};
use offramp_runtime::pipeline::Pipeline;
use offramp_runtime::prepare::PrepareError;

use crate::ExportError;
use crate::verify::{self, Values};

/// Segments as the bundle has them: engines that optimise the whole change what crosses the cuts.
pub(super) struct Composition {
    pipeline: Pipeline,
}

impl Composition {
    /// Prepares the segments of `bundle`, whose files were checked.
    pub(super) fn new(
        bundle: &Bundle,
        backend: &dyn Backend,
        threads: Option<usize>,
    ) -> Result<Self, ExportError> {
        let manifest = bundle.manifest();
        let mut runners = Vec::with_capacity(manifest.segments.len());
        for segment in &manifest.segments {
            let path = bundle.dir().join(&segment.file);
            let label = format!("segment {}", segment.index);
            let runner = prepare(backend, &label, Origin::File(&path), &segment.outputs, threads)?;
            runners.push((runner, backend.describe()));
        }
        let pipeline = Pipeline::new(manifest, runners).map_err(PrepareError::Pipeline)?;
        Ok(Self { pipeline })
    }

    /// Runs the first `segments` segments on preprocessed images.
    pub(super) fn run(
        &self,
        images: HostTensor<'_>,
        batch: usize,
        segments: usize,
    ) -> Result<Passed<'_>, ExportError> {
        let values = verify::values(&self.pipeline, images, batch, segments)?;
        Ok(Passed { pipeline: &self.pipeline, values, batch })
    }
}

/// A graph all of whose `outputs` the host reads.
pub(super) fn prepare(
    backend: &dyn Backend,
    label: &str,
    origin: Origin<'_>,
    outputs: &[TensorSpec],
    threads: Option<usize>,
) -> Result<Box<dyn Runner>, BackendError> {
    let source = GraphSource { label: label.to_owned(), origin };
    let host_outputs = outputs.iter().map(|spec| spec.name.clone()).collect();
    backend.prepare(&source, &RunnerOptions { threads, host_outputs, ..RunnerOptions::default() })
}

/// What images became.
pub(super) struct Passed<'c> {
    pipeline: &'c Pipeline,
    values: Values,
    batch: usize,
}

impl Passed<'_> {
    /// The values of `tensors`: the images, and what the segments that ran have given.
    pub(super) fn values(&self, tensors: &[TensorSpec]) -> Result<Vec<Value>, ExportError> {
        tensors.iter().map(|spec| self.value(&spec.name)).collect()
    }

    fn value(&self, tensor: &str) -> Result<Value, ExportError> {
        let made = self.pipeline.stages().iter().zip(&self.values.stages).find_map(|(stage, outputs)| {
            let at = stage.runner.outputs().iter().position(|output| output.name == tensor)?;
            outputs.get(at)
        });
        let image = || Some(&self.values.image).filter(|_| tensor == self.pipeline.input().name);
        made.or_else(image).cloned().ok_or_else(|| ExportError::NoValue { tensor: tensor.to_owned() })
    }

    /// Logits of exits `cut` to the last, one list each.
    pub(super) fn logits_from(&self, cut: usize) -> Result<Vec<Vec<f32>>, ExportError> {
        let logits = self.pipeline.exits().iter().skip(cut).map(|exit| self.value(&exit.logits));
        let read = |value: Result<Value, ExportError>| {
            let mut row = vec![0.0; self.batch * self.pipeline.classes()];
            value?.read(&mut row)?;
            Ok(row)
        };
        logits.map(read).collect()
    }
}

/// A value's elements, little-endian.
pub(super) fn bytes(value: &Value) -> Result<Vec<u8>, ExportError> {
    let mut bytes = vec![0; value.shape().iter().product::<usize>() * value.dtype().size()];
    value.read_bytes(0, &mut bytes)?;
    Ok(bytes)
}

/// A value's elements, float32.
pub(super) fn floats(value: &Value) -> Result<Vec<f32>, ExportError> {
    let mut elements = vec![0.0; value.shape().iter().product()];
    value.read(&mut elements)?;
    Ok(elements)
}
