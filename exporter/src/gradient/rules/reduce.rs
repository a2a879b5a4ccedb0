//! `ReduceMean` (ai.onnx 1 to 18) and `ReduceSum` (1 to 13): `y` is the sum of `n` elements, or that over `n`, so every
//! one of them gets `dy`, or `dy / n`.
//!
//! Source: linearity.

use offramp_graph::shape::Extent;

use crate::gradient::GradientError;
use crate::gradient::step::{Ruled, Step};

pub(super) fn mean(step: &mut Step<'_>) -> Ruled {
    spread(step, true)
}

pub(super) fn sum(step: &mut Step<'_>) -> Ruled {
    spread(step, false)
}

fn spread(step: &mut Step<'_>, mean: bool) -> Ruled {
    let extents = step.extents(0)?;
    let axes = reduced(step, extents.len())?;
    let upstream = kept(step, extents, &axes)?;
    let dims = stretch(step, extents, &axes)?;
    let count: usize = dims.iter().product();
    let each = if mean { 1.0 / count.max(1) as f32 } else { 1.0 };
    let spread = step.stretch(&upstream, &dims, each);
    step.give(0, spread);
    Ok(())
}

/// The axes that are reduced, in order.
pub(super) fn reduced(step: &Step<'_>, rank: usize) -> Result<Vec<usize>, GradientError> {
    let given = step.setting("axes", 1)?.unwrap_or_default();
    if given.is_empty() {
        let none = step.int("noop_with_empty_axes", 0)? != 0;
        return Ok(if none { Vec::new() } else { (0..rank).collect() });
    }
    let mut axes = given.iter().map(|axis| step.axis(*axis, rank)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    Ok(axes)
}

/// The cotangent with the reduced axes put back.
fn kept(step: &mut Step<'_>, extents: &[Extent], axes: &[usize]) -> Result<String, GradientError> {
    let upstream = step.upstream()?;
    with_axes(step, upstream, extents, axes)
}

/// A tensor of the first output's shape, with the reduced axes put back.
pub(super) fn with_axes(
    step: &mut Step<'_>,
    tensor: String,
    extents: &[Extent],
    axes: &[usize],
) -> Result<String, GradientError> {
    if step.int("keepdims", 1)? != 0 || axes.is_empty() {
        return Ok(tensor);
    }
    let extent = |(axis, extent): (usize, &Extent)| match axes.contains(&axis) {
        true => Extent::Known(1),
        false => *extent,
    };
    let extents: Vec<Extent> = extents.iter().enumerate().map(extent).collect();
    step.reshape(&tensor, &extents)
}

/// What a tensor with ones for `axes` is stretched to: ones elsewhere.
fn stretch(step: &Step<'_>, extents: &[Extent], axes: &[usize]) -> Result<Vec<usize>, GradientError> {
    let extent = |(axis, extent): (usize, &Extent)| match (axes.contains(&axis), extent) {
        (false, _) => Ok(1),
        (true, Extent::Known(extent)) => Ok(*extent),
        (true, _) => Err(step.unsupported("the batch among the axes that it reduces")),
    };
    extents.iter().enumerate().map(extent).collect()
}
