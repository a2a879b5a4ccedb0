//! Multiply-adds.

use super::{Refusal, extents, outputs, product};
use crate::ir::{Attribute, Node};
use crate::shape::{Call, Extent, Fact, ShapeError, Shapes, attention, product as products};

/// Whether multiply-adds of this operator count.
pub(super) fn counts(op: &str) -> bool {
    let recurrent = matches!(op, "LSTM" | "GRU" | "RNN");
    recurrent || matches!(op, "Attention" | "Gemm" | "Einsum" | "ConvTranspose") || weights_of(op).is_some()
}

/// Position of the weights of a convolution or of the second factor of a matrix product.
pub(super) fn weights_of(op: &str) -> Option<usize> {
    match op {
        "Conv" | "ConvInteger" | "MatMul" | "MatMulInteger" => Some(1),
        "QLinearConv" | "QLinearMatMul" => Some(3),
        _ => None,
    }
}

pub(super) fn multiply_adds(node: &Node, shapes: &Shapes) -> Result<u64, Refusal> {
    if !node.domain.is_empty() {
        return Ok(0);
    }
    match node.op.as_str() {
        "Conv" | "ConvInteger" | "QLinearConv" => {
            let weights = extents(&node.inputs, weights_of(&node.op).unwrap_or(1), shapes)?;
            // `[M, C/group, k..]`: what one output element takes is everything but M.
            product(weights.into_iter().skip(1).chain([outputs(node, shapes)?]))
        }
        "ConvTranspose" => {
            // `[C, M/group, k..]`: what one input element gives.
            let weights = extents(&node.inputs, 1, shapes)?;
            product(weights.into_iter().skip(1).chain(extents(&node.inputs, 0, shapes)?))
        }
        "Gemm" => product([inner_of_gemm(node, shapes)?, outputs(node, shapes)?]),
        "MatMul" | "MatMulInteger" | "QLinearMatMul" => {
            let inner = extents(&node.inputs, 0, shapes)?.last().copied().unwrap_or(1);
            product([inner, outputs(node, shapes)?])
        }
        "Einsum" => einsum(node, shapes),
        "Attention" => attention(node, shapes),
        "LSTM" => recurrent(node, shapes, 4),
        "GRU" => recurrent(node, shapes, 3),
        "RNN" => recurrent(node, shapes, 1),
        _ => Ok(0),
    }
}

/// Rows of the second matrix.
pub(super) fn inner_of_gemm(node: &Node, shapes: &Shapes) -> Result<u64, Refusal> {
    let transposed =
        node.attributes.iter().any(|(name, value)| name == "transB" && !matches!(value, Attribute::Int(0)));
    let weights = extents(&node.inputs, 1, shapes)?;
    Ok(weights.get(usize::from(transposed)).copied().unwrap_or(1))
}

/// One loop nest over all indices; a single operand is only summed or moved.
fn einsum(node: &Node, shapes: &Shapes) -> Result<u64, Refusal> {
    if node.inputs.len() < 2 {
        return Ok(0);
    }
    let facts = facts(node, shapes)?;
    let call = Call { node, opset: i64::MAX, inputs: facts.iter().map(Option::as_ref).collect() };
    let contradiction = |source| ShapeError::Contradiction { node: node.to_string(), source };
    let equation = products::Equation::read(&call).map_err(contradiction)?;
    let Some((letters, ellipsis)) = products::bind(&call, &equation).map_err(contradiction)? else {
        return Ok(0);
    };
    let all = letters.into_values().chain(ellipsis).map(|extent| extent.at(1));
    all.map(|extent| extent.and_then(|extent| u64::try_from(extent).ok()))
        .try_fold(1u64, |product, extent| product.checked_mul(extent?))
        .ok_or(Refusal::Overflow)
}

/// Queries with keys, then their weights with values.
fn attention(node: &Node, shapes: &Shapes) -> Result<u64, Refusal> {
    let facts = facts(node, shapes)?;
    let call = Call { node, opset: i64::MAX, inputs: facts.iter().map(Option::as_ref).collect() };
    let contradiction = |source| ShapeError::Contradiction { node: node.to_string(), source };
    let Some(all) = attention::heads(&call).map_err(contradiction)? else { return Ok(0) };
    let per_image =
        |extent: Extent| extent.at(1).and_then(|extent| u64::try_from(extent).ok()).ok_or(Refusal::Overflow);
    let width =
        per_image(all.query.width)?.checked_add(per_image(all.value.width)?).ok_or(Refusal::Overflow)?;
    let others = [all.batch, all.query.heads, all.query.length, all.keys];
    others
        .into_iter()
        .try_fold(width, |product, extent| product.checked_mul(per_image(extent)?).ok_or(Refusal::Overflow))
}

/// What is known of the inputs, which must be known wholly.
fn facts(node: &Node, shapes: &Shapes) -> Result<Vec<Option<Fact>>, Refusal> {
    let fact = |input: &String| {
        if input.is_empty() {
            return Ok(None);
        }
        shapes.require(input)?;
        Ok(shapes.fact(input))
    };
    node.inputs.iter().map(fact).collect()
}

/// Input and recurrent weights once per step, gate and direction: `[directions, gates * hidden, ..]`.
fn recurrent(node: &Node, shapes: &Shapes, gates: u64) -> Result<u64, Refusal> {
    let input = extents(&node.inputs, 0, shapes)?;
    let recurrence = extents(&node.inputs, 2, shapes)?;
    let [first, second, width] = input.as_slice() else { return Ok(0) };
    let [directions, _, hidden] = recurrence.as_slice() else { return Ok(0) };
    let per_gate = product([*hidden, width.checked_add(*hidden).ok_or(Refusal::Overflow)?])?;
    product([*first, *second, *directions, gates, per_gate])
}
