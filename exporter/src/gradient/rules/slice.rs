//! `Slice` (ai.onnx 1 to 13): elements that were taken get theirs of `dy` back, others 0.
//!
//! Source: the transpose of a selection. Along every axis a slice is a `Gather` of places known at export.

use offramp_graph::shape::Extent;

use crate::gradient::places;
use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let extents = step.extents(0)?;
    let starts = step.setting("starts", 1)?.ok_or_else(|| step.wrong("starts"))?;
    let ends = step.setting("ends", 2)?.ok_or_else(|| step.wrong("ends"))?;
    let axes = step.setting("axes", 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let strides = step.setting("steps", 4)?.unwrap_or_else(|| vec![1; starts.len()]);
    let mut cotangent = step.upstream()?;
    let taken = step.output_extents(0)?;
    let settings = starts.iter().zip(&ends).zip(axes.iter().zip(&strides));
    for ((start, end), (axis, stride)) in settings {
        let axis = step.axis(*axis, extents.len())?;
        let extent = match extents.get(axis) {
            Some(Extent::Known(extent)) => *extent,
            extent if extent == taken.get(axis) && *stride == 1 => continue,
            _ => return Err(step.unsupported("the batch among what it takes from")),
        };
        let places = taken_places(*start, *end, *stride, extent);
        cotangent = places::put_back(step, &cotangent, axis, &places, extent)?;
    }
    step.give(0, cotangent);
    Ok(())
}

/// The places that a slice of an axis takes, in order. Source: ai.onnx Slice-13, clamping.
fn taken_places(start: i64, end: i64, stride: i64, extent: usize) -> Vec<usize> {
    let count = extent as i64;
    let from_front = |at: i64| if at < 0 { at.saturating_add(count) } else { at };
    let (low, high) = if stride > 0 { (0, count) } else { (-1, count - 1) };
    let start = from_front(start).clamp(low.max(0), high);
    let end = from_front(end).clamp(low, high);
    let mut places = Vec::new();
    let mut at = start;
    while stride != 0 && (if stride > 0 { at < end } else { at > end }) {
        places.push(at as usize);
        at = at.saturating_add(stride);
    }
    places
}
