//! Reading by index.

use crate::shape::call::{Call, Ruled, axis};
use crate::shape::extent::INT64;
use crate::shape::{Contradiction, Extent, Fact};

pub(super) fn gather(call: &Call<'_>) -> Ruled {
    let (data, indices) = (call.need(0)?, call.need(1)?);
    let (Some(extents), Some(read)) = (&data.extents, &indices.extents) else {
        return Ok(vec![Fact::new(data.dtype, None)]);
    };
    let along = axis(call.int_or("axis", 0)?, extents.len())?;
    let (before, after) = extents.split_at_checked(along).unwrap_or((extents, &[]));
    Ok(vec![Fact::new(data.dtype, [before, read, after.get(1..).unwrap_or_default()].concat())])
}

pub(super) fn elements(call: &Call<'_>) -> Ruled {
    Ok(vec![Fact::new(call.need(0)?.dtype, call.need(1)?.extents.clone())])
}

/// `GatherND`: the last axis of the indices holds positions in the data.
pub(super) fn tuples(call: &Call<'_>) -> Ruled {
    let (data, indices) = (call.need(0)?, call.need(1)?);
    let shared = usize::try_from(call.int_or("batch_dims", 0)?);
    let shared = shared.map_err(|_| Contradiction::Attribute { name: "batch_dims" })?;
    let extents = match (data.extents.as_deref(), indices.extents.as_deref()) {
        (Some(extents), Some([outer @ .., Extent::Known(depth)])) => {
            let read = shared.checked_add(*depth).ok_or(Contradiction::Overflow)?;
            let rest = extents.get(read..).ok_or(Contradiction::Rank {
                input: 0,
                expected: read,
                found: extents.len(),
            })?;
            Some([outer, rest].concat())
        }
        (_, Some([])) => return Err(Contradiction::Rank { input: 1, expected: 1, found: 0 }),
        _ => None,
    };
    Ok(vec![Fact::new(data.dtype, extents)])
}

/// `OneHot`: indices, depth, `[off, on]`.
pub(super) fn one_hot(call: &Call<'_>) -> Ruled {
    let (indices, dtype) = (call.need(0)?, call.need(2)?.dtype);
    let Some(extents) = &indices.extents else { return Ok(vec![Fact::new(dtype, None)]) };
    let rank = extents.len().checked_add(1).ok_or(Contradiction::Overflow)?;
    let along = axis(call.int_or("axis", -1)?, rank)?;
    let depth = match call.elems(1).and_then(|elems| elems.first()) {
        Some(depth) => depth.count().ok_or(Contradiction::Value { input: 1 })?,
        None => Extent::Unknown,
    };
    let mut extents = extents.clone();
    extents.insert(along.min(extents.len()), depth);
    Ok(vec![Fact::new(dtype, extents)])
}

/// `NonZero`: how many there are depends on data.
pub(super) fn non_zero(call: &Call<'_>) -> Ruled {
    let rank = call.need(0)?.extents.as_ref().map(|extents| extents.len().max(1));
    Ok(vec![Fact::new(INT64, vec![rank.map_or(Extent::Unknown, Extent::Known), Extent::Unknown])])
}

#[cfg(test)]
mod tests {
    use crate::ir::Attribute;
    use crate::shape::sample::{floats, int, ints, told, typed};
    use offramp_models::DType;

    #[test]
    fn the_indices_replace_the_axis() {
        let axis = [("axis", Attribute::Int(1))];
        assert_eq!(told("Gather", 13, &[floats("b 5 6"), int(0)], &axis), "float32 [batch, 6]");
        assert_eq!(
            told("Gather", 13, &[floats("9 6"), typed(DType::Int64, "b 7")], &[]),
            "float32 [batch, 7, 6]"
        );
        assert_eq!(
            told("GatherElements", 13, &[floats("b 5"), typed(DType::Int64, "b 2")], &axis),
            "float32 [batch, 2]"
        );
    }

    #[test]
    fn tuples_of_indices_read_deep() {
        let read =
            |indices: &str| told("GatherND", 13, &[floats("b 5 6 7"), typed(DType::Int64, indices)], &[]);
        assert_eq!(read("4 2"), "float32 [4, 6, 7]");
        assert_eq!(read("4 3 1"), "float32 [4, 3, 5, 6, 7]");
        assert_eq!(read("4 9"), "input 0 has rank 4, expected 9");
    }

    #[test]
    fn scattering_keeps_the_form() {
        let given = [floats("b 5"), typed(DType::Int64, "3 2"), floats("3")];
        assert_eq!(told("ScatterND", 16, &given, &[]), "float32 [batch, 5]");
    }

    #[test]
    fn how_many_are_not_zero_depends_on_data() {
        assert_eq!(told("NonZero", 13, &[floats("b 5")], &[]), "int64 [2, ?]");
        assert_eq!(told("NonZero", 13, &[ints(&[0, 3, 0, 4])], &[]), "int64 [1, 2]");
        let given = [typed(DType::Int64, "b"), int(10), floats("2")];
        assert_eq!(told("OneHot", 11, &given, &[]), "float32 [batch, 10]");
    }
}
