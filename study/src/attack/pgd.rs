//! PGD: steps, each followed by projection. Source: Madry et al. 2018, §2.1.

use super::{Ascent, Ball, Start};
use crate::loss::Loss;

/// How PGD walks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PgdOptions {
    /// Length of one step in the ball's norm.
    pub step: f32,
    /// Steps.
    pub iterations: usize,
    /// Starts at a point drawn evenly from the ball, not at the image.
    pub random_start: bool,
    /// Walks per image; the one that reaches its aim, then the one of greatest loss, is kept.
    pub restarts: usize,
    /// Seed of random starts.
    pub seed: u64,
}

/// Projected gradient ascent within `ball`.
pub fn pgd(loss: Box<dyn Loss>, ball: Ball, options: PgdOptions) -> Ascent {
    let PgdOptions { step, iterations, random_start, restarts, seed } = options;
    let start = if random_start || restarts > 1 { Start::Random(ball.radius) } else { Start::Image };
    Ascent { loss, ball, step, iterations, start, restarts, momentum: None, decay: None, seed }
}
