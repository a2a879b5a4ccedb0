//! `Identity` (ai.onnx 1 to 25), `Dropout` in inference (7 to 22) and `Cast` (6 to 25): `dx = dy`.
//!
//! A `Cast` from whole numbers ends the way back unless they are the image itself: then the gradient is taken at its
//! float output. Source: linearity.

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let training = step.node.op == "Dropout" && step.optional(2).is_some();
    if training && step.constant(2).is_none_or(|flag| flag.data.iter().any(|byte| *byte != 0)) {
        return Err(step.unsupported("its training mode"));
    }
    let upstream = step.upstream()?;
    step.give(0, upstream);
    Ok(())
}
