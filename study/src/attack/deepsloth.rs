//! DeepSloth: perturbations that keep early exits from being confident.
//!
//! Source: Hong et al. 2021, with the constants of its published code for each norm.

use super::{Ascent, Ball, Decay, Norm, Start, Universal};
use crate::loss::TowardsUniform;

/// The published walk in `norm`; `epsilon`, `step` and `iterations` stand in for the published numbers where given.
///
/// linf: epsilon 1/32, 30 steps of 0.002 from a start within one step. l2: 550 steps of 0.1 in a ball of 1 that shrinks
/// to nine tenths every 50 steps. l1: epsilon 8, 250 steps of 0.5.
pub fn deepsloth(
    norm: Norm,
    epsilon: Option<f32>,
    step: Option<f32>,
    iterations: Option<usize>,
    seed: u64,
) -> Ascent {
    let (published, length, count) = match norm {
        Norm::Linf => (0.03125, 0.002, 30),
        Norm::L2 => (1.0, 0.1, 550),
        Norm::L1 => (8.0, 0.5, 250),
    };
    let step = step.unwrap_or(length);
    Ascent {
        loss: Box::new(TowardsUniform),
        ball: Ball { norm, radius: epsilon.unwrap_or(published) },
        step,
        iterations: iterations.unwrap_or(count),
        start: if norm == Norm::Linf { Start::Random(step) } else { Start::Image },
        restarts: 1,
        momentum: None,
        decay: (norm == Norm::L2).then_some(Decay { every: 50, factor: 0.9 }),
        seed,
    }
}

/// One perturbation for all images: the published 20 steps of 0.005 in linf, epsilon 1/32.
pub fn universal_deepsloth(epsilon: Option<f32>, step: Option<f32>, iterations: Option<usize>) -> Universal {
    Universal {
        loss: Box::new(TowardsUniform),
        ball: Ball { norm: Norm::Linf, radius: epsilon.unwrap_or(0.03125) },
        step: step.unwrap_or(0.005),
        iterations: iterations.unwrap_or(20),
    }
}
