//! What is random, keyed by seed, image and restart.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The generator of one image in one restart.
pub(crate) fn generator(seed: u64, image: usize, restart: usize) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (part, number) in key.chunks_exact_mut(8).zip([seed, image as u64, restart as u64, 0]) {
        part.copy_from_slice(&number.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// A draw from the exponential distribution of mean 1.
pub(crate) fn exponential(random: &mut ChaCha8Rng) -> f64 {
    -(1.0 - random.random::<f64>()).ln()
}

/// A draw from the normal distribution of mean 0 and variance 1. Source: Box & Muller 1958.
pub(crate) fn gaussian(random: &mut ChaCha8Rng) -> f64 {
    let radius = (2.0 * exponential(random)).sqrt();
    radius * (std::f64::consts::TAU * random.random::<f64>()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_image_and_restart_each_change_the_draw() {
        let draw = |seed, image, restart| generator(seed, image, restart).random::<u64>();
        assert_eq!(draw(1, 2, 3), draw(1, 2, 3));
        for other in [draw(0, 2, 3), draw(1, 0, 3), draw(1, 2, 0)] {
            assert_ne!(other, draw(1, 2, 3));
        }
    }
}
