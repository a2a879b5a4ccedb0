//! MI-FGSM: steps along a remembered direction. Source: Dong et al. 2018, algorithm 1, with its mu of 1 and its gradient
//! divided by its l1 norm. (Foolbox adds up gradients as they are; torchattacks divides by the mean instead of the sum,
//! which is the same walk.)

use super::{Ascent, Ball, Start};
use crate::loss::Loss;

/// Decay of the remembered direction, `mu`.
const MOMENTUM: f32 = 1.0;

/// `iterations` steps of length `step` within `ball`, from the image.
pub fn mi_fgsm(loss: Box<dyn Loss>, ball: Ball, step: f32, iterations: usize) -> Ascent {
    let momentum = Some(MOMENTUM);
    Ascent { loss, ball, step, iterations, start: Start::Image, restarts: 1, momentum, decay: None, seed: 0 }
}
