//! `Elu` (ai.onnx 6, 22): `dx = dy` where `x > 0`, else `dy (y + alpha)`, as `y = alpha (e^x - 1)` there.
//!
//! Source: `elu_backward` of PyTorch.

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let upstream = step.upstream()?;
    let alpha = step.float("alpha", 1.0)?;
    let (alpha, zero) = (step.scalar(alpha), step.scalar(0.0));
    let positive = step.emit("Greater", &[step.input(0)?, &zero]);
    let slope = step.emit("Add", &[step.output(), &alpha]);
    let below = step.emit("Mul", &[&upstream, &slope]);
    let chosen = step.emit("Where", &[&positive, &upstream, &below]);
    step.give(0, chosen);
    Ok(())
}
