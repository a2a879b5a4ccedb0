//! `Erf` (ai.onnx 9, 13): `dx = dy 2/sqrt(pi) exp(-x^2)`.
//!
//! Source: DLMF 7.2.1; `erf` in PyTorch's derivatives.yaml.

use std::f32::consts::FRAC_2_SQRT_PI;

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let upstream = step.upstream()?;
    let input = step.input(0)?;
    let factor = step.scalar(FRAC_2_SQRT_PI);
    let square = step.emit("Mul", &[input, input]);
    let negated = step.emit("Neg", &[&square]);
    let bell = step.emit("Exp", &[&negated]);
    let slope = step.emit("Mul", &[&bell, &factor]);
    let scaled = step.emit("Mul", &[&upstream, &slope]);
    step.give(0, scaled);
    Ok(())
}
