//! `Where` (ai.onnx 9, 16): `dy` goes to the operand that was chosen, summed over what was stretched.
//!
//! Source: `where` in PyTorch's derivatives.yaml.

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let upstream = step.upstream()?;
    let (condition, zero) = (step.input(0)?, step.scalar(0.0));
    if step.wants(1) {
        let chosen = step.emit("Where", &[condition, &upstream, &zero]);
        step.give_unbroadcast(1, chosen)?;
    }
    if step.wants(2) {
        let chosen = step.emit("Where", &[condition, &zero, &upstream]);
        step.give_unbroadcast(2, chosen)?;
    }
    Ok(())
}
