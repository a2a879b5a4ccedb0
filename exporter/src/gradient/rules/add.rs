//! `Add` (ai.onnx 7, 13, 14) and `Sum` (8, 13): `y = a + b`, so `da = dy` and `db = dy`, summed over what was stretched.
//!
//! Source: linearity.

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let upstream = step.upstream()?;
    for at in 0..step.node.inputs.len() {
        if step.wants(at) {
            step.give_unbroadcast(at, upstream.clone())?;
        }
    }
    Ok(())
}
