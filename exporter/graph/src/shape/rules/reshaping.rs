//! The same elements, or copies of them, under other extents.

use crate::shape::call::{Call, Ruled, Setting, axes, axis};
use crate::shape::extent::broadcast;
use crate::shape::{Contradiction, Elem, Extent, Fact};

/// `Reshape`: 0 copies an extent (unless `allowzero`), -1 takes what is left.
pub(super) fn reshape(call: &Call<'_>) -> Ruled {
    let input = call.need(0)?;
    let target: Vec<Elem> = match call.int_list("shape")? {
        Some(ints) => ints.iter().map(|int| Elem::int(*int)).collect(),
        None => {
            call.need(1)?;
            match (call.elems(1), call.extents(1)) {
                (Some(elems), _) => elems.to_vec(),
                (None, Some([Extent::Known(rank)])) if *rank <= MOST_AXES => vec![Elem::Unknown; *rank],
                _ => return Ok(vec![Fact::new(input.dtype, None)]),
            }
        }
    };
    let zero_copies = call.int_or("allowzero", 0)? == 0;
    Ok(vec![Fact::new(input.dtype, reshaped(input.extents.as_deref(), &target, zero_copies)?)])
}

/// Axes beyond this are not believed.
const MOST_AXES: usize = 64;

fn reshaped(
    from: Option<&[Extent]>,
    target: &[Elem],
    zero_copies: bool,
) -> Result<Vec<Extent>, Contradiction> {
    let bad = Contradiction::Value { input: 1 };
    let mut to = Vec::with_capacity(target.len());
    let mut open = None;
    // What is copied is on both sides and needs not be known.
    let mut rest: Vec<Extent> = from.map(<[_]>::to_vec).unwrap_or_default();
    let mut asked = Vec::new();
    for (axis, elem) in target.iter().enumerate() {
        let extent = match elem.whole() {
            Some(-1) if open.replace(axis).is_some() => return Err(bad),
            Some(-1) => Extent::Unknown,
            Some(0) if zero_copies => match from.map(|from| from.get(axis)) {
                Some(None) => return Err(bad),
                Some(Some(copied)) => {
                    rest.iter_mut().skip(axis).take(1).for_each(|extent| *extent = Extent::Known(1));
                    *copied
                }
                None => Extent::Unknown,
            },
            _ => {
                let extent = elem.extent().ok_or_else(|| bad.clone())?;
                asked.push(extent);
                extent
            }
        };
        to.push(extent);
    }
    let Some(from) = from else { return Ok(to) };
    let (Some(have), Some(want)) = (Product::of(&rest)?, Product::of(&asked)?) else { return Ok(to) };
    match open {
        Some(axis) => {
            let left = have.over(want);
            if left.is_none() && want.factor != 0 && want.batches <= have.batches {
                return Err(Contradiction::Elements { from: from.to_vec(), to });
            }
            let left = left.unwrap_or(Extent::Unknown);
            to.iter_mut().skip(axis).take(1).for_each(|extent| *extent = left);
        }
        None if have != want => return Err(Contradiction::Elements { from: from.to_vec(), to }),
        None => {}
    }
    Ok(to)
}

/// `factor * batch^batches`.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Product {
    factor: usize,
    batches: u32,
}

impl Product {
    fn of(extents: &[Extent]) -> Result<Option<Self>, Contradiction> {
        let mut product = Self { factor: 1, batches: 0 };
        for extent in extents {
            let factor = match extent {
                Extent::Known(0) => return Ok(Some(Self { factor: 0, batches: 0 })),
                Extent::Known(factor) => *factor,
                Extent::Batch(factor) => {
                    product.batches += 1;
                    *factor
                }
                Extent::Unknown => return Ok(None),
            };
            product.factor = product.factor.checked_mul(factor).ok_or(Contradiction::Overflow)?;
        }
        Ok(Some(product))
    }

    fn over(self, by: Self) -> Option<Extent> {
        let batches = self.batches.checked_sub(by.batches)?;
        if self.factor.checked_rem(by.factor)? != 0 {
            return None;
        }
        match batches {
            0 => Some(Extent::Known(self.factor / by.factor)),
            1 => Some(Extent::batches(self.factor / by.factor)),
            _ => Some(Extent::Unknown),
        }
    }
}

pub(super) fn flatten(call: &Call<'_>) -> Ruled {
    let input = call.need(0)?;
    let Some(extents) = &input.extents else {
        return Ok(vec![Fact::new(input.dtype, vec![Extent::Unknown; 2])]);
    };
    // The axis may be the rank itself: everything goes to the first extent.
    let along = call.int_or("axis", 1)?;
    let rank = extents.len();
    let along = if usize::try_from(along) == Ok(rank) { rank } else { axis(along, rank)? };
    let (outer, inner) = extents.split_at_checked(along).unwrap_or((extents, &[]));
    let product = |extents: &[Extent]| extents.iter().try_fold(Extent::Known(1), |all, one| all.times(*one));
    Ok(vec![Fact::new(input.dtype, vec![product(outer)?, product(inner)?])])
}

pub(super) fn squeeze(call: &Call<'_>) -> Ruled {
    let input = call.need(0)?;
    let setting = call.setting("axes", 1)?;
    let (Some(extents), false) = (&input.extents, matches!(setting, Setting::Unknown)) else {
        return Ok(vec![Fact::new(input.dtype, None)]);
    };
    let dropped = match setting {
        Setting::Given(given) => {
            let dropped = axes(&given, extents.len())?;
            for extent in dropped.iter().filter_map(|axis| extents.get(*axis)) {
                Extent::Known(1).agreed(*extent, "squeezed extent")?;
            }
            dropped
        }
        // Which extents are 1 must be known of all.
        _ if extents.contains(&Extent::Unknown) => return Ok(vec![Fact::new(input.dtype, None)]),
        _ => (0..extents.len()).filter(|axis| extents.get(*axis) == Some(&Extent::Known(1))).collect(),
    };
    let kept = extents.iter().enumerate().filter(|(axis, _)| !dropped.contains(axis));
    Ok(vec![Fact::new(input.dtype, kept.map(|(_, extent)| *extent).collect::<Vec<_>>())])
}

pub(super) fn unsqueeze(call: &Call<'_>) -> Ruled {
    let input = call.need(0)?;
    let given = match call.setting("axes", 1)? {
        Setting::Given(given) => given,
        Setting::Absent => return Err(Contradiction::MissingInput { input: 1 }),
        Setting::Unknown => return Ok(vec![Fact::new(input.dtype, None)]),
    };
    let Some(extents) = &input.extents else { return Ok(vec![Fact::new(input.dtype, None)]) };
    let rank = extents.len().checked_add(given.len()).ok_or(Contradiction::Overflow)?;
    let added = axes(&given, rank)?;
    if added.len() != given.len() {
        return Err(Contradiction::Value { input: 1 });
    }
    let mut old = extents.iter();
    let placed = (0..rank).map(|axis| {
        let kept = if added.contains(&axis) { None } else { old.next() };
        kept.copied().unwrap_or(Extent::Known(1))
    });
    Ok(vec![Fact::new(input.dtype, placed.collect::<Vec<_>>())])
}

pub(super) fn expand(call: &Call<'_>) -> Ruled {
    let input = call.need(0)?;
    call.need(1)?;
    let target: Vec<Extent> = match (call.elems(1), call.extents(1)) {
        (Some(elems), _) => {
            let extents: Option<_> = elems.iter().map(|elem| elem.extent()).collect();
            extents.ok_or(Contradiction::Value { input: 1 })?
        }
        (None, Some([Extent::Known(rank)])) if *rank <= MOST_AXES => vec![Extent::Unknown; *rank],
        _ => return Ok(vec![Fact::new(input.dtype, None)]),
    };
    let extents = input.extents.as_ref().map(|extents| broadcast(extents, &target)).transpose()?;
    Ok(vec![Fact::new(input.dtype, extents)])
}

pub(super) fn tile(call: &Call<'_>) -> Ruled {
    let input = call.need(0)?;
    call.need(1)?;
    let Some(extents) = &input.extents else { return Ok(vec![Fact::new(input.dtype, None)]) };
    let Some(repeats) = call.elems(1) else {
        return Ok(vec![Fact::new(input.dtype, vec![Extent::Unknown; extents.len()])]);
    };
    if repeats.len() != extents.len() {
        return Err(Contradiction::Value { input: 1 });
    }
    let tiled = extents
        .iter()
        .zip(repeats)
        .map(|(extent, repeat)| extent.times(repeat.extent().ok_or(Contradiction::Value { input: 1 })?));
    Ok(vec![Fact::new(input.dtype, tiled.collect::<Result<Vec<_>, _>>()?)])
}
