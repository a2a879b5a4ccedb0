//! `Tanh` (ai.onnx 6, 13): `dx = dy (1 - y^2)`.
//!
//! Source: `tanh_backward` in PyTorch's derivatives.yaml.

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let upstream = step.upstream()?;
    let one = step.scalar(1.0);
    let square = step.emit("Mul", &[step.output(), step.output()]);
    let slope = step.emit("Sub", &[&one, &square]);
    let scaled = step.emit("Mul", &[&upstream, &slope]);
    step.give(0, scaled);
    Ok(())
}
