//! `Reciprocal` (ai.onnx 6, 13): `dx = -dy y^2`.
//!
//! Source: `reciprocal` in PyTorch's derivatives.yaml.

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let upstream = step.upstream()?;
    let once = step.emit("Mul", &[&upstream, step.output()]);
    let twice = step.emit("Mul", &[&once, step.output()]);
    let negated = step.emit("Neg", &[&twice]);
    step.give(0, negated);
    Ok(())
}
