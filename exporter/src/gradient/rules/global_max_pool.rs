//! `GlobalMaxPool` (ai.onnx 1, 22): the first greatest element of a plane, in row-major order, gets `dy`: a `MaxPool`
//! of one window.
//!
//! Source: as for `MaxPool`.

use crate::gradient::step::{Ruled, Step};
use crate::gradient::windows::Windows;

use super::max_pool;

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let (extents, pooled) = (step.extents(0)?, step.output_extents(0)?);
    let windows = Windows::whole(step, extents.get(2..).unwrap_or_default())?;
    let found = max_pool::route(step, extents, pooled, &windows)?;
    step.give(0, found);
    Ok(())
}
