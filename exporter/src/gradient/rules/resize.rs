//! `Resize` (ai.onnx 10 to 19) and `Upsample` (7, 9) to the nearest element: an element gets the sum of `dy` over where it was
//! copied to.
//!
//! Source: the transpose of a selection, which along every axis is known at export (Resize-19,
//! `coordinate_transformation_mode` and `nearest_mode`).

use offramp_graph::shape::Extent;

use crate::gradient::GradientError;
use crate::gradient::places;
use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    if !matches!(step.text("mode")?, None | Some(b"nearest")) {
        return Err(step.unsupported("a mode other than nearest"));
    }
    let (extents, resized) = (step.extents(0)?, step.output_extents(0)?);
    let scales = scales(step, extents.len())?;
    let mut cotangent = step.upstream()?;
    for axis in 0..extents.len() {
        let (from, to) = (extents.get(axis), resized.get(axis));
        if from == to && scales.get(axis).copied().flatten().is_none_or(|scale| scale == 1.0) {
            continue;
        }
        let (Some(Extent::Known(from)), Some(Extent::Known(to))) = (from, to) else {
            return Err(step.unsupported("a resized batch"));
        };
        let scale = scales.get(axis).copied().flatten().unwrap_or(*to as f32 / *from as f32);
        let places =
            (0..*to).map(|at| nearest(step, at, *from, *to, scale)).collect::<Result<Vec<_>, _>>()?;
        cotangent = places::put_back(step, &cotangent, axis, &places, *from)?;
    }
    step.give(0, cotangent);
    Ok(())
}

/// Scales per axis where they are given, in the order of `axes` if that is stated.
fn scales(step: &Step<'_>, rank: usize) -> Result<Vec<Option<f32>>, GradientError> {
    let at = if step.node.op == "Upsample" || step.opset < 11 { 1 } else { 2 };
    let given = match step.floats_attribute("scales")? {
        Some(scales) => scales.to_vec(),
        None => step.constant_floats(at).unwrap_or_default(),
    };
    let axes: Vec<usize> = match step.ints("axes")? {
        Some(axes) => axes.iter().map(|axis| step.axis(*axis, rank)).collect::<Result<_, _>>()?,
        None => (0..rank).collect(),
    };
    let scale = |axis| given.get(axes.iter().position(|one| *one == axis)?).copied();
    Ok((0..rank).map(scale).collect())
}

/// The element of an axis that `at` is a copy of.
fn nearest(step: &Step<'_>, at: usize, from: usize, to: usize, scale: f32) -> Result<usize, GradientError> {
    let early = step.node.op == "Upsample" || step.opset < 11;
    let place = at as f32;
    let original = match step.text("coordinate_transformation_mode")? {
        _ if early => place / scale,
        None | Some(b"half_pixel") => (place + 0.5) / scale - 0.5,
        Some(b"pytorch_half_pixel") if to > 1 => (place + 0.5) / scale - 0.5,
        Some(b"pytorch_half_pixel") => 0.0,
        Some(b"asymmetric") => place / scale,
        Some(b"align_corners") if to > 1 => place * (from - 1) as f32 / (to - 1) as f32,
        Some(b"align_corners") => 0.0,
        Some(_) => return Err(step.unsupported("its coordinates")),
    };
    let rounded = match step.text("nearest_mode")? {
        _ if early => original.floor(),
        None | Some(b"round_prefer_floor") => (original - 0.5).ceil(),
        Some(b"round_prefer_ceil") => (original + 0.5).floor(),
        Some(b"floor") => original.floor(),
        Some(b"ceil") => original.ceil(),
        Some(_) => return Err(step.wrong("nearest_mode")),
    };
    Ok((rounded.max(0.0) as usize).min(from.saturating_sub(1)))
}
