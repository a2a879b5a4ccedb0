//! Tails that take bytes, the device's ends of their cuts, and their canaries.

use std::path::Path;

use offramp_graph::Model;
use offramp_models::{Canary, DType, Manifest, TensorSpec, Wire};
use offramp_runtime::backend::Backend;

use super::WireData;
use super::agreement::{Agreement, Encoder, Subject};
use super::calibrate::{Calibration, Pictures};
use super::composition::{self, Composition, Passed};
use super::graph::{self, Coded};
use super::proof::PreparedTail;
use super::quantisation::Quantisation;
use super::writer::Writer;
use crate::ExportError;

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
/// `Data`, `Feed` and `FewImages` for pictures that cannot be run; `Range` and `TailNotFinite` for a network that gives
/// no numbers on them.
pub(super) fn write(
    shop: &Workshop<'_>,
    tails: &[(usize, Model)],
    data: &WireData,
    writer: &mut Writer<'_>,
) -> Result<Vec<Agreement>, ExportError> {
    let manifest = shop.manifest;
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
        let encoder = Encoder::open(shop.backend, &path, manifest.cut(*cut), shop.threads)?;
        let path = writer.tail(&graph::decoding(tail, &coded)?, *cut, Wire::U8)?;
        let bytes = shop.open(*cut, Wire::U8, &path)?;

        let plain = writer.tail_path(*cut, Wire::F32);
        let canary = canary(shop, *cut, &coded, &encoder, &plain)?;
        let inputs: Vec<_> = coded.iter().map(|(spec, _)| Wire::U8.carries(spec)).collect();
        writer.canary(&canary, *cut, Wire::U8, [&inputs, &manifest.logits_from(*cut)])?;
        let subject = Subject { cut: *cut, encoder: &encoder, tail: &bytes };
        agreements.push(subject.agreement(manifest, shop.segments, &pictures, &calibration.labels)?);
    }
    Ok(agreements)
}

impl Workshop<'_> {
    fn open(&self, cut: usize, wire: Wire, path: &Path) -> Result<PreparedTail, ExportError> {
        PreparedTail::open(self.backend, cut, wire, path, &self.manifest.logits_from(cut), self.threads)
    }
}

/// The canary's images as bytes, and what the float32 tail answers to the floats that these stand for: no node that makes
/// floats of bytes has a part in it.
fn canary(
    shop: &Workshop<'_>,
    cut: usize,
    coded: &[Coded],
    encoder: &Encoder,
    plain: &Path,
) -> Result<Canary, ExportError> {
    let batch = shop.manifest.input.fixed_batch().unwrap_or(1);
    let sent = encoder.run(shop.passed, batch)?;
    let (mut inputs, mut floats) = (Vec::new(), Vec::new());
    for (value, (spec, quantisation)) in sent.iter().zip(coded) {
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
    let logits = shop.open(cut, Wire::F32, plain)?.answer(&floats, batch)?;
    Ok(Canary { batch, inputs, logits })
}
