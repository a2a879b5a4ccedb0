//! DeepSloth's loss: early exits that cannot decide.
//!
//! Source: Hong et al. 2021, "A Panda? No, It's a Sloth", §4, as its published code has it: the cross-entropy between the
//! uniform distribution and every exit's softmax but the final one's, no label and no threshold in it.

use super::{Logits, Loss};
use crate::softmax::softmax;

/// Minus the cross-entropy from the uniform distribution to every early exit's softmax; ascending it makes them doubt.
#[derive(Clone, Copy, Debug, Default)]
pub struct TowardsUniform;

/// Keeps the logarithm of a probability that is rounded to nothing finite. Source: the published code.
const FLOOR: f32 = 1e-9;

impl Loss for TowardsUniform {
    fn evaluate(&self, logits: Logits<'_>, _label: usize, cotangents: &mut [f32]) -> f64 {
        cotangents.fill(0.0);
        let (classes, early) = (logits.classes(), logits.exits() - 1);
        let share = 1.0 / classes as f32;
        let mut value = 0.0;
        for (exit, cotangents) in cotangents.chunks_exact_mut(classes).enumerate().take(early) {
            softmax(logits.of(exit), cotangents);
            // d/dp of the mean of ln(p + floor), then through the softmax; both in one sweep.
            let mut mean = 0.0;
            for probability in cotangents.iter() {
                value += f64::from(share * (probability + FLOOR).ln());
                mean += share * probability / (probability + FLOOR);
            }
            for cotangent in cotangents.iter_mut() {
                let probability = *cotangent;
                *cotangent = share * probability / (probability + FLOOR) - probability * mean;
            }
        }
        value
    }

    /// A matter of how late images leave, not of yes or no.
    fn reached(&self, _logits: Logits<'_>, _label: usize) -> Option<bool> {
        None
    }
}
