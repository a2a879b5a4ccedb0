//! `Expand` (ai.onnx 8, 13): `dx` is `dy` summed over what was stretched.
//!
//! Source: the transpose of copying.

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let upstream = step.upstream()?;
    step.give_unbroadcast(0, upstream)
}
