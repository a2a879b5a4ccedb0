//! Tails that take bytes: how tensors become bytes, and what that does to the network's answers.

use std::path::Path;

use offramp_graph::Model;
use offramp_models::dataset::DataRef;
use offramp_models::{Canary, DType, Manifest, TensorSpec, Wire};
use offramp_runtime::backend::{Backend, Origin, Runner, Value};
use serde::Serialize;

use super::calibrate::{Calibration, Pictures, labels};
use super::composition::{self, Composition, Passed};
use super::graph::{self, Coded};
use super::proof::PreparedTail;
use super::quantisation::Quantisation;
use super::writer::Writer;
use crate::ExportError;

/// The oldest operator set with `QuantizeLinear`.
const OLDEST: i64 = 10;

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

/// What tails are made with.
pub(super) struct Workshop<'a> {
    pub manifest: &'a Manifest,
    pub segments: &'a Composition,
    pub backend: &'a dyn Backend,
    pub threads: Option<usize>,
    /// The images that canaries ask about, after all segments.
    pub passed: &'a Passed<'a>,
}

/// Writes tails that take bytes for the float32 `tails`, and the device's ends of their cuts, calibrated on `data`.
///
/// # Errors
/// `OperatorSet` for a network too old for quantised tensors; `Data`, `Feed` and `FewImages` for pictures that cannot be
/// run; `Range` and `NotFinite` for a network that gives no numbers on them.
pub(super) fn write(
    shop: &Workshop<'_>,
    tails: &[(usize, Model)],
    data: &DataRef,
    writer: &mut Writer<'_>,
) -> Result<Vec<Agreement>, ExportError> {
    let manifest = shop.manifest;
    let opset = |(_, tail): &(usize, Model)| tail.opsets.get("").copied().unwrap_or_default();
    if let Some(found) = tails.iter().map(opset).find(|opset| *opset < OLDEST) {
        return Err(ExportError::OperatorSet { found, needed: OLDEST });
    }
    let pictures = Pictures::open(data, manifest)?;
    let digest = pictures.digest()?;
    let mut tensors: Vec<TensorSpec> = Vec::new();
    for spec in tails.iter().flat_map(|(cut, _)| manifest.cut(*cut)) {
        if spec.name != manifest.input.name && !tensors.contains(&spec) {
            tensors.push(spec);
        }
    }
    let calibration = Calibration::run(shop.segments, &pictures, manifest, &tensors)?;
    let noted = vec![
        ("offramp.calibration.data_sha256".to_owned(), digest.to_string()),
        ("offramp.calibration.images".to_owned(), calibration.labels.len().to_string()),
    ];
    writer.folder("wire")?;
    let mut agreements = Vec::with_capacity(tails.len());
    for (cut, tail) in tails {
        let code = |spec: TensorSpec| {
            let quantisation = Quantisation::of(&spec, &manifest.input, |tensor| calibration.range(tensor));
            (spec, quantisation)
        };
        let coded: Vec<Coded> = manifest.cut(*cut).into_iter().map(code).collect();
        let encoder = Model { metadata: noted.clone(), ..graph::encoder(tail, &coded) };
        let path = writer.encoder(&encoder, *cut, Wire::U8)?;
        let encoder = Encoder::open(shop, &path, &coded)?;
        let path = writer.tail(&graph::decoding(tail, &coded)?, *cut, Wire::U8)?;
        let bytes = shop.open(*cut, Wire::U8, &path)?;

        let canary = encoder.canary(shop, *cut, writer)?;
        let inputs: Vec<_> = coded.iter().map(|(spec, _)| Wire::U8.carries(spec)).collect();
        writer.canary(&canary, *cut, Wire::U8, [&inputs, &manifest.logits_from(*cut)])?;
        agreements.push(agreement(shop, *cut, &encoder, &bytes, &pictures, &calibration)?);
    }
    Ok(agreements)
}

impl Workshop<'_> {
    fn open(&self, cut: usize, wire: Wire, path: &Path) -> Result<PreparedTail, ExportError> {
        PreparedTail::open(self.backend, cut, wire, path, &self.manifest.logits_from(cut), self.threads)
    }
}

/// The device's end of a cut, ready to run.
struct Encoder<'c> {
    runner: Box<dyn Runner>,
    coded: &'c [Coded],
}

impl<'c> Encoder<'c> {
    fn open(shop: &Workshop<'_>, path: &Path, coded: &'c [Coded]) -> Result<Self, ExportError> {
        let outputs = Model::read(path)?.graph.outputs;
        let outputs: Vec<_> = outputs
            .into_iter()
            .zip(coded)
            .map(|(info, (spec, _))| TensorSpec { name: info.name, ..Wire::U8.carries(spec) })
            .collect();
        let runner = composition::prepare(
            shop.backend,
            "the device's end of a cut",
            Origin::File(path),
            &outputs,
            shop.threads,
        )?;
        Ok(Self { runner, coded })
    }

    /// The bytes of what crosses the cut.
    fn run(&self, passed: &Passed<'_>, batch: usize) -> Result<Vec<Value>, ExportError> {
        let specs: Vec<TensorSpec> = self.coded.iter().map(|(spec, _)| spec.clone()).collect();
        let mut bound = self.runner.bind(&passed.values(&specs)?, batch)?;
        bound.run()?;
        Ok(bound.outputs().to_vec())
    }

    /// The canary's images as bytes, and what the float32 tail answers to the floats that these stand for: no node that
    /// makes floats of bytes has a part in it.
    fn canary(&self, shop: &Workshop<'_>, cut: usize, writer: &Writer<'_>) -> Result<Canary, ExportError> {
        let batch = shop.manifest.input.fixed_batch().unwrap_or(1);
        let sent = self.run(shop.passed, batch)?;
        let plain = shop.open(cut, Wire::F32, &writer.tail_path(cut, Wire::F32))?;
        let (mut inputs, mut floats) = (Vec::new(), Vec::new());
        for (value, (spec, quantisation)) in sent.iter().zip(self.coded) {
            let bytes = composition::bytes(value)?;
            floats.push(match spec.dtype {
                DType::Float32 => {
                    let floats = bytes.iter().enumerate().map(|(at, byte)| quantisation.value(at, *byte));
                    floats.flat_map(f32::to_le_bytes).collect()
                }
                _ => bytes.clone(),
            });
            inputs.push(bytes);
        }
        Ok(Canary { batch, inputs, logits: plain.answer(&floats, batch)? })
    }
}

/// Runs all pictures to the cut, as bytes across it, and through the tail.
fn agreement(
    shop: &Workshop<'_>,
    cut: usize,
    encoder: &Encoder<'_>,
    tail: &PreparedTail,
    pictures: &Pictures,
    calibration: &Calibration,
) -> Result<Agreement, ExportError> {
    let manifest = shop.manifest;
    let last = manifest.exits.len().saturating_sub(1);
    let mut same = 0;
    let images = pictures.each(manifest, |first, images, batch| {
        let passed = shop.segments.run(images, batch, cut)?;
        let logits = tail.logits(&encoder.run(&passed, batch)?, batch)?;
        let labels = labels(&logits, manifest, last)?;
        same += labels.iter().zip(&calibration.labels[first..]).filter(|(a, b)| a == b).count();
        Ok(())
    })?;
    let bytes =
        |wire: Wire| encoder.coded.iter().map(|(spec, _)| wire.carries(spec).bytes_per_image() as u64).sum();
    Ok(Agreement {
        cut,
        images,
        agreement: same as f64 / images as f64,
        f32_bytes: bytes(Wire::F32),
        u8_bytes: bytes(Wire::U8),
        image_bytes: manifest.input.spec().elements_per_image() as u64,
    })
}
