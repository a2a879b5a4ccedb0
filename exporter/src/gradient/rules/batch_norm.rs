//! `BatchNormalization` of inference (ai.onnx 7 to 15): `y = scale (x - mean) / sqrt(var + bn_epsilon) + bias`, so
//! `dx = dy scale / sqrt(var + bn_epsilon)`, one factor per channel, computed at export.
//!
//! Source: linearity.

use crate::gradient::absorb;
use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let trained =
        step.int("training_mode", 0)? != 0 || step.node.outputs.iter().skip(1).any(|o| !o.is_empty());
    if trained {
        return Err(step.unsupported("its training mode"));
    }
    let (Some(scale), Some(variance)) = (step.constant_floats(1), step.constant_floats(4)) else {
        return Err(step.unsupported("a scale or variance that is not constant"));
    };
    let upstream = step.upstream()?;
    let factors = absorb::factors(&scale, &variance, step.float("epsilon", 1e-5)?);
    let mut dims = vec![1; step.extents(0)?.len()];
    if let Some(channels) = dims.get_mut(1) {
        *channels = factors.len();
    }
    let factors: Vec<f32> = factors.iter().map(|factor| *factor as f32).collect();
    let factors = step.floats(&dims, &factors);
    let scaled = step.emit("Mul", &[&upstream, &factors]);
    step.give(0, scaled);
    Ok(())
}
