//! `HardSwish` (ai.onnx 14, 22): `y = x clip(x / 6 + 1/2, 0, 1)`, so `dx` is 0 where `x <= -3`, `dy` where `x >= 3`, and
//! `dy (x / 3 + 1/2)` between.
//!
//! Source: `hardswish_backward` of PyTorch, aten/src/ATen/native/cpu/Activation.cpp.

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let upstream = step.upstream()?;
    let input = step.input(0)?;
    let (zero, three, minus) = (step.scalar(0.0), step.scalar(3.0), step.scalar(-3.0));
    let (third, half) = (step.scalar(1.0 / 3.0), step.scalar(0.5));
    let rising = step.emit("Mul", &[input, &third]);
    let slope = step.emit("Add", &[&rising, &half]);
    let scaled = step.emit("Mul", &[&upstream, &slope]);
    let below = step.emit("Less", &[input, &three]);
    let right = step.emit("Where", &[&below, &scaled, &upstream]);
    let above = step.emit("Greater", &[input, &minus]);
    let chosen = step.emit("Where", &[&above, &right, &zero]);
    step.give(0, chosen);
    Ok(())
}
