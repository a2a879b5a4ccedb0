//! Tails: the rest of a network from a cut on, one graph for a server.
//!
//! Segments from the cut to the last are fused: tensors of the cut in, logits of all later exits out. Tails that take bytes
//! have the same behind what makes floats of them ([`Agreement`] tells what that changes). Beside every tail lies its
//! canary, one question with the answer of the segments. [`proof`] holds tails against segments, before a bundle appears
//! and whenever it is asked for.

mod agreement;
mod calibrate;
mod composition;
mod emitter;
mod graph;
pub mod proof;
mod quantisation;
mod wire;
mod writer;

use std::num::NonZeroUsize;

use offramp_graph::Model;
use offramp_models::dataset::DataRef;
use offramp_models::manifest::Extra;
use offramp_models::{Bundle, Canary, Manifest, Wire};
use offramp_runtime::backend::Backend;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use crate::ExportError;
use crate::plan::Plan;
use crate::verify::{Noise, VerifyOptions};
pub use agreement::{Agreement, agreements};
use composition::Composition;
use wire::Workshop;
use writer::Writer;

/// Which tails are written.
#[derive(Clone, Debug, Default)]
pub struct TailOptions {
    /// Where they begin, segments that the device has run before; all cuts when empty.
    pub cuts: Vec<usize>,
    /// Also tails that take bytes, calibrated on these pictures.
    pub wire_data: Option<WireData>,
}

/// Pictures that bytes are calibrated or judged on.
#[derive(Clone, Debug)]
pub struct WireData {
    /// Where they are.
    pub data: DataRef,
    /// How many are taken, the first; all without.
    pub limit: Option<NonZeroUsize>,
}

impl From<DataRef> for WireData {
    /// All of them.
    fn from(data: DataRef) -> Self {
        Self { data, limit: None }
    }
}

impl TailOptions {
    /// The cuts, each once, in order.
    ///
    /// # Errors
    /// `NoCut` for one that the network does not have.
    fn cuts(&self, manifest: &Manifest) -> Result<Vec<usize>, ExportError> {
        let cuts = manifest.segments.len();
        if let Some(cut) = self.cuts.iter().copied().find(|cut| *cut >= cuts) {
            return Err(ExportError::NoCut { cut, cuts });
        }
        let asked_for = |cut: &usize| self.cuts.is_empty() || self.cuts.contains(cut);
        Ok((0..cuts).filter(asked_for).collect())
    }
}

/// Tails that were written into a bundle's folder.
pub(crate) struct Tails {
    /// What the manifest lists of them.
    pub extras: Vec<Extra>,
    /// What bytes change, by cut; empty where no tail takes bytes.
    pub agreements: Vec<Agreement>,
}

/// Writes the tails of a planned network into its bundle, each with a canary that `backend` computed.
///
/// # Errors
/// `NoCut`; `Fuse` when segments do not fit together; an engine's error; `Write`; for tails that take bytes also
/// `Data`, `Feed`, `FewImages`, `Range` and `TailNotFinite`.
pub(crate) fn write(
    plan: &Plan,
    bundle: &Bundle,
    backend: &dyn Backend,
    options: &TailOptions,
    verify: &VerifyOptions,
) -> Result<Tails, ExportError> {
    let manifest = bundle.manifest();
    let cuts = options.cuts(manifest)?;
    let mut writer = Writer::new(bundle.dir());
    writer.folder("tails")?;
    let parts: Vec<Model> = plan.parts.iter().map(|part| part.model.clone()).collect();
    let segments = Composition::new(bundle, backend, verify.threads)?;
    let batch = manifest.input.fixed_batch().unwrap_or(1);
    let image = Noise::draw(&manifest.input, batch, &mut ChaCha8Rng::seed_from_u64(verify.seed));
    let passed = segments.run(image.view(), batch, usize::MAX)?;
    let mut tails = Vec::with_capacity(cuts.len());
    for cut in cuts {
        let tail = graph::tail(&parts, manifest, cut)?;
        writer.tail(&tail, cut, Wire::F32)?;
        let (inputs, outputs) = (manifest.cut(cut), manifest.logits_from(cut));
        let crossing = passed.values(&inputs)?;
        let crossing = crossing.iter().map(composition::bytes).collect::<Result<_, _>>()?;
        let canary = Canary { batch, inputs: crossing, logits: passed.logits_from(cut)? };
        writer.canary(&canary, cut, Wire::F32, [&inputs, &outputs])?;
        tails.push((cut, tail));
    }
    let threads = verify.threads;
    let shop = Workshop { manifest, segments: &segments, backend, threads, passed: &passed };
    let agreements = match &options.wire_data {
        Some(data) => wire::write(&shop, &tails, data, &mut writer)?,
        None => Vec::new(),
    };
    Ok(Tails { extras: writer.extras, agreements })
}
