//! `MaxPool` (ai.onnx 1 to 22): the first element of a window, in row-major order, that is its maximum gets `dy`.
//!
//! Ties as PyTorch resolves them (`max_pool2d_with_indices`: a later element must be greater). The winner is found
//! again from the input, `ArgMax` telling the first: positions that `MaxPool` itself can give count over the whole
//! batch, so that images could not be told apart.

use offramp_graph::ir::Attribute;
use offramp_graph::shape::Extent;

use crate::gradient::GradientError;
use crate::gradient::step::{Ruled, Step};
use crate::gradient::tiles;
use crate::gradient::windows::{Windows, sizes};

use super::conv;

/// Less than any number a network computes.
const LEAST: f32 = f32::MIN;

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let (extents, pooled) = (step.extents(0)?, step.output_extents(0)?);
    let spatial = extents.get(2..).unwrap_or_default();
    let kernel = sizes(step, "kernel_shape", spatial.len())?.ok_or_else(|| step.wrong("kernel_shape"))?;
    let windows = Windows::read(step, kernel, spatial, pooled.get(2..).unwrap_or_default())?;
    let found = route(step, extents, pooled, &windows)?;
    step.give(0, found);
    Ok(())
}

/// The cotangent of an image of `extents` pooled to `pooled`.
pub(super) fn route(
    step: &mut Step<'_>,
    extents: &[Extent],
    pooled: &[Extent],
    windows: &Windows,
) -> Result<String, GradientError> {
    if windows.tile() { side_by_side(step, pooled, windows) } else { overlapping(step, extents, windows) }
}

fn side_by_side(step: &mut Step<'_>, pooled: &[Extent], windows: &Windows) -> Result<String, GradientError> {
    let apart = tiles::apart(step, step.input(0)?, windows, LEAST)?;
    let upstream = step.upstream()?;
    let last = windows.rank() + 2;
    let upstream = step.reshape(&upstream, &[pooled, &[Extent::Known(1)]].concat())?;
    let won = winners(step, &apart, &upstream, last, windows, last + 1);
    tiles::together(step, &won, windows)
}

/// `upstream` where an element is the first that is greatest along `axis`, else 0.
fn winners(
    step: &mut Step<'_>,
    apart: &str,
    upstream: &str,
    axis: usize,
    windows: &Windows,
    rank: usize,
) -> String {
    let count: usize = windows.kernel.iter().product();
    let winner = step.emit_with("ArgMax", &[apart], &[("axis", Attribute::Int(axis as i64))]);
    let mut dims = vec![1; rank];
    if let Some(extent) = dims.get_mut(axis) {
        *extent = count;
    }
    let numbers = step.whole(&dims, &(0..count as i64).collect::<Vec<_>>());
    let won = step.emit("Equal", &[&winner, &numbers]);
    let zero = step.scalar(0.0);
    step.emit("Where", &[&won, upstream, &zero])
}

/// Every plane by itself: its windows' elements along axis 1, and back by a transposed convolution that puts each
/// where it came from.
fn overlapping(step: &mut Step<'_>, extents: &[Extent], windows: &Windows) -> Result<String, GradientError> {
    let rank = windows.rank();
    let image = step.reshape(step.input(0)?, &conv::planes(extents, &windows.image))?;
    let after: Vec<usize> = (0..rank).map(|axis| windows.after(axis).max(0) as usize).collect();
    let (before, after) =
        ([&[0, 0], windows.before.as_slice()].concat(), [&[0, 0], after.as_slice()].concat());
    let image = step.pad(&image, &before, &after, LEAST);
    let elements = taps(step, &image, windows);
    let apart: Vec<&str> = elements.iter().map(String::as_str).collect();
    let apart = step.emit_with("Concat", &apart, &[("axis", Attribute::Int(1))]);
    let upstream = step.upstream()?;
    let upstream = step.reshape(&upstream, &conv::planes(extents, &windows.positions))?;
    let won = winners(step, &apart, &upstream, 1, windows, rank + 2);
    let count: usize = windows.kernel.iter().product();
    let places: Vec<f32> =
        (0..count * count).map(|at| if at / count == at % count { 1.0 } else { 0.0 }).collect();
    let places = step.floats(&[&[count, 1], windows.kernel.as_slice()].concat(), &places);
    let put = conv::transposed(step, &won, &places, 1, windows)?;
    step.reshape(&put, extents)
}

/// Per element of the window, the elements that stand there in all windows.
fn taps(step: &mut Step<'_>, image: &str, windows: &Windows) -> Vec<String> {
    let mut taps = vec![image.to_owned()];
    for axis in 0..windows.rank() {
        let (stride, positions) = (windows.strides[axis], windows.positions[axis]);
        let starts: Vec<usize> = (0..windows.kernel[axis]).map(|tap| tap * windows.dilations[axis]).collect();
        let along = taps.iter().flat_map(|tap| starts.iter().map(move |start| (tap.clone(), *start)));
        taps = along
            .collect::<Vec<_>>()
            .into_iter()
            .map(|(tap, start)| step.stride(&tap, axis + 2, start, stride, positions))
            .collect();
    }
    taps
}
