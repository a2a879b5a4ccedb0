//! `Gather` (ai.onnx 1 to 13) of constant places: an element gets the sum of `dy` over where it was taken to.
//!
//! Source: the transpose of a selection; `index_select_backward` of PyTorch.

use offramp_graph::shape::Extent;

use crate::gradient::places;
use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let extents = step.extents(0)?;
    let axis = step.axis(step.int("axis", 0)?, extents.len())?;
    let Some(indices) = step.constant_ints(1) else {
        return Err(step.unsupported("places that are not constant"));
    };
    let Some(Extent::Known(extent)) = extents.get(axis).copied() else {
        return Err(step.unsupported("the batch among what it takes from"));
    };
    let place = |at: &i64| {
        let front = if *at < 0 { at.saturating_add(extent as i64) } else { *at };
        usize::try_from(front).ok().filter(|at| *at < extent)
    };
    let places: Option<Vec<usize>> = indices.iter().map(place).collect();
    let places = places.ok_or_else(|| step.unsupported("places outside its input"))?;
    // The axes of the places become the one that they stand for.
    let upstream = step.upstream()?;
    let flat = [&extents[..axis], &[Extent::Known(places.len())], &extents[axis + 1..]].concat();
    let flat = match step.output_extents(0)? == flat.as_slice() {
        true => upstream,
        false => step.reshape(&upstream, &flat)?,
    };
    let found = places::put_back(step, &flat, axis, &places, extent)?;
    step.give(0, found);
    Ok(())
}
