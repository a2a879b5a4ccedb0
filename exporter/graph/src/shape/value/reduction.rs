//! Reductions and running sums of whole numbers.

use super::{Elem, Linear, Value};
use crate::shape::call::{Call, Setting, axes, axis};

pub(super) fn reduce(call: &Call<'_>, input: &Value, dims: &[usize]) -> Option<Value> {
    let rank = input.dims().len();
    let reduced = match call.setting("axes", 1).ok()? {
        Setting::Unknown => return None,
        Setting::Given(given) if !given.is_empty() => axes(&given, rank).ok()?,
        _ if call.int_or("noop_with_empty_axes", 0).ok()? != 0 => return None,
        _ => (0..rank).collect(),
    };
    let (start, op) = match call.node.op.as_str() {
        "ReduceProd" => (Some(Elem::int(1)), "Mul"),
        "ReduceSum" => (Some(Elem::int(0)), "Add"),
        "ReduceMax" => (None, "Max"),
        "ReduceMin" => (None, "Min"),
        _ => return None,
    };
    let kept: Vec<usize> = (0..rank).filter(|axis| !reduced.contains(axis)).collect();
    let kept_dims = kept.iter().map(|axis| input.dims().get(*axis).copied()).collect::<Option<Vec<_>>>()?;
    let count = kept_dims.iter().try_fold(1usize, |count, dim| count.checked_mul(*dim))?;
    let mut sums = vec![start; count];
    let indexed = Value::build(input.dtype(), input.dims().to_vec(), |index| {
        // Position in the result, as an element.
        let position = kept.iter().zip(&kept_dims).try_fold(0usize, |position, (axis, dim)| {
            position.checked_mul(*dim)?.checked_add(*index.get(*axis)?)
        })?;
        Some(Elem::int(i64::try_from(position).ok()?))
    })?;
    for (elem, position) in input.elems().iter().zip(indexed.elems()) {
        elem.linear()?;
        let sum = sums.get_mut(usize::try_from(position.whole()?).ok()?)?;
        *sum = Some(match *sum {
            None => *elem,
            Some(so_far) => super::arithmetic::binary(op, so_far, *elem, input.dtype()),
        });
    }
    Value::new(input.dtype(), dims.to_vec(), sums.into_iter().collect::<Option<_>>()?)
}

pub(super) fn running_sum(call: &Call<'_>, input: &Value) -> Option<Value> {
    if call.int_or("exclusive", 0).ok()? != 0 || call.int_or("reverse", 0).ok()? != 0 {
        return None;
    }
    let along = axis(*call.ints(1)?.first()?, input.dims().len()).ok()?;
    Value::build(input.dtype(), input.dims().to_vec(), |index| {
        let mut index = index.to_vec();
        let last = *index.get(along)?;
        let mut sum = Linear::new(0);
        for at in 0..=last {
            *index.get_mut(along)? = at;
            sum = sum.plus(input.at(&index)?.linear()?)?;
        }
        Some(Elem::Whole(sum).held_by(input.dtype()))
    })
}
