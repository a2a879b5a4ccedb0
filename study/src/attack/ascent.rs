//! Steps up the gradient of a loss that stay within a ball around the image and within [0, 1].

use super::ball::Ball;
use super::evaluation::Evaluation;
use super::{Attack, AttackError, Batch, start};
use crate::loss::Loss;
use crate::oracle::Oracle;
use crate::random;

/// FGSM, PGD, MI-FGSM and DeepSloth are this walk with different settings.
pub struct Ascent {
    /// What is ascended.
    pub loss: Box<dyn Loss>,
    /// How far from the image.
    pub ball: Ball,
    /// Length of one step in the ball's norm.
    pub step: f32,
    /// Steps.
    pub iterations: usize,
    /// Where the walk starts.
    pub start: Start,
    /// Walks per image, the best of which is kept; more than one needs a random start.
    pub restarts: usize,
    /// What is left of the former direction at each step; `None` for no memory at all.
    pub momentum: Option<f32>,
    /// Shrinks the ball on the way.
    pub decay: Option<Decay>,
    /// Seed of random starts.
    pub seed: u64,
}

/// Where a walk starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Start {
    /// At the image.
    Image,
    /// At a point drawn evenly from the ball of this radius around it.
    Random(f32),
}

/// A ball that shrinks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decay {
    /// Steps between two shrinkings.
    pub every: usize,
    /// What the radius is multiplied with.
    pub factor: f32,
}

impl Ascent {
    fn start(&self, batch: Batch<'_>, restart: usize, into: &mut [f32]) {
        into.copy_from_slice(batch.pixels);
        let Start::Random(radius) = self.start else { return };
        let samples = batch.pixels.len() / batch.len();
        let ball = Ball { radius, ..self.ball };
        let mut perturbation = vec![0.0; samples];
        for (pixels, &image) in into.chunks_exact_mut(samples).zip(batch.indices) {
            start::inside(ball, &mut random::generator(self.seed, image, restart), &mut perturbation);
            for (pixel, change) in pixels.iter_mut().zip(&perturbation) {
                *pixel = (*pixel + change).clamp(0.0, 1.0);
            }
        }
    }

    fn walk(
        &self,
        oracle: &mut dyn Oracle,
        batch: Batch<'_>,
        walk: &mut Walk,
        step: &mut dyn FnMut() -> bool,
    ) -> Result<(), AttackError> {
        let samples = oracle.samples();
        let mut ball = self.ball;
        walk.velocity.fill(0.0);
        for iteration in 0..self.iterations {
            if let Some(Decay { every, factor }) = self.decay
                && iteration > 0
                && iteration % every == 0
            {
                ball.radius *= factor;
            }
            walk.evaluation.climb(oracle, self.loss.as_ref(), &walk.pixels, batch.labels)?;
            if let Some(momentum) = self.momentum {
                remember(momentum, samples, &mut walk.velocity, &mut walk.evaluation.gradient);
            }
            let images = walk.pixels.chunks_exact_mut(samples).zip(batch.pixels.chunks_exact(samples));
            for ((pixels, original), direction) in images.zip(walk.evaluation.gradients()) {
                ball.norm.steepest(direction);
                advance(pixels, original, direction, self.step, ball);
            }
            if !step() {
                return Err(AttackError::Stopped);
            }
        }
        Ok(())
    }
}

/// What one walk keeps.
struct Walk {
    pixels: Vec<f32>,
    velocity: Vec<f32>,
    evaluation: Evaluation,
}

/// `velocity = momentum * velocity + gradient / |gradient|_1`, which then is the direction. Source: Dong et al. 2018, eq. 6.
fn remember(momentum: f32, samples: usize, velocity: &mut [f32], gradient: &mut [f32]) {
    for (velocity, gradient) in velocity.chunks_exact_mut(samples).zip(gradient.chunks_exact_mut(samples)) {
        let size: f64 = gradient.iter().map(|g| f64::from(g.abs())).sum();
        // In f64: the reciprocal of the smallest gradients is beyond f32.
        let scale = if size > 0.0 { 1.0 / size } else { 0.0 };
        for (velocity, gradient) in velocity.iter_mut().zip(gradient) {
            *velocity = momentum * *velocity + (f64::from(*gradient) * scale) as f32;
            *gradient = *velocity;
        }
    }
}

/// One step along `direction`, back into the ball, back into [0, 1]; `direction` is left as the perturbation.
fn advance(pixels: &mut [f32], original: &[f32], direction: &mut [f32], step: f32, ball: Ball) {
    for ((change, pixel), original) in direction.iter_mut().zip(pixels.iter()).zip(original) {
        *change = pixel + step * *change - original;
    }
    ball.project(direction);
    for ((pixel, change), original) in pixels.iter_mut().zip(direction.iter()).zip(original) {
        *pixel = (original + change).clamp(0.0, 1.0);
    }
}

impl Attack for Ascent {
    fn perturb(
        &self,
        oracle: &mut dyn Oracle,
        batch: Batch<'_>,
        step: &mut dyn FnMut() -> bool,
    ) -> Result<Vec<f32>, AttackError> {
        let (images, samples) = (batch.len(), oracle.samples());
        let mut walk = Walk {
            pixels: batch.pixels.to_vec(),
            velocity: vec![0.0; if self.momentum.is_some() { batch.pixels.len() } else { 0 }],
            evaluation: Evaluation::new(oracle, images),
        };
        if self.restarts <= 1 {
            self.start(batch, 0, &mut walk.pixels);
            self.walk(oracle, batch, &mut walk, step)?;
            return Ok(walk.pixels);
        }
        let mut best = batch.pixels.to_vec();
        let mut scores = vec![(false, f64::NEG_INFINITY); images];
        for restart in 0..self.restarts {
            self.start(batch, restart, &mut walk.pixels);
            self.walk(oracle, batch, &mut walk, step)?;
            // Where the last step led is not known yet.
            walk.evaluation.look(oracle, self.loss.as_ref(), &walk.pixels, batch.labels)?;
            let found = walk.pixels.chunks_exact(samples).zip(best.chunks_exact_mut(samples));
            for (image, (found, best)) in found.enumerate() {
                let reached = walk.evaluation.reached[image].unwrap_or(false);
                let score = (reached, walk.evaluation.losses[image]);
                if score > scores[image] {
                    scores[image] = score;
                    best.copy_from_slice(found);
                }
            }
        }
        Ok(best)
    }

    fn iterations(&self) -> usize {
        self.iterations.saturating_mul(self.restarts.max(1))
    }
}
