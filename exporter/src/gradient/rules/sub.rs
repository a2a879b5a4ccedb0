//! `Sub` (ai.onnx 7, 13, 14): `y = a - b`, so `da = dy` and `db = -dy`, summed over what was stretched.
//!
//! Source: linearity.

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let upstream = step.upstream()?;
    if step.wants(0) {
        step.give_unbroadcast(0, upstream.clone())?;
    }
    if step.wants(1) {
        let negated = step.emit("Neg", &[&upstream]);
        step.give_unbroadcast(1, negated)?;
    }
    Ok(())
}
