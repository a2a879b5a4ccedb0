//! Slice and Gather.

use super::super::Extent;
use super::super::facts::{Element, TensorShape};
use super::super::operands::{Operands, axis};

pub(super) fn slice(of: &Operands<'_>) -> Option<TensorShape> {
    let extents = of.extents(0)?;
    let starts = of.ints("starts").map(<[i64]>::to_vec).or_else(|| of.numbers(1))?;
    let ends = of.ints("ends").map(<[i64]>::to_vec).or_else(|| of.numbers(2))?;
    let axes = match (of.ints("axes"), of.has(3)) {
        (Some(axes), _) => axes.to_vec(),
        (None, true) => of.numbers(3)?,
        (None, false) => (0..starts.len()).filter_map(|axis| i64::try_from(axis).ok()).collect(),
    };
    let steps = if of.has(4) { of.numbers(4)? } else { vec![1; starts.len()] };
    let mut out = extents.to_vec();
    let mut picked: Option<Vec<usize>> = None;
    for (at, along) in axes.iter().enumerate() {
        let along = axis(*along, extents.len())?;
        let (start, end, step) = (*starts.get(at)?, *ends.get(at)?, *steps.get(at)?);
        let Extent::Known(extent) = extents[along] else {
            let whole = start == 0 && step == 1 && end >= i64::from(i32::MAX);
            if !whole {
                out[along] = Extent::Unknown;
            }
            continue;
        };
        let indices = indices(i64::try_from(extent).ok()?, start, end, step)?;
        out[along] = Extent::Known(indices.len());
        picked = Some(indices);
    }
    let value = match (of.value(0), extents, picked) {
        (Some(value), [_], Some(picked)) => picked.iter().map(|at| value.get(*at).copied()).collect(),
        (Some(value), [Extent::Known(_), Extent::Known(columns)], Some(picked)) if axes == [0] => {
            let row = |at: &usize| value.get(at * columns..(at + 1) * columns).map(<[Element]>::to_vec);
            picked.iter().map(row).collect::<Option<Vec<_>>>().map(|rows| rows.concat())
        }
        (Some(value), _, None) => Some(value.to_vec()),
        _ => None,
    };
    Some(TensorShape { dtype: of.dtype(0), extents: Some(out), value })
}

/// The positions that a slice picks, clamped as numpy does.
fn indices(extent: i64, start: i64, end: i64, step: i64) -> Option<Vec<usize>> {
    let wrap = |at: i64| if at < 0 { at.saturating_add(extent) } else { at };
    let (mut at, end) = match step {
        0 => return None,
        1.. => (wrap(start).clamp(0, extent), wrap(end).clamp(0, extent)),
        _ => (wrap(start).clamp(-1, extent - 1), if end <= -extent - 1 { -1 } else { wrap(end).clamp(-1, extent) }),
    };
    let mut picked = Vec::new();
    while if step > 0 { at < end } else { at > end } {
        picked.push(usize::try_from(at).ok()?);
        at = at.checked_add(step)?;
    }
    Some(picked)
}

pub(super) fn gather(of: &Operands<'_>) -> Option<TensorShape> {
    let (data, indices) = (of.extents(0)?, of.extents(1)?);
    let along = axis(of.int("axis", 0), data.len())?;
    let extents = [&data[..along], indices, &data[along + 1..]].concat();
    let value = match (of.value(0), of.numbers(1)) {
        (Some(value), Some(indices)) if data.len() == 1 => {
            let count = i64::try_from(value.len()).ok()?;
            let pick = |index: &i64| {
                value.get(usize::try_from(if *index < 0 { index + count } else { *index }).ok()?).copied()
            };
            indices.iter().map(pick).collect()
        }
        _ => None,
    };
    Some(TensorShape { dtype: of.dtype(0), extents: Some(extents), value })
}
