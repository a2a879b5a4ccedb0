//! `ReduceMax` and `ReduceMin` (ai.onnx 1 to 20): elements equal to the extreme share `dy`.
//!
//! Source: `scale_grad_by_count` of PyTorch, FunctionsManual.cpp (`amax`, `amin`).

use crate::gradient::step::{Ruled, Step};

use super::reduce;

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let extents = step.extents(0)?;
    let axes = reduce::reduced(step, extents.len())?;
    let upstream = step.upstream()?;
    let upstream = reduce::with_axes(step, upstream, extents, &axes)?;
    let extreme = reduce::with_axes(step, step.output().to_owned(), extents, &axes)?;
    let (zero, one) = (step.scalar(0.0), step.scalar(1.0));
    // Equality of floats is younger than comparison.
    let apart = if step.node.op == "ReduceMax" { "Less" } else { "Greater" };
    let lost = step.emit(apart, &[step.input(0)?, &extreme]);
    let won = step.emit("Where", &[&lost, &zero, &one]);
    let count = step.reduce("ReduceSum", &won, &axes, true);
    let share = step.emit("Div", &[&upstream, &count]);
    let spread = step.emit("Mul", &[&won, &share]);
    step.give(0, spread);
    Ok(())
}
