//! What bytes across a cut change: final labels by their way against those of the segments.

use std::path::Path;

use offramp_graph::Model;
use offramp_models::{Bundle, Manifest, TensorSpec, Wire};
use offramp_runtime::backend::{Backend, Origin, Runner, Value};
use serde::Serialize;

use super::WireData;
use super::calibrate::{Calibration, Pictures, labels};
use super::composition::{self, Composition, Passed};
use super::proof::PreparedTail;
use crate::ExportError;

/// What a wire form of uint8 saves and changes at one cut.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// The cut.
    pub cut: usize,
    /// Pictures of the data, as many as were run.
    pub images: usize,
    /// Share of the pictures whose final label is the same by way of bytes, in [0, 1].
    pub agreement: f64,
    /// Bytes per image that cross as segments give them.
    pub f32_bytes: u64,
    /// Bytes per image that cross as uint8.
    pub u8_bytes: u64,
    /// Bytes of an 8-bit picture of the network's size.
    pub image_bytes: u64,
}

/// Runs the pictures of `data` through the segments of `bundle` and through each of its tails that takes bytes.
///
/// # Errors
/// `Bundle` for tails that were changed; `Data`, `Feed` and `FewImages` for pictures that cannot be run; `Range` and
/// `TailNotFinite` for logits that are no numbers; an engine's error.
pub fn agreements(
    bundle: &Bundle,
    backend: &dyn Backend,
    data: &WireData,
    threads: Option<usize>,
) -> Result<Vec<Agreement>, ExportError> {
    let manifest = bundle.manifest();
    let tails = bundle.tails()?;
    let segments = Composition::new(bundle, backend, threads)?;
    let pictures = Pictures::open(data, manifest)?;
    let labels = Calibration::run(&segments, &pictures, manifest, &[])?.labels;
    let mut found = Vec::new();
    for tail in &tails {
        let Some(encoder) = &tail.encoder else { continue };
        let path = bundle.dir().join(&encoder.file);
        let encoder = Encoder::open(backend, &path, manifest.cut(tail.cut), threads)?;
        let path = bundle.dir().join(&tail.file);
        let prepared = PreparedTail::open(backend, tail.cut, tail.wire, &path, &tail.outputs, threads)?;
        let subject = Subject { cut: tail.cut, encoder: &encoder, tail: &prepared };
        found.push(subject.agreement(manifest, &segments, &pictures, &labels)?);
    }
    Ok(found)
}

/// The device's end of a cut, ready to run.
pub(super) struct Encoder {
    runner: Box<dyn Runner>,
    cut: Vec<TensorSpec>,
}

impl Encoder {
    /// The graph in the file at `path`, which takes the tensors of `cut`.
    pub(super) fn open(
        backend: &dyn Backend,
        path: &Path,
        cut: Vec<TensorSpec>,
        threads: Option<usize>,
    ) -> Result<Self, ExportError> {
        let outputs = Model::read(path)?.graph.outputs.into_iter().zip(&cut);
        let outputs: Vec<_> =
            outputs.map(|(info, spec)| TensorSpec { name: info.name, ..Wire::U8.carries(spec) }).collect();
        let label = "the device's end of a cut";
        let runner = composition::prepare(backend, label, Origin::File(path), &outputs, threads)?;
        Ok(Self { runner, cut })
    }

    /// The bytes of what crosses the cut.
    pub(super) fn run(&self, passed: &Passed<'_>, batch: usize) -> Result<Vec<Value>, ExportError> {
        let mut bound = self.runner.bind(&passed.values(&self.cut)?, batch)?;
        bound.run()?;
        Ok(bound.outputs().to_vec())
    }
}

/// Both ends of a cut.
pub(super) struct Subject<'a> {
    pub cut: usize,
    pub encoder: &'a Encoder,
    pub tail: &'a PreparedTail,
}

impl Subject<'_> {
    /// Runs all pictures to the cut, as bytes across it, and through the tail; `expected` are their labels otherwise.
    pub(super) fn agreement(
        &self,
        manifest: &Manifest,
        segments: &Composition,
        pictures: &Pictures,
        expected: &[usize],
    ) -> Result<Agreement, ExportError> {
        let mut same = 0;
        let images = pictures.each(manifest, |first, images, batch| {
            let passed = segments.run(images, batch, self.cut)?;
            let logits = self.tail.logits(&self.encoder.run(&passed, batch)?, batch)?;
            let no_number = |_| ExportError::TailNotFinite { cut: self.cut, wire: Wire::U8 };
            let labels = labels(&logits, manifest.classes.count).map_err(no_number)?;
            same += labels.iter().zip(&expected[first..]).filter(|(a, b)| a == b).count();
            Ok(())
        })?;
        let bytes = |wire: Wire| {
            self.encoder.cut.iter().map(|spec| wire.carries(spec).bytes_per_image() as u64).sum()
        };
        Ok(Agreement {
            cut: self.cut,
            images,
            agreement: same as f64 / images as f64,
            f32_bytes: bytes(Wire::F32),
            u8_bytes: bytes(Wire::U8),
            image_bytes: manifest.input.spec().elements_per_image() as u64,
        })
    }
}
