//! `Abs` (ai.onnx 6, 13): `dx = dy sign(x)`, 0 at 0.
//!
//! Source: `abs` in PyTorch's derivatives.yaml.

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let upstream = step.upstream()?;
    let sign = step.emit("Sign", &[step.input(0)?]);
    let signed = step.emit("Mul", &[&upstream, &sign]);
    step.give(0, signed);
    Ok(())
}
