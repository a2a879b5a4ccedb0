//! `HardSigmoid` (ai.onnx 6, 22): `y = clip(alpha x + beta, 0, 1)`, so `dx = alpha dy` where `0 < y < 1`, else 0.
//!
//! Source: `hardsigmoid_backward` in PyTorch's derivatives.yaml.

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let upstream = step.upstream()?;
    let alpha = step.float("alpha", 0.2)?;
    let (alpha, zero, one) = (step.scalar(alpha), step.scalar(0.0), step.scalar(1.0));
    let scaled = step.emit("Mul", &[&upstream, &alpha]);
    let above = step.emit("Greater", &[step.output(), &zero]);
    let below = step.emit("Less", &[step.output(), &one]);
    let inside = step.emit("And", &[&above, &below]);
    let chosen = step.emit("Where", &[&inside, &scaled, &zero]);
    step.give(0, chosen);
    Ok(())
}
