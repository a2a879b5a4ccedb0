//! `Neg` (ai.onnx 6, 13): `dx = -dy`.
//!
//! Source: linearity.

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let upstream = step.upstream()?;
    let negated = step.emit("Neg", &[&upstream]);
    step.give(0, negated);
    Ok(())
}
