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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::ir::Attribute;
    use crate::shape::sample::{floats, ints, list, told};

    fn reshaped(from: &str, to: &[i64]) -> String {
        told("Reshape", 14, &[floats(from), ints(to)], &[])
    }

    #[test]
    fn the_batch_moves_through_a_reshape() {
        assert_eq!(reshaped("b 16 4 4", &[0, -1]), "float32 [batch, 256]");
        assert_eq!(reshaped("b 16 4 4", &[-1, 256]), "float32 [batch, 256]");
        assert_eq!(reshaped("b 12 49 32", &[-1, 49, 32]), "float32 [12*batch, 49, 32]");
        assert_eq!(reshaped("b ? 4", &[0, 0, 2, 2]), "float32 [batch, ?, 2, 2]");
        assert_eq!(reshaped("b ? 4", &[0, 0, -1]), "float32 [batch, ?, 4]");
        assert_eq!(reshaped("b 4", &[2, -1]), "float32 [2, 2*batch]");
    }

    #[test]
    fn another_number_of_elements_is_refused() {
        assert_eq!(
            reshaped("b 16", &[0, 15]),
            "[batch, 16] cannot become [batch, 15]: the numbers of elements differ"
        );
        assert_eq!(
            reshaped("b 16", &[0, 3, -1]),
            "[batch, 16] cannot become [batch, 3, ?]: the numbers of elements differ"
        );
        assert_eq!(
            reshaped("b 16", &[1, 16]),
            "[batch, 16] cannot become [1, 16]: the numbers of elements differ"
        );
        assert!(reshaped("b 16", &[-1, -1]).starts_with("input 1 has a value"));
        assert_eq!(reshaped("4294967296 4294967296 4294967296", &[-1]), "an extent overflows");
    }

    #[test]
    fn zero_copies_unless_told_otherwise() {
        let with = [("allowzero", Attribute::Int(1))];
        assert_eq!(told("Reshape", 14, &[floats("3 0"), ints(&[0, 7])], &with), "float32 [0, 7]");
        assert_eq!(
            told("Reshape", 1, &[floats("b 6")], &[("shape", list(&[0, 2, 3]))]),
            "float32 [batch, 2, 3]"
        );
    }

    #[test]
    fn flattening_multiplies() {
        let flat = |axis: i64| told("Flatten", 13, &[floats("b 3 4 5")], &[("axis", Attribute::Int(axis))]);
        assert_eq!(flat(1), "float32 [batch, 60]");
        assert_eq!(flat(2), "float32 [3*batch, 20]");
        assert_eq!(flat(0), "float32 [1, 60*batch]");
        assert_eq!(flat(4), "float32 [60*batch, 1]");
        assert_eq!(flat(-1), "float32 [12*batch, 5]");
    }

    #[test]
    fn axes_of_one_come_and_go() {
        let axes = [("axes", list(&[1, -1]))];
        assert_eq!(told("Squeeze", 11, &[floats("b 1 3 1")], &axes), "float32 [batch, 3]");
        assert_eq!(told("Squeeze", 13, &[floats("b 1 3 1")], &[]), "float32 [batch, 3]");
        assert_eq!(
            told("Squeeze", 13, &[floats("b 1 3 1"), ints(&[2])], &[]),
            "squeezed extent: expected 1, got 3"
        );
        assert_eq!(told("Unsqueeze", 11, &[floats("b 3")], &axes), "float32 [batch, 1, 3, 1]");
        assert_eq!(told("Unsqueeze", 13, &[floats("b 3"), ints(&[0])], &[]), "float32 [1, batch, 3]");
    }

    #[test]
    fn copies_stretch_and_repeat() {
        assert_eq!(told("Expand", 13, &[floats("b 1 3"), ints(&[4, 1])], &[]), "float32 [batch, 4, 3]");
        assert_eq!(
            told("Expand", 13, &[floats("b 3"), ints(&[2])], &[]),
            "[batch, 3] and [2] do not broadcast"
        );
        assert_eq!(told("Tile", 13, &[floats("b 3"), ints(&[2, 3])], &[]), "float32 [2*batch, 9]");
    }

    proptest! {
        /// What is told for a free batch holds for every fixed one.
        #[test]
        fn a_free_batch_stands_for_every_fixed_one(
            inner in prop::collection::vec(1usize..7, 0..4),
            cuts in prop::collection::vec(0usize..5, 0..3),
            batch in 1usize..9,
        ) {
            // A target with the same elements: neighbouring extents joined, the first left over.
            let mut target: Vec<i64> = inner.iter().map(|extent| *extent as i64).collect();
            for cut in cuts {
                if cut + 1 < target.len() {
                    let joined = target.remove(cut + 1);
                    target[cut] *= joined;
                }
            }
            target.insert(0, -1);
            let tail: String = inner.iter().map(|extent| format!(" {extent}")).collect();
            let free = reshaped(&format!("b{tail}"), &target);
            let fixed = reshaped(&format!("{batch}{tail}"), &target);
            prop_assert_eq!(free.replace("batch", &batch.to_string()), fixed);
        }

        #[test]
        fn no_target_breaks_inference(
            from in prop::collection::vec(prop_oneof![0usize..5, Just(usize::MAX), Just(1 << 40)], 0..5),
            to in prop::collection::vec(prop_oneof![-3i64..5, any::<i64>()], 0..5),
        ) {
            let from: String = from.iter().map(|extent| format!("{extent} ")).collect();
            reshaped(&from, &to);
        }
    }
}
