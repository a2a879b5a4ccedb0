//! `Reshape` (ai.onnx 5 to 25), `Flatten` (9 to 25), `Squeeze` and `Unsqueeze` (1 to 25): `dx` is `dy` with the input's
//! extents.
//!
//! Source: elements stay in order.

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let upstream = step.upstream()?;
    let reshaped = step.reshape(&upstream, step.extents(0)?)?;
    step.give(0, reshaped);
    Ok(())
}
