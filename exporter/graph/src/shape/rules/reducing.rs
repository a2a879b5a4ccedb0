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

#[cfg(test)]
mod tests {
    use crate::ir::Attribute;
    use crate::shape::sample::{floats, int, ints, list, told, told_all};

    #[test]
    fn axes_come_by_attribute_or_input() {
        let with = [("axes", list(&[2, 3])), ("keepdims", Attribute::Int(0))];
        assert_eq!(told("ReduceMean", 13, &[floats("b 3 8 8")], &with), "float32 [batch, 3]");
        assert_eq!(told("ReduceSum", 13, &[floats("b 3 8 8"), ints(&[-1])], &[]), "float32 [batch, 3, 8, 1]");
        assert_eq!(told("ReduceMax", 13, &[floats("b 3")], &[]), "float32 [1, 1]");
        let noop = [("noop_with_empty_axes", Attribute::Int(1))];
        assert_eq!(told("ReduceMean", 18, &[floats("b 3")], &noop), "float32 [batch, 3]");
    }

    #[test]
    fn positions_are_int64() {
        let with = [("axis", Attribute::Int(1)), ("keepdims", Attribute::Int(0))];
        assert_eq!(told("ArgMax", 13, &[floats("b 10")], &with), "int64 [batch]");
        assert_eq!(
            told_all("TopK", 11, &[floats("b 10"), ints(&[3])], &[], 2),
            ["float32 [batch, 3]", "int64 [batch, 3]"]
        );
        assert_eq!(told("TopK", 1, &[floats("b 10")], &[("k", Attribute::Int(2))]), "float32 [batch, 2]");
        assert_eq!(told("CumSum", 14, &[floats("b 10"), int(1)], &[]), "float32 [batch, 10]");
    }
}
