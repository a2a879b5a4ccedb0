//! `LeakyRelu` (ai.onnx 6, 16): `dx = dy` where `x > 0`, else `alpha dy`.
//!
//! Source: `leaky_relu_backward` in PyTorch's derivatives.yaml.

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let upstream = step.upstream()?;
    let (alpha, zero) = (step.float("alpha", 0.01)?, step.scalar(0.0));
    // A positive slope keeps the sign, and the output is likely to be needed anyway.
    let shown = if alpha > 0.0 { step.output() } else { step.input(0)? };
    let positive = step.emit("Greater", &[shown, &zero]);
    let alpha = step.scalar(alpha);
    let below = step.emit("Mul", &[&upstream, &alpha]);
    let chosen = step.emit("Where", &[&positive, &upstream, &below]);
    step.give(0, chosen);
    Ok(())
}
