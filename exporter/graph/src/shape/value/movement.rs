//! Operators that move elements without computing with them.

use super::{Elem, Value};
use crate::shape::call::{Call, axis};
use crate::shape::rules::{padding, slicing};

pub(super) fn transpose(call: &Call<'_>, input: &Value, dims: &[usize]) -> Option<Value> {
    let rank = input.dims().len();
    let order: Vec<usize> = match call.int_list("perm").ok()? {
        None => (0..rank).rev().collect(),
        Some(perm) => perm.iter().map(|one| axis(*one, rank).ok()).collect::<Option<_>>()?,
    };
    Value::build(input.dtype(), dims.to_vec(), |index| {
        let mut from = vec![0; rank];
        for (axis, at) in order.iter().zip(index) {
            *from.get_mut(*axis)? = *at;
        }
        input.at(&from)
    })
}

pub(super) fn slice(call: &Call<'_>, input: &Value, dims: &[usize]) -> Option<Value> {
    let cuts = slicing::cuts(call, input.dims().len()).ok()??;
    let mut starts = Vec::with_capacity(cuts.len());
    for (cut, dim) in cuts.iter().zip(input.dims()) {
        starts.push(cut.as_ref().map_or(Some((0, 1)), |cut| cut.begin(*dim))?);
    }
    Value::build(input.dtype(), dims.to_vec(), |index| {
        let from = index.iter().zip(&starts).map(|(at, (start, step))| {
            let at = i64::try_from(*at).ok()?;
            usize::try_from(at.checked_mul(*step)?.checked_add(*start)?).ok()
        });
        input.at(&from.collect::<Option<Vec<_>>>()?)
    })
}

pub(super) fn stretch(input: &Value, dims: &[usize]) -> Option<Value> {
    Value::build(input.dtype(), dims.to_vec(), |index| input.stretched(index))
}

pub(super) fn tile(input: &Value, dims: &[usize]) -> Option<Value> {
    Value::build(input.dtype(), dims.to_vec(), |index| {
        let from = index.iter().zip(input.dims()).map(|(at, dim)| at.checked_rem(*dim));
        input.at(&from.collect::<Option<Vec<_>>>()?)
    })
}

pub(super) fn split(call: &Call<'_>, input: &Value, parts: &[Vec<usize>]) -> Option<Vec<Value>> {
    let along = axis(call.int_or("axis", 0).ok()?, input.dims().len()).ok()?;
    let mut start = 0usize;
    let mut values = Vec::with_capacity(parts.len());
    for dims in parts {
        values.push(Value::build(input.dtype(), dims.clone(), |index| {
            let mut from = index.to_vec();
            *from.get_mut(along)? = from.get(along)?.checked_add(start)?;
            input.at(&from)
        })?);
        start = start.checked_add(*dims.get(along)?)?;
    }
    Some(values)
}

pub(super) fn concat(call: &Call<'_>, inputs: &[&Value], dims: &[usize]) -> Option<Value> {
    let along = axis(call.int_or("axis", 1).ok()?, dims.len()).ok()?;
    Value::build(inputs.first()?.dtype(), dims.to_vec(), |index| {
        let mut index = index.to_vec();
        for input in inputs {
            let (at, dim) = (index.get_mut(along)?, *input.dims().get(along)?);
            if *at < dim {
                return input.at(&index);
            }
            *at -= dim;
        }
        None
    })
}

pub(super) fn pad(call: &Call<'_>, input: &Value, dims: &[usize]) -> Option<Value> {
    if call.text("mode").ok()?.is_some_and(|mode| mode != b"constant") {
        return None;
    }
    let pads = padding::pads(call, input.dims().len()).ok()??;
    let fill = match call.input(2) {
        Some(_) => *call.elems(2)?.first()?,
        None => Elem::int(0).held_by(input.dtype()),
    };
    Value::build(input.dtype(), dims.to_vec(), |index| {
        let mut from = Vec::with_capacity(index.len());
        for ((at, (before, _)), dim) in index.iter().zip(&pads).zip(input.dims()) {
            match usize::try_from(i64::try_from(*at).ok()?.checked_sub(*before)?) {
                Ok(at) if at < *dim => from.push(at),
                _ => return Some(fill),
            }
        }
        input.at(&from)
    })
}

/// Counts a negative index from the end.
fn indexed(elem: Elem, dim: usize) -> Option<usize> {
    axis(elem.whole()?, dim).ok()
}

pub(super) fn gather(call: &Call<'_>, data: &Value, indices: &Value, dims: &[usize]) -> Option<Value> {
    let along = axis(call.int_or("axis", 0).ok()?, data.dims().len()).ok()?;
    let dim = *data.dims().get(along)?;
    let width = indices.dims().len();
    Value::build(data.dtype(), dims.to_vec(), |index| {
        let which = index.get(along..along.checked_add(width)?)?;
        let mut from = index.get(..along)?.to_vec();
        from.push(indexed(indices.at(which)?, dim)?);
        from.extend_from_slice(index.get(along.checked_add(width)?..)?);
        data.at(&from)
    })
}

pub(super) fn gather_elements(call: &Call<'_>, data: &Value, indices: &Value) -> Option<Value> {
    let along = axis(call.int_or("axis", 0).ok()?, data.dims().len()).ok()?;
    let dim = *data.dims().get(along)?;
    Value::build(data.dtype(), indices.dims().to_vec(), |index| {
        let mut from = index.to_vec();
        *from.get_mut(along)? = indexed(indices.at(index)?, dim)?;
        data.at(&from)
    })
}

pub(super) fn gather_nd(call: &Call<'_>, data: &Value, indices: &Value, dims: &[usize]) -> Option<Value> {
    if call.int_or("batch_dims", 0).ok()? != 0 {
        return None;
    }
    let (depth, outer) = indices.dims().split_last()?;
    Value::build(data.dtype(), dims.to_vec(), |index| {
        let (which, rest) = index.split_at_checked(outer.len())?;
        let mut which = which.to_vec();
        let mut from = Vec::with_capacity(data.dims().len());
        for axis in 0..*depth {
            which.push(axis);
            from.push(indexed(indices.at(&which)?, *data.dims().get(axis)?)?);
            which.pop();
        }
        from.extend_from_slice(rest);
        data.at(&from)
    })
}

/// `ScatterND` without a reduction, where every index is known.
pub(super) fn scatter_nd(call: &Call<'_>, data: &Value, indices: &Value, updates: &Value) -> Option<Value> {
    if call.text("reduction").ok()?.is_some_and(|reduction| reduction != b"none") {
        return None;
    }
    let depth = *indices.dims().last()?;
    let mut elems = data.elems().to_vec();
    let inner: usize = data.dims().get(depth..)?.iter().product();
    if depth == 0 || updates.elems().len() != (indices.elems().len() / depth).checked_mul(inner)? {
        return None;
    }
    for (row, index) in indices.elems().chunks_exact(depth).enumerate() {
        let mut position = 0usize;
        for (elem, dim) in index.iter().zip(data.dims()) {
            position = position.checked_mul(*dim)?.checked_add(indexed(*elem, *dim)?)?;
        }
        let start = position.checked_mul(inner)?;
        let target = elems.get_mut(start..start.checked_add(inner)?)?;
        let from = row.checked_mul(inner)?;
        target.copy_from_slice(updates.elems().get(from..from.checked_add(inner)?)?);
    }
    Value::new(data.dtype(), data.dims().to_vec(), elems)
}

/// `Trilu`.
pub(super) fn triangle(call: &Call<'_>, input: &Value) -> Option<Value> {
    let upper = call.int_or("upper", 1).ok()? != 0;
    let offset = match call.input(1) {
        Some(_) => *call.ints(1)?.first()?,
        None => 0,
    };
    Value::build(input.dtype(), input.dims().to_vec(), |index| {
        let [.., row, column] = index else { return None };
        let beyond =
            i64::try_from(*column).ok()?.checked_sub(i64::try_from(*row).ok()?)?.checked_sub(offset)?;
        let kept = if upper { beyond >= 0 } else { beyond <= 0 };
        if kept { input.at(index) } else { Some(Elem::int(0).held_by(input.dtype())) }
    })
}

/// `NonZero` of a value that is wholly known.
pub(super) fn non_zero(input: &Value) -> Option<Value> {
    let rank = input.dims().len();
    let mut found: Vec<Vec<Elem>> = vec![Vec::new(); rank];
    let zero = Value::build(input.dtype(), input.dims().to_vec(), |index| {
        Some(Elem::truth(input.at(index)?.cast(offramp_models::DType::Bool).whole()? == 0))
    })?;
    for (position, elem) in zero.elems().iter().enumerate() {
        if elem.whole()? != 0 {
            continue;
        }
        let mut rest = position;
        for (axis, dim) in input.dims().iter().enumerate().rev() {
            found.get_mut(axis)?.push(Elem::int(i64::try_from(rest.checked_rem(*dim)?).ok()?));
            rest /= dim;
        }
    }
    let count = found.first().map_or(0, Vec::len);
    Value::new(offramp_models::DType::Int64, vec![rank, count], found.into_iter().flatten().collect())
}
