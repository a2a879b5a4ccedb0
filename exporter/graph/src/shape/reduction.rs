//! Reductions, ArgMax and TopK. Source: ONNX, opset 18 moved most axes from attribute to input.

use offramp_models::DType;

use super::Extent;
use super::facts::TensorShape;
use super::operands::{Operands, Results, axis};

pub(super) fn infer(of: &Operands<'_>) -> Results {
    let op = of.node.op.as_str();
    let dtype = if op.starts_with("Arg") { Some(DType::Int64) } else { of.dtype(0) };
    let unknown = Ok(vec![TensorShape { dtype, ..TensorShape::default() }]);
    let Some(extents) = of.extents(0) else { return unknown };
    let rank = extents.len();
    if op == "TopK" {
        let mut extents = extents.to_vec();
        let Some(along) = axis(of.int("axis", -1), rank) else { return unknown };
        extents[along] = match of.numbers(1).as_deref() {
            Some([k]) => usize::try_from(*k).map_or(Extent::Unknown, Extent::Known),
            _ => Extent::Unknown,
        };
        let indices = TensorShape::new(Some(DType::Int64), extents.clone());
        return Ok(vec![TensorShape::new(dtype, extents), indices]);
    }
    let axes = if op.starts_with("Arg") {
        vec![of.int("axis", 0)]
    } else if of.has(1) || of.ints("axes").is_some() {
        match of.axes(1) {
            Some(axes) => axes,
            None => return unknown,
        }
    } else {
        Vec::new()
    };
    if axes.is_empty() && of.int("noop_with_empty_axes", 0) != 0 {
        return Ok(vec![TensorShape::new(dtype, extents.to_vec())]);
    }
    let Some(axes) = axes.iter().map(|a| axis(*a, rank)).collect::<Option<Vec<_>>>() else {
        return Err(of.contradiction(format!("axes below {rank}"), format!("{axes:?}")));
    };
    let keep = of.int("keepdims", 1) != 0;
    let reduced = |axis: usize| axes.is_empty() || axes.contains(&axis);
    let extents = extents.iter().enumerate().filter_map(|(axis, extent)| match (reduced(axis), keep) {
        (false, _) => Some(*extent),
        (true, true) => Some(Extent::Known(1)),
        (true, false) => None,
    });
    Ok(vec![TensorShape::new(dtype, extents.collect())])
}
