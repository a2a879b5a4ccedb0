//! `Pad`, by attribute before opset 11 and by input since.

use crate::shape::call::{Call, Ruled, Setting, axis};
use crate::shape::{Contradiction, Extent, Fact};

/// Elements added before and after along every axis (taken away where negative); nothing where that cannot be told.
pub(crate) fn pads(call: &Call<'_>, rank: usize) -> Result<Option<Vec<(i64, i64)>>, Contradiction> {
    let name = if call.opset < 2 { "paddings" } else { "pads" };
    let pads = match call.setting(name, 1)? {
        Setting::Given(pads) => pads,
        Setting::Unknown => return Ok(None),
        Setting::Absent => return Err(Contradiction::MissingInput { input: 1 }),
    };
    let axes: Vec<i64> = match call.setting("axes", 3)? {
        Setting::Given(axes) => axes,
        Setting::Unknown => return Ok(None),
        Setting::Absent => (0i64..).take(rank).collect(),
    };
    if axes.len().checked_mul(2) != Some(pads.len()) {
        return Err(Contradiction::Value { input: 1 });
    }
    let (before, after) = pads.split_at(axes.len());
    let mut padded = vec![(0, 0); rank];
    for ((along, before), after) in axes.into_iter().zip(before).zip(after) {
        if let Some(pads) = padded.get_mut(axis(along, rank)?) {
            *pads = (*before, *after);
        }
    }
    Ok(Some(padded))
}

pub(super) fn pad(call: &Call<'_>) -> Ruled {
    let input = call.need(0)?;
    let Some(extents) = &input.extents else { return Ok(vec![Fact::new(input.dtype, None)]) };
    let Some(pads) = pads(call, extents.len())? else {
        return Ok(vec![Fact::new(input.dtype, vec![Extent::Unknown; extents.len()])]);
    };
    let padded = extents.iter().zip(pads).map(|(extent, (before, after))| {
        let added = before.checked_add(after).ok_or(Contradiction::Overflow)?;
        match extent {
            extent if added == 0 => Ok(*extent),
            Extent::Known(extent) => {
                let grown = i64::try_from(*extent).ok().and_then(|extent| extent.checked_add(added));
                let grown = usize::try_from(grown.ok_or(Contradiction::Overflow)?);
                grown.map(Extent::Known).map_err(|_| Contradiction::Value { input: 1 })
            }
            _ => Ok(Extent::Unknown),
        }
    });
    Ok(vec![Fact::new(input.dtype, padded.collect::<Result<Vec<_>, _>>()?)])
}

#[cfg(test)]
mod tests {
    use crate::shape::sample::{Given, floats, ints, list, told};

    #[test]
    fn pads_come_by_attribute_or_input() {
        let with = [("pads", list(&[0, 0, 1, 2, 0, 0, 3, -1]))];
        assert_eq!(told("Pad", 10, &[floats("b 3 8 8")], &with), "float32 [batch, 3, 12, 9]");
        let pads = ints(&[0, 8, 0, 0, 0, 8, 0, 0]);
        assert_eq!(told("Pad", 13, &[floats("b 16 8 8"), pads], &[]), "float32 [batch, 32, 8, 8]");
        let given = [floats("b 3 8 8"), ints(&[1, 1]), Given::Absent, ints(&[-1])];
        assert_eq!(told("Pad", 18, &given, &[]), "float32 [batch, 3, 8, 10]");
    }

    #[test]
    fn pads_must_fit_the_axes() {
        let refused = "input 1 has a value that the operator does not allow";
        assert_eq!(told("Pad", 13, &[floats("b 3"), ints(&[0, 0])], &[]), refused);
        assert_eq!(told("Pad", 13, &[floats("b 3"), ints(&[0, -2, 0, -2])], &[]), refused);
    }
}
