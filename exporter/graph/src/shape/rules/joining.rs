//! Joining and splitting along an axis.

use crate::shape::call::{Call, Ruled, Setting, axis};
use crate::shape::{Contradiction, Elem, Extent, Fact};

/// `Concat`: before opset 4 along axis 1 unless told otherwise.
pub(super) fn concat(call: &Call<'_>) -> Ruled {
    let dtype = (0..call.inputs.len()).find_map(|at| call.dtype(at));
    let along = if call.opset < 4 { call.int_or("axis", 1)? } else { call.need_int("axis")? };
    let rank = (0..call.inputs.len()).find_map(|at| call.extents(at)).map(<[_]>::len);
    let Some(rank) = rank else {
        call.need(0)?;
        return Ok(vec![Fact::new(dtype, None)]);
    };
    let along = axis(along, rank)?;
    let mut joined = vec![Extent::Unknown; rank];
    let mut sum = Extent::Known(0);
    for at in 0..call.inputs.len() {
        call.need(at)?;
        let Some(extents) = call.extents_of_rank(at, rank)? else {
            sum = Extent::Unknown;
            continue;
        };
        for (axis, (extent, to)) in extents.iter().zip(&mut joined).enumerate() {
            if axis == along {
                sum = if sum == Extent::Unknown { sum } else { sum.plus(*extent)? };
            } else {
                *to = to.agreed(*extent, "extent beside the joined axis")?;
            }
        }
    }
    joined.iter_mut().skip(along).take(1).for_each(|extent| *extent = sum);
    Ok(vec![Fact::new(dtype, joined)])
}

/// `Split`: sizes by attribute before opset 13, by input since; equal parts, the last one smaller, without.
pub(super) fn split(call: &Call<'_>) -> Ruled {
    let input = call.need(0)?;
    let count = call.node.outputs.len();
    let Some(extents) = &input.extents else {
        return Ok(vec![Fact::new(input.dtype, None); count]);
    };
    let along = axis(call.int_or("axis", 0)?, extents.len())?;
    let whole = extents.get(along).copied().unwrap_or(Extent::Unknown);
    let parts = match call.setting("split", 1)? {
        Setting::Given(sizes) => stated(&sizes, whole, count)?,
        Setting::Absent => equal(call, whole, count)?,
        Setting::Unknown => match call.elems(1) {
            Some(elems) => elems.iter().map(|elem| elem.extent().unwrap_or(Extent::Unknown)).collect(),
            None => vec![Extent::Unknown; count],
        },
    };
    let part = |size: Extent| {
        let mut extents = extents.clone();
        extents.iter_mut().skip(along).take(1).for_each(|extent| *extent = size);
        Fact::new(input.dtype, extents)
    };
    Ok(parts.into_iter().map(part).collect())
}

fn stated(sizes: &[i64], whole: Extent, count: usize) -> Result<Vec<Extent>, Contradiction> {
    let bad = Contradiction::Attribute { name: "split" };
    if sizes.len() != count {
        return Err(bad);
    }
    let parts = sizes.iter().map(|size| Elem::int(*size).extent());
    let parts: Vec<Extent> = parts.collect::<Option<_>>().ok_or(bad)?;
    let sum = parts.iter().try_fold(Extent::Known(0), |sum, part| sum.plus(*part))?;
    sum.agreed(whole, "sum of the parts")?;
    Ok(parts)
}

fn equal(call: &Call<'_>, whole: Extent, count: usize) -> Result<Vec<Extent>, Contradiction> {
    let parts = match call.int("num_outputs")? {
        Some(parts) => {
            usize::try_from(parts).map_err(|_| Contradiction::Attribute { name: "num_outputs" })?
        }
        None => count,
    };
    if parts == 0 {
        return Err(Contradiction::Attribute { name: "num_outputs" });
    }
    let Extent::Known(extent) = whole else { return Ok(vec![whole.divided(parts); count]) };
    let size = extent.div_ceil(parts);
    let sizes = (0..count).map(|part| {
        let start = part.saturating_mul(size).min(extent);
        Extent::Known(size.min(extent - start))
    });
    Ok(sizes.collect())
}

#[cfg(test)]
mod tests {
    use crate::ir::Attribute;
    use crate::shape::sample::{floats, ints, list, told, told_all};

    #[test]
    fn joined_extents_add_up() {
        let joined = |axis: i64, left: &str, right: &str| {
            told("Concat", 17, &[floats(left), floats(right)], &[("axis", Attribute::Int(axis))])
        };
        assert_eq!(joined(1, "b 3 8", "b 5 8"), "float32 [batch, 8, 8]");
        assert_eq!(joined(0, "b 3", "b 3"), "float32 [2*batch, 3]");
        assert_eq!(joined(0, "b 3", "1 3"), "float32 [?, 3]");
        assert_eq!(joined(-1, "b 3", "b ?"), "float32 [batch, ?]");
        assert_eq!(joined(1, "b 3 8", "b 5 9"), "extent beside the joined axis: expected 8, got 9");
        assert_eq!(joined(2, "b 3", "b 3"), "axis 2 is out of range for rank 2");
    }

    #[test]
    fn parts_are_stated_or_equal() {
        let axis = ("axis", Attribute::Int(1));
        let stated = [axis.clone(), ("split", list(&[2, 5]))];
        assert_eq!(
            told_all("Split", 11, &[floats("b 7")], &stated, 2),
            ["float32 [batch, 2]", "float32 [batch, 5]"]
        );
        assert_eq!(
            told_all("Split", 13, &[floats("b 7"), ints(&[3, 4])], std::slice::from_ref(&axis), 2),
            ["float32 [batch, 3]", "float32 [batch, 4]"]
        );
        let parts = [axis.clone(), ("num_outputs", Attribute::Int(3))];
        assert_eq!(
            told_all("Split", 18, &[floats("b 7")], &parts, 3),
            ["float32 [batch, 3]", "float32 [batch, 3]", "float32 [batch, 1]"]
        );
        assert_eq!(
            told_all("Split", 13, &[floats("b 7"), ints(&[3, 5])], &[axis], 2),
            ["sum of the parts: expected 8, got 7"]
        );
    }
}
