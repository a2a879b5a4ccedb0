//! `Sigmoid` (ai.onnx 6, 13): `dx = dy y (1 - y)`.
//!
//! Source: `sigmoid_backward` in PyTorch's derivatives.yaml.

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let upstream = step.upstream()?;
    let one = step.scalar(1.0);
    let rest = step.emit("Sub", &[&one, step.output()]);
    let slope = step.emit("Mul", &[step.output(), &rest]);
    let scaled = step.emit("Mul", &[&upstream, &slope]);
    step.give(0, scaled);
    Ok(())
}
