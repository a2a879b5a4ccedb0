//! The graphs of tails, and the device's ends of their cuts.

use offramp_graph::ir::ValueInfo;
use offramp_graph::{FuseError, Model, fuse};
use offramp_models::{DType, Manifest, TensorSpec, Wire};

use super::emitter::{Emitter, QUANTISING, opset_of};
use super::quantisation::Quantisation;
use crate::plan::value_info;

/// Segments `cut` to the last of `parts` as one graph that takes the tensors of the cut in the manifest's order.
pub(super) fn tail(parts: &[Model], manifest: &Manifest, cut: usize) -> Result<Model, FuseError> {
    let mut tail = fuse(parts.get(cut..).unwrap_or_default())?;
    tail.graph.inputs = manifest.cut(cut).iter().map(value_info).collect();
    tail.graph.outputs = manifest.logits_from(cut).iter().map(value_info).collect();
    Ok(tail)
}

/// A tensor of a cut, and how it crosses as bytes.
pub(super) type Coded = (TensorSpec, Quantisation);

/// The `tail` behind what makes floats of bytes: it takes the tensors of `cut` under their names, as bytes.
pub(super) fn decoding(tail: &Model, cut: &[Coded]) -> Result<Model, FuseError> {
    let mut tail = tail.clone();
    let outputs = tail.graph.outputs.clone();
    let reserved = outputs.iter().map(|info| info.name.as_str()).chain(names(cut)).map(str::to_owned);
    let reserved: Vec<String> = reserved.collect();
    let mut emitter = Emitter::new(opset_of(&tail), reserved.iter().map(String::as_str));
    let (mut bytes, mut floats) = (Vec::new(), Vec::new());
    for (spec, quantisation) in cut.iter().filter(|(spec, _)| spec.dtype == DType::Float32) {
        let name = tail.graph.rename(&spec.name, &emitter.fresh(&format!("{}.f32", spec.name)));
        quantisation.decode(&mut emitter, &spec.name, &name);
        floats.push(ValueInfo { name, ..value_info(spec) });
        bytes.push(value_info(&Wire::U8.carries(spec)));
    }
    if bytes.is_empty() {
        return Ok(tail);
    }
    let head = emitter.finish(&tail, bytes, floats);
    let mut whole = fuse(&[head, tail])?;
    whole.graph.inputs = cut.iter().map(|(spec, _)| value_info(&Wire::U8.carries(spec))).collect();
    whole.graph.outputs = outputs;
    Ok(whole)
}

/// What makes bytes of the tensors of `cut`, in their order; otherwise of the making of `like`.
pub(super) fn encoder(like: &Model, cut: &[Coded]) -> Model {
    let mut emitter = Emitter::new(QUANTISING.max(opset_of(like)), names(cut));
    let mut outputs = Vec::new();
    for (spec, quantisation) in cut {
        let name = emitter.fresh(&format!("{}.{}", spec.name, Wire::U8));
        quantisation.encode(&mut emitter, &spec.name, &name);
        outputs.push(ValueInfo { name, ..value_info(&Wire::U8.carries(spec)) });
    }
    emitter.finish(like, cut.iter().map(|(spec, _)| value_info(spec)).collect(), outputs)
}

fn names(cut: &[Coded]) -> impl Iterator<Item = &str> {
    cut.iter().map(|(spec, _)| spec.name.as_str())
}
