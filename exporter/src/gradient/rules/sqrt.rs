//! `Sqrt` (ai.onnx 6, 13): `dx = dy / (2 y)`.
//!
//! Source: power rule; `sqrt` in PyTorch's derivatives.yaml.

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let upstream = step.upstream()?;
    let half = step.scalar(0.5);
    let halved = step.emit("Mul", &[&upstream, &half]);
    let divided = step.emit("Div", &[&halved, step.output()]);
    step.give(0, divided);
    Ok(())
}
