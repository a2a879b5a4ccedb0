//! Normal noise on every sample.

use crate::random;

/// Adds noise of standard deviation `sigma`; it depends on `seed` and `image` alone.
pub(super) fn add(sigma: f64, seed: u64, image: usize, samples: &mut [f64]) {
    let mut generator = random::generator(seed, image, 0);
    samples.iter_mut().for_each(|sample| *sample += sigma * random::gaussian(&mut generator));
}
