//! One perturbation for all images.

use super::ball::Ball;
use super::evaluation::Evaluation;
use super::{AttackError, Batch};
use crate::loss::Loss;
use crate::oracle::Oracle;

/// Crafts a perturbation on some images that is then added to any.
pub struct Universal {
    /// What is ascended, summed over the crafting images.
    pub loss: Box<dyn Loss>,
    /// How large the perturbation may be.
    pub ball: Ball,
    /// Length of one step in the ball's norm.
    pub step: f32,
    /// Steps.
    pub iterations: usize,
}

impl Universal {
    /// The perturbation that ascends the loss over all of `images`, run `at_once` at a time; its shape is one image's.
    ///
    /// # Errors
    /// `Oracle` when the network fails, `Stopped` when `step`, told after every iteration, says so.
    pub fn craft(
        &self,
        oracle: &mut dyn Oracle,
        images: Batch<'_>,
        at_once: usize,
        step: &mut dyn FnMut() -> bool,
    ) -> Result<Vec<f32>, AttackError> {
        let samples = oracle.samples();
        let mut perturbation = vec![0.0; samples];
        let mut sum = vec![0.0; samples];
        for _ in 0..self.iterations {
            sum.fill(0.0);
            let parts = images.pixels.chunks(at_once * samples).zip(images.labels.chunks(at_once));
            for (pixels, labels) in parts {
                let mut perturbed = pixels.to_vec();
                apply(&perturbation, &mut perturbed);
                let mut evaluation = Evaluation::new(oracle, labels.len());
                evaluation.climb(oracle, self.loss.as_ref(), &perturbed, labels)?;
                for gradient in evaluation.gradients() {
                    sum.iter_mut().zip(gradient).for_each(|(sum, gradient)| *sum += *gradient);
                }
            }
            self.ball.norm.steepest(&mut sum);
            perturbation.iter_mut().zip(&sum).for_each(|(p, direction)| *p += self.step * direction);
            self.ball.project(&mut perturbation);
            if !step() {
                return Err(AttackError::Stopped);
            }
        }
        Ok(perturbation)
    }
}

/// Adds a perturbation to each of `pixels`, kept in [0, 1].
pub fn apply(perturbation: &[f32], pixels: &mut [f32]) {
    for image in pixels.chunks_exact_mut(perturbation.len()) {
        for (pixel, change) in image.iter_mut().zip(perturbation) {
            *pixel = (*pixel + change).clamp(0.0, 1.0);
        }
    }
}
