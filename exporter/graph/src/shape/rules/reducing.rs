//! Reductions along axes.

use crate::shape::call::{Call, Ruled, Setting, axes, axis};
use crate::shape::extent::INT64;
use crate::shape::{Contradiction, Extent, Fact};

/// Axes by attribute in early operator sets, by input since 13 (`ReduceSum`) and 18 (the others).
pub(super) fn reduce(call: &Call<'_>) -> Ruled {
    let input = call.need(0)?;
    let Some(extents) = &input.extents else { return Ok(vec![Fact::new(input.dtype, None)]) };
    let kept = call.int_or("keepdims", 1)? != 0;
    let all = || (0..extents.len()).collect();
    let none = call.int_or("noop_with_empty_axes", 0)? != 0;
    let reduced: Vec<usize> = match call.setting("axes", 1)? {
        Setting::Given(given) if !given.is_empty() => axes(&given, extents.len())?,
        Setting::Given(_) | Setting::Absent => {
            if none {
                Vec::new()
            } else {
                all()
            }
        }
        Setting::Unknown if kept => {
            return Ok(vec![Fact::new(input.dtype, vec![Extent::Unknown; extents.len()])]);
        }
        Setting::Unknown => return Ok(vec![Fact::new(input.dtype, None)]),
    };
    Ok(vec![Fact::new(input.dtype, without(extents, &reduced, kept))])
}

fn without(extents: &[Extent], reduced: &[usize], kept: bool) -> Vec<Extent> {
    let left = extents.iter().enumerate().filter_map(|(axis, extent)| match reduced.contains(&axis) {
        false => Some(*extent),
        true => kept.then_some(Extent::Known(1)),
    });
    left.collect()
}

/// `ArgMax` and `ArgMin`.
pub(super) fn position(call: &Call<'_>) -> Ruled {
    let Some(extents) = &call.need(0)?.extents else { return Ok(vec![Fact::new(INT64, None)]) };
    let along = axis(call.int_or("axis", 0)?, extents.len())?;
    let kept = call.int_or("keepdims", 1)? != 0;
    Ok(vec![Fact::new(INT64, without(extents, &[along], kept))])
}

/// `TopK`: `k` by attribute before opset 10.
pub(super) fn top(call: &Call<'_>) -> Ruled {
    let input = call.need(0)?;
    let Some(extents) = &input.extents else {
        return Ok(vec![Fact::new(input.dtype, None), Fact::new(INT64, None)]);
    };
    let along = axis(call.int_or("axis", -1)?, extents.len())?;
    let count = match call.int("k")? {
        Some(count) => usize::try_from(count).ok().map(Extent::Known),
        None => match call.elems(1) {
            Some(elems) => elems.first().and_then(|elem| elem.extent()),
            None => Some(Extent::Unknown),
        },
    };
    let count = count.ok_or(Contradiction::Value { input: 1 })?;
    let mut best = extents.clone();
    best.iter_mut().skip(along).take(1).for_each(|extent| *extent = count);
    Ok(vec![Fact::new(input.dtype, best.clone()), Fact::new(INT64, best)])
}
