//! `Pad` (ai.onnx 2 to 25): the padding's part of `dy` is dropped where it is constant, added to the elements that it repeats
//! where it reflects or continues the edge or wraps; elements that negative padding drops get 0.
//!
//! Source: `constant_pad_nd_backward`, `reflection_pad2d_backward`, `replication_pad2d_backward` of PyTorch.

use offramp_graph::shape::Extent;

use crate::gradient::places;
use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let extents = step.extents(0)?;
    let pads = step.setting("pads", 1)?.ok_or_else(|| step.wrong("pads"))?;
    let axes = match step.optional(3) {
        None => (0..extents.len() as i64).collect(),
        Some(_) => step.constant_ints(3).ok_or_else(|| step.unsupported("axes that are not constant"))?,
    };
    if pads.len() != axes.len() * 2 {
        return Err(step.wrong("pads"));
    }
    let mode = match step.text("mode")? {
        None | Some(b"constant") => Mode::Constant,
        Some(b"reflect") => Mode::Reflect,
        Some(b"edge") => Mode::Edge,
        Some(b"wrap") => Mode::Wrap,
        Some(_) => return Err(step.wrong("mode")),
    };
    let mut cotangent = step.upstream()?;
    for (axis, (before, after)) in axes.iter().zip(pads.iter().zip(&pads[axes.len()..])) {
        if *before == 0 && *after == 0 {
            continue;
        }
        let axis = step.axis(*axis, extents.len())?;
        let Some(Extent::Known(extent)) = extents.get(axis).copied() else {
            return Err(step.unsupported("a padded batch"));
        };
        cotangent = match mode {
            Mode::Constant => unpadded(step, &cotangent, axis, *before, *after, extent),
            _ => {
                let span = -before..extent as i64 + after;
                let places: Option<Vec<usize>> = span.map(|at| mode.place(at, extent as i64)).collect();
                let places = places.ok_or_else(|| step.wrong("pads"))?;
                places::put_back(step, &cotangent, axis, &places, extent)?
            }
        };
    }
    step.give(0, cotangent);
    Ok(())
}

#[derive(Clone, Copy)]
enum Mode {
    Constant,
    Reflect,
    Edge,
    Wrap,
}

impl Mode {
    /// The element of an axis that stands at `at`, which may lie outside.
    fn place(self, at: i64, extent: i64) -> Option<usize> {
        let last = extent - 1;
        let place = match self {
            Self::Constant => at,
            Self::Edge => at.clamp(0, last),
            Self::Wrap => at.rem_euclid(extent.max(1)),
            Self::Reflect if last == 0 => 0,
            Self::Reflect => {
                let turn = at.rem_euclid(2 * last.max(1));
                if turn > last { 2 * last - turn } else { turn }
            }
        };
        usize::try_from(place).ok().filter(|_| place <= last)
    }
}

/// The part of an axis that is not padding; zeros for what negative padding dropped.
fn unpadded(
    step: &mut Step<'_>,
    cotangent: &str,
    axis: usize,
    before: i64,
    after: i64,
    extent: usize,
) -> String {
    let (front, back) = (before.max(0) as usize, after.max(0) as usize);
    let (lost_front, lost_back) = ((-before).max(0) as usize, (-after).max(0) as usize);
    let kept = extent.saturating_sub(lost_front + lost_back);
    let inner = match front + back {
        0 => cotangent.to_owned(),
        _ => step.slice(cotangent, axis, front, front + kept),
    };
    let (mut zeros, mut more) = (vec![0; axis + 1], vec![0; axis + 1]);
    (zeros[axis], more[axis]) = (lost_front, lost_back);
    let rank = step.extents(0).map_or(axis + 1, <[Extent]>::len);
    zeros.resize(rank, 0);
    more.resize(rank, 0);
    step.pad(&inner, &zeros, &more, 0.0)
}
