//! `Div` (ai.onnx 7, 13, 14): `y = a / b`, so `da = dy / b` and `db = -dy y / b`, summed over what was stretched.
//!
//! Source: quotient rule. A constant divisor is inverted once, at export.

use crate::gradient::GradientError;
use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let upstream = step.upstream()?;
    let quotient = divided(step, &upstream)?;
    if step.wants(0) {
        step.give_unbroadcast(0, quotient.clone())?;
    }
    if step.wants(1) {
        let scaled = step.emit("Mul", &[&quotient, step.output()]);
        let negated = step.emit("Neg", &[&scaled]);
        step.give_unbroadcast(1, negated)?;
    }
    Ok(())
}

fn divided(step: &mut Step<'_>, upstream: &str) -> Result<String, GradientError> {
    let divisor = step.input(1)?;
    match (step.constant_floats(1), step.constant(1)) {
        (Some(elements), Some(tensor)) => {
            let inverse: Vec<f32> = elements.iter().map(|element| element.recip()).collect();
            let inverse = step.floats(&tensor.dims, &inverse);
            Ok(step.emit("Mul", &[upstream, &inverse]))
        }
        _ => Ok(step.emit("Div", &[upstream, divisor])),
    }
}
