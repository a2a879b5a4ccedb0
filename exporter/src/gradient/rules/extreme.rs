//! `Max` and `Min` (ai.onnx 8 to 13): operands equal to the extreme share `dy`, summed over what was stretched.
//!
//! Source: `maximum` and `minimum` in PyTorch's derivatives.yaml, which halve ties.

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let upstream = step.upstream()?;
    if step.node.inputs.len() == 1 {
        step.give(0, upstream);
        return Ok(());
    }
    let (zero, one) = (step.scalar(0.0), step.scalar(1.0));
    let apart = if step.node.op == "Max" { "Less" } else { "Greater" };
    let mut won = Vec::with_capacity(step.node.inputs.len());
    for at in 0..step.node.inputs.len() {
        let lost = step.emit(apart, &[step.input(at)?, step.output()]);
        won.push(step.emit("Where", &[&lost, &zero, &one]));
    }
    let all: Vec<&str> = won.iter().map(String::as_str).collect();
    let count = step.emit("Sum", &all);
    let share = step.emit("Div", &[&upstream, &count]);
    for (at, won) in won.iter().enumerate() {
        if step.wants(at) {
            let spread = step.emit("Mul", &[won, &share]);
            step.give_unbroadcast(at, spread)?;
        }
    }
    Ok(())
}
