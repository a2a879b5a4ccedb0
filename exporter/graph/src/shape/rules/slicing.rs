//! `Slice`, by attributes before opset 10 and by inputs since.

use crate::shape::call::{Call, Ruled, Setting, axis};
use crate::shape::{Contradiction, Elem, Extent, Fact, Linear};

/// What is cut out of one axis.
pub(crate) struct Cut {
    start: Elem,
    end: Elem,
    step: Option<i64>,
}

impl Cut {
    /// First position and end, clamped as Slice-13 says.
    fn bounds(&self, whole: Linear, step: i64) -> Option<(Linear, Linear)> {
        let zero = Linear::new(0);
        let last = whole.minus(Linear::new(1))?;
        let from_front = |elem: Elem| {
            let linear = elem.linear()?;
            if linear.at_least(zero)? { Some(linear) } else { linear.plus(whole) }
        };
        let clamped = |linear: Linear, low: Linear, high: Linear| low.larger(linear.smaller(high)?);
        let (start, end) = (from_front(self.start)?, from_front(self.end)?);
        if step > 0 {
            Some((clamped(start, zero, whole)?, clamped(end, zero, whole)?))
        } else {
            Some((clamped(start, zero, last)?, clamped(end, Linear::new(-1), last)?))
        }
    }

    fn extent(&self, whole: Extent) -> Option<Extent> {
        let step = self.step?;
        let (start, end) = self.bounds(Elem::of_extent(whole).linear()?, step)?;
        let length = if step > 0 { end.minus(start)? } else { start.minus(end)? };
        if !length.at_least(Linear::new(0))? {
            return Some(Extent::Known(0));
        }
        let stride = step.checked_abs()?;
        let count = match length.known() {
            Some(length) => Linear::new(length.checked_add(stride - 1)?.checked_div(stride)?),
            None => length.over(Linear::new(stride))?,
        };
        Elem::Whole(count).extent()
    }

    /// First position and step in an axis of a known extent.
    pub fn begin(&self, whole: usize) -> Option<(i64, i64)> {
        let step = self.step?;
        let (start, _) = self.bounds(Linear::new(i64::try_from(whole).ok()?), step)?;
        Some((start.known()?, step))
    }
}

/// The cut of every axis, `None` for axes left whole; nothing where the axes cannot be told.
pub(crate) fn cuts(call: &Call<'_>, rank: usize) -> Result<Option<Vec<Option<Cut>>>, Contradiction> {
    let listed = |name: &'static str, at: usize| -> Result<Option<Vec<Elem>>, Contradiction> {
        if let Some(ints) = call.int_list(name)? {
            return Ok(Some(ints.iter().map(|int| Elem::int(*int)).collect()));
        }
        Ok(match (call.elems(at), call.extents(at)) {
            (Some(elems), _) => Some(elems.to_vec()),
            (None, Some([Extent::Known(length)])) if *length <= rank => Some(vec![Elem::Unknown; *length]),
            _ => None,
        })
    };
    let (Some(starts), Some(ends)) = (listed("starts", 1)?, listed("ends", 2)?) else { return Ok(None) };
    let axes = match call.setting("axes", 3)? {
        Setting::Given(axes) => axes,
        Setting::Unknown => return Ok(None),
        Setting::Absent => (0i64..).take(starts.len()).collect(),
    };
    let steps: Vec<Option<i64>> = match call.input(4) {
        None => vec![Some(1); axes.len()],
        Some(_) => match call.elems(4) {
            Some(elems) => elems.iter().map(|elem| elem.whole()).collect(),
            None => vec![None; axes.len()],
        },
    };
    if starts.len() != axes.len() || ends.len() != axes.len() {
        return Err(Contradiction::Value { input: 1 });
    }
    if steps.len() != axes.len() || steps.contains(&Some(0)) {
        return Err(Contradiction::Value { input: 4 });
    }
    let mut cuts: Vec<Option<Cut>> = std::iter::repeat_with(|| None).take(rank).collect();
    for (((along, start), end), step) in axes.into_iter().zip(starts).zip(ends).zip(steps) {
        if let Some(cut) = cuts.get_mut(axis(along, rank)?) {
            *cut = Some(Cut { start, end, step });
        }
    }
    Ok(Some(cuts))
}

pub(super) fn slice(call: &Call<'_>) -> Ruled {
    let input = call.need(0)?;
    let Some(extents) = &input.extents else { return Ok(vec![Fact::new(input.dtype, None)]) };
    let Some(cuts) = cuts(call, extents.len())? else {
        return Ok(vec![Fact::new(input.dtype, vec![Extent::Unknown; extents.len()])]);
    };
    let cut = |(extent, cut): (&Extent, &Option<Cut>)| match cut {
        None => *extent,
        Some(cut) => cut.extent(*extent).unwrap_or(Extent::Unknown),
    };
    Ok(vec![Fact::new(input.dtype, extents.iter().zip(&cuts).map(cut).collect::<Vec<_>>())])
}

#[cfg(test)]
mod tests {
    use crate::shape::sample::{Given, floats, ints, list, told};

    fn sliced(extents: &str, starts: &[i64], ends: &[i64], axes: &[i64], steps: &[i64]) -> String {
        let given = [floats(extents), ints(starts), ints(ends), ints(axes), ints(steps)];
        told("Slice", 13, &given, &[])
    }

    #[test]
    fn ends_are_clamped_and_counted_from_the_back() {
        assert_eq!(sliced("b 10", &[2], &[i64::MAX], &[1], &[1]), "float32 [batch, 8]");
        assert_eq!(sliced("b 10", &[-3], &[-1], &[1], &[1]), "float32 [batch, 2]");
        assert_eq!(sliced("b 10", &[0], &[10], &[-1], &[3]), "float32 [batch, 4]");
        assert_eq!(sliced("b 10", &[5], &[2], &[1], &[1]), "float32 [batch, 0]");
    }

    #[test]
    fn negative_steps_walk_back() {
        assert_eq!(sliced("b 10", &[-1], &[i64::MIN], &[1], &[-1]), "float32 [batch, 10]");
        assert_eq!(sliced("b 10", &[8], &[1], &[1], &[-2]), "float32 [batch, 4]");
    }

    #[test]
    fn the_batch_stays_whole_or_gives_single_images() {
        assert_eq!(sliced("b 4", &[0], &[i64::from(i32::MAX)], &[0], &[1]), "float32 [batch, 4]");
        assert_eq!(sliced("b 4", &[0], &[1], &[0], &[1]), "float32 [1, 4]");
        assert_eq!(sliced("b 4", &[-1], &[i64::MAX], &[0], &[1]), "float32 [1, 4]");
        assert_eq!(sliced("b 4", &[1], &[i64::MAX], &[0], &[1]), "float32 [?, 4]");
    }

    #[test]
    fn before_opset_10_attributes_say_where() {
        let with = [("starts", list(&[1, 0])), ("ends", list(&[3, 2]))];
        assert_eq!(told("Slice", 9, &[floats("5 6 7")], &with), "float32 [2, 2, 7]");
        let with = [("starts", list(&[1])), ("ends", list(&[3])), ("axes", list(&[2]))];
        assert_eq!(told("Slice", 9, &[floats("5 6 7")], &with), "float32 [5, 6, 2]");
    }

    #[test]
    fn ends_that_are_computed_leave_only_their_axis_open() {
        let given = [
            floats("b 6 7"),
            ints(&[0]),
            Given::Input(offramp_models::DType::Int64, Some(vec![crate::ir::Dim::Known(1)])),
            ints(&[1]),
        ];
        assert_eq!(told("Slice", 13, &given, &[]), "float32 [batch, ?, 7]");
    }

    #[test]
    fn a_step_of_zero_is_refused() {
        assert_eq!(
            sliced("b 10", &[0], &[1], &[1], &[0]),
            "input 4 has a value that the operator does not allow"
        );
    }
}
