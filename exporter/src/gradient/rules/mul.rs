//! `Mul` (ai.onnx 7, 13, 14): `y = a b`, so `da = dy b` and `db = dy a`, summed over what was stretched.
//!
//! Source: product rule.

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let upstream = step.upstream()?;
    for (at, other) in [(0, 1), (1, 0)] {
        if step.wants(at) {
            let scaled = step.emit("Mul", &[&upstream, step.input(other)?]);
            step.give_unbroadcast(at, scaled)?;
        }
    }
    Ok(())
}
