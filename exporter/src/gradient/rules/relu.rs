//! `Relu` (ai.onnx 6, 13, 14): `dx = dy` where `y > 0`, else 0; so also at 0, as in PyTorch.
//!
//! Source: `threshold_backward` of PyTorch, derivatives.yaml. The mask is the sign of the output, which is 0 or 1: the
//! output is kept anyway where a convolution follows, and engines multiply in the layout of their convolutions.

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let upstream = step.upstream()?;
    let mask = step.emit("Sign", &[step.output()]);
    let masked = step.emit("Mul", &[&upstream, &mask]);
    step.give(0, masked);
    Ok(())
}
