//! FGSM: one step as long as the budget. Source: Goodfellow et al. 2015, §4.

use super::{Ascent, Ball, Start};
use crate::loss::Loss;

/// One step of length epsilon from the image, along the gradient's steepest direction in the ball's norm.
pub fn fgsm(loss: Box<dyn Loss>, ball: Ball) -> Ascent {
    Ascent {
        loss,
        ball,
        step: ball.radius,
        iterations: 1,
        start: Start::Image,
        restarts: 1,
        momentum: None,
        decay: None,
        seed: 0,
    }
}
