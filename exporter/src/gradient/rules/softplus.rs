//! `Softplus` (ai.onnx 1, 22): `y = ln(e^x + 1)`, so `dx = dy sigmoid(x)`.
//!
//! Source: `softplus_backward` of PyTorch with beta 1 and no threshold.

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let upstream = step.upstream()?;
    let slope = step.emit("Sigmoid", &[step.input(0)?]);
    let scaled = step.emit("Mul", &[&upstream, &slope]);
    step.give(0, scaled);
    Ok(())
}
