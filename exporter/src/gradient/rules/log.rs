//! `Log` (ai.onnx 6, 13): `dx = dy / x`.
//!
//! Source: `log` in PyTorch's derivatives.yaml.

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let upstream = step.upstream()?;
    let divided = step.emit("Div", &[&upstream, step.input(0)?]);
    step.give(0, divided);
    Ok(())
}
