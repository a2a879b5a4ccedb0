//! `Exp` (ai.onnx 6, 13): `dx = dy y`.
//!
//! Source: `exp` in PyTorch's derivatives.yaml.

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let upstream = step.upstream()?;
    let scaled = step.emit("Mul", &[&upstream, step.output()]);
    step.give(0, scaled);
    Ok(())
}
