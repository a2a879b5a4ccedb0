//! `LayerNormalization` (ai.onnx 17): `y = scale n + bias` with `n = (x - mean) r` and `r = 1 / sqrt(var + epsilon)` over the
//! last axes, so `dx = r (g - mean(g) - n mean(g n))` with `g = dy scale`.
//!
//! Source: Ba et al. 2016, "Layer normalization", equation 4, differentiated as in `layer_norm_backward` of PyTorch.
//! Mean and variance are computed again from the input: they take less time than to hand over the normalised image.

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    if step.wants(1) || step.wants(2) {
        return Err(step.unsupported("a scale that the image changes"));
    }
    if step.cotangent(1).or_else(|| step.cotangent(2)).is_some() {
        return Err(step.unsupported("a mean or deviation that exits depend on"));
    }
    let rank = step.extents(0)?.len();
    let axes: Vec<usize> = (step.axis(step.int("axis", -1)?, rank)?..rank).collect();
    let (input, bn_epsilon) = (step.input(0)?, step.float("epsilon", 1e-5)?);
    let upstream = step.upstream()?;
    let mean = step.reduce("ReduceMean", input, &axes, true);
    let centred = step.emit("Sub", &[input, &mean]);
    let square = step.emit("Mul", &[&centred, &centred]);
    let variance = step.reduce("ReduceMean", &square, &axes, true);
    let bn_epsilon = step.scalar(bn_epsilon);
    let raised = step.emit("Add", &[&variance, &bn_epsilon]);
    let deviation = step.emit("Sqrt", &[&raised]);
    let normal = step.emit("Div", &[&centred, &deviation]);

    let scaled = step.emit("Mul", &[&upstream, step.input(1)?]);
    let shift = step.reduce("ReduceMean", &scaled, &axes, true);
    let along = step.emit("Mul", &[&scaled, &normal]);
    let along = step.reduce("ReduceMean", &along, &axes, true);
    let stretched = step.emit("Mul", &[&normal, &along]);
    let shifted = step.emit("Sub", &[&scaled, &shift]);
    let left = step.emit("Sub", &[&shifted, &stretched]);
    let found = step.emit("Div", &[&left, &deviation]);
    step.give(0, found);
    Ok(())
}
