//! `Gelu` (ai.onnx 20): `y = x P(x)`, so `dx = dy (P(x) + x p(x))`.
//!
//! Without approximation `P(x) = (1 + erf(x / sqrt 2)) / 2` and `p(x) = exp(-x^2 / 2) / sqrt(2 pi)`; with `tanh`
//! `P(x) = (1 + tanh u) / 2`, `u = sqrt(2 / pi) (x + 0.044715 x^3)` and `p(x) = (1 - tanh^2 u) u' / 2`.
//! Source: Hendrycks and Gimpel 2016, "Gaussian error linear units", section 2.

use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use crate::gradient::GradientError;
use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let (share, density) = match step.text("approximate")? {
        None | Some(b"none") => exact(step)?,
        Some(b"tanh") => approximate(step)?,
        Some(_) => return Err(step.wrong("approximate")),
    };
    let upstream = step.upstream()?;
    let grown = step.emit("Mul", &[step.input(0)?, &density]);
    let slope = step.emit("Add", &[&share, &grown]);
    let scaled = step.emit("Mul", &[&upstream, &slope]);
    step.give(0, scaled);
    Ok(())
}

/// `P` and `p` of the normal distribution.
fn exact(step: &mut Step<'_>) -> Result<(String, String), GradientError> {
    let input = step.input(0)?;
    let (root, half, one) = (step.scalar(FRAC_1_SQRT_2), step.scalar(0.5), step.scalar(1.0));
    let scaled = step.emit("Mul", &[input, &root]);
    let error = step.emit("Erf", &[&scaled]);
    let above = step.emit("Add", &[&error, &one]);
    let share = step.emit("Mul", &[&above, &half]);
    let square = step.emit("Mul", &[&scaled, &scaled]);
    let negated = step.emit("Neg", &[&square]);
    let bell = step.emit("Exp", &[&negated]);
    let peak = step.scalar(0.5 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2);
    Ok((share, step.emit("Mul", &[&bell, &peak])))
}

/// `P` and `p` by the hyperbolic tangent.
fn approximate(step: &mut Step<'_>) -> Result<(String, String), GradientError> {
    const CUBIC: f32 = 0.044_715;
    let input = step.input(0)?;
    let root = FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
    let (half, one) = (step.scalar(0.5), step.scalar(1.0));
    let square = step.emit("Mul", &[input, input]);
    let linear = step.scalar(root);
    let cubic = step.scalar(root * CUBIC);
    let curved = step.emit("Mul", &[&square, &cubic]);
    let factor = step.emit("Add", &[&curved, &linear]);
    let inner = step.emit("Mul", &[input, &factor]);
    let tangent = step.emit("Tanh", &[&inner]);
    let above = step.emit("Add", &[&tangent, &one]);
    let share = step.emit("Mul", &[&above, &half]);
    let steep = step.scalar(3.0 * root * CUBIC);
    let steeper = step.emit("Mul", &[&square, &steep]);
    let inner_slope = step.emit("Add", &[&steeper, &linear]);
    let squared = step.emit("Mul", &[&tangent, &tangent]);
    let rest = step.emit("Sub", &[&one, &squared]);
    let halved = step.emit("Mul", &[&rest, &half]);
    Ok((share, step.emit("Mul", &[&halved, &inner_slope])))
}
