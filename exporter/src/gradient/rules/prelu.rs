//! `PRelu` (ai.onnx 7 to 16): `dx = dy` where `x > 0`, else `slope dy`; `dslope = x dy` where `x <= 0`, summed over what was
//! stretched.
//!
//! Source: `_prelu_kernel_backward` in PyTorch's derivatives.yaml.

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let upstream = step.upstream()?;
    let (input, zero) = (step.input(0)?, step.scalar(0.0));
    let positive = step.emit("Greater", &[input, &zero]);
    if step.wants(0) {
        let below = step.emit("Mul", &[&upstream, step.input(1)?]);
        let chosen = step.emit("Where", &[&positive, &upstream, &below]);
        step.give(0, chosen);
    }
    if step.wants(1) {
        let scaled = step.emit("Mul", &[&upstream, input]);
        let below = step.emit("Where", &[&positive, &zero, &scaled]);
        step.give_unbroadcast(1, below)?;
    }
    Ok(())
}
