//! The published profiler of Shallow-Deep Networks (Kaya et al. 2019), its quirks included.

use rustc_hash::FxHashMap;

use super::work::{inner_of_gemm, weights_of};
use super::{Refusal, extents, outputs, product};
use crate::ir::{Attribute, Node, Tensor};
use crate::shape::Shapes;

/// Multiplications and additions of a layer; none for layers that it does not know, products of activations among
/// them.
pub(super) fn operations(
    node: &Node,
    shapes: &Shapes,
    weights: &FxHashMap<&str, &Tensor>,
) -> Result<u64, Refusal> {
    if !node.domain.is_empty() {
        return Ok(0);
    }
    match node.op.as_str() {
        "Conv" | "ConvInteger" | "QLinearConv" => {
            let kernel = extents(&node.inputs, weights_of(&node.op).unwrap_or(1), shapes)?;
            let taps = product(kernel.into_iter().skip(1))?;
            let bias = if node.op == "QLinearConv" { 8 } else { 2 };
            let bias = node.inputs.get(bias).is_some_and(|name| !name.is_empty() && node.op != "ConvInteger");
            let group = match attribute(node, "group") {
                Some(Attribute::Int(group)) => u64::try_from(*group).unwrap_or(1),
                _ => 1,
            };
            // Times the groups, although the taps are already those of one group.
            product([
                sums(taps)?.checked_add(u64::from(bias)).ok_or(Refusal::Overflow)?,
                group,
                outputs(node, shapes)?,
            ])
        }
        "Gemm" => product([sums(inner_of_gemm(node, shapes)?)?, outputs(node, shapes)?]),
        "MatMul" | "MatMulInteger" | "QLinearMatMul" => {
            let right = node.inputs.get(weights_of(&node.op).unwrap_or(1));
            if right.is_none_or(|name| !weights.contains_key(name.as_str())) {
                return Ok(0);
            }
            let inner = extents(&node.inputs, 0, shapes)?.last().copied().unwrap_or(1);
            product([sums(inner)?, outputs(node, shapes)?])
        }
        "BatchNormalization" => product([2, outputs(node, shapes)?]),
        "Relu" => outputs(node, shapes),
        "MaxPool" => product([window(node)?.saturating_sub(1), outputs(node, shapes)?]),
        "AveragePool" => product([window(node)?, outputs(node, shapes)?]),
        _ => Ok(0),
    }
}

fn attribute<'n>(node: &'n Node, name: &str) -> Option<&'n Attribute> {
    node.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// Multiplications, and additions between their results.
fn sums(taps: u64) -> Result<u64, Refusal> {
    taps.checked_mul(2).map(|both| both.saturating_sub(1)).ok_or(Refusal::Overflow)
}

/// The side of a square window, as given to PyTorch by one number; the area of any other.
fn window(node: &Node) -> Result<u64, Refusal> {
    let Some(Attribute::Ints(sides)) = attribute(node, "kernel_shape") else { return Ok(1) };
    match sides.split_first() {
        Some((side, others)) if others.iter().all(|other| other == side) => {
            Ok(u64::try_from(*side).unwrap_or(1))
        }
        _ => product(sides.iter().map(|side| u64::try_from(*side).unwrap_or(1))),
    }
}
