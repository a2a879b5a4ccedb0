//! `GlobalAveragePool` (ai.onnx 1, 22): `y` is the mean of `n` elements, so every one of them gets `dy / n`.
//!
//! Source: linearity.

use crate::gradient::step::{Ruled, Step};
use crate::gradient::windows::known;

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let upstream = step.upstream()?;
    let spatial = known(step, step.extents(0)?.get(2..).unwrap_or_default())?;
    let count: usize = spatial.iter().product();
    let dims = [&[1, 1], spatial.as_slice()].concat();
    let spread = step.stretch(&upstream, &dims, 1.0 / count.max(1) as f32);
    step.give(0, spread);
    Ok(())
}
