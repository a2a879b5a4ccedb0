//! `Relu` (ai.onnx 6, 13, 14): `dx = dy` where `y > 0`, else 0; so also at 0, as in PyTorch.
//!
//! Source: `threshold_backward` of PyTorch, derivatives.yaml. The mask is the output times the largest number, clipped to
//! [0, 1]: 1 for all but the last few subnormal outputs. Unlike `Greater` and `Sign`, `HardSigmoid` is among the operators
//! that ONNX Runtime runs in the layout of its convolutions.

use offramp_graph::ir::Attribute;

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let upstream = step.upstream()?;
    let steep = [("alpha", Attribute::Float(f32::MAX)), ("beta", Attribute::Float(0.0))];
    let mask = step.emit_with("HardSigmoid", &[step.output()], &steep);
    step.shaped_as_output(&mask);
    let masked = step.emit("Mul", &[&upstream, &mask]);
    step.give(0, masked);
    Ok(())
}
