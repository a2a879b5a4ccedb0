//! `Softmax` (ai.onnx 1 to 13): `dx = y (dy - sum(dy y))`; `LogSoftmax` (1 to 13): `dx = dy - exp(y) sum(dy)`. Sums are over
//! the axis, before operator set 13 over it and all that follow.
//!
//! Source: `_softmax_backward_data` and `_log_softmax_backward_data` of PyTorch.

use crate::gradient::GradientError;
use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let axes = axes(step)?;
    let upstream = step.upstream()?;
    let weighted = step.emit("Mul", &[&upstream, step.output()]);
    let mean = step.reduce("ReduceSum", &weighted, &axes, true);
    let centred = step.emit("Sub", &[&upstream, &mean]);
    let scaled = step.emit("Mul", &[&centred, step.output()]);
    step.give(0, scaled);
    Ok(())
}

pub(super) fn logarithmic(step: &mut Step<'_>) -> Ruled {
    let axes = axes(step)?;
    let upstream = step.upstream()?;
    let total = step.reduce("ReduceSum", &upstream, &axes, true);
    let shares = step.emit("Exp", &[step.output()]);
    let spread = step.emit("Mul", &[&shares, &total]);
    let centred = step.emit("Sub", &[&upstream, &spread]);
    step.give(0, centred);
    Ok(())
}

/// The axes that are normalised over together.
fn axes(step: &Step<'_>) -> Result<Vec<usize>, GradientError> {
    let rank = step.extents(0)?.len();
    let coerced = step.opset < 13;
    let first = step.axis(step.int("axis", if coerced { 1 } else { -1 })?, rank)?;
    Ok(if coerced { (first..rank).collect() } else { vec![first] })
}
