//! Random starts within a ball.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::ball::{Ball, Norm};
use crate::random::{exponential, gaussian};

/// Fills `perturbation` with a point drawn evenly from `ball`.
pub(super) fn inside(ball: Ball, random: &mut ChaCha8Rng, perturbation: &mut [f32]) {
    let radius = ball.radius;
    match ball.norm {
        Norm::Linf => perturbation.iter_mut().for_each(|p| *p = random.random_range(-radius..=radius)),
        // Source: Barthe et al. 2005: |x|^p noise, plus one exponential, is even in the lp ball.
        Norm::L2 | Norm::L1 => {
            let mut extent = exponential(random);
            for p in perturbation.iter_mut() {
                let noise = match ball.norm {
                    // A Gaussian of variance 1/2, so that its density is exp(-x^2).
                    Norm::L2 => gaussian(random) * std::f64::consts::FRAC_1_SQRT_2,
                    _ => exponential(random) * if random.random::<bool>() { 1.0 } else { -1.0 },
                };
                extent += if ball.norm == Norm::L2 { noise * noise } else { noise.abs() };
                *p = noise as f32;
            }
            let extent = if ball.norm == Norm::L2 { extent.sqrt() } else { extent };
            let scale = (f64::from(radius) / extent) as f32;
            perturbation.iter_mut().for_each(|p| *p *= scale);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::generator;

    #[test]
    fn a_random_start_is_inside_the_ball_and_fills_it() {
        for norm in [Norm::Linf, Norm::L2, Norm::L1] {
            let ball = Ball::new(norm, 0.25).unwrap();
            let mut lengths: Vec<f64> = (0..200)
                .map(|image| {
                    let mut perturbation = [0.0; 4];
                    inside(ball, &mut generator(7, image, 0), &mut perturbation);
                    norm.length(perturbation.into_iter())
                })
                .collect();
            lengths.sort_unstable_by(f64::total_cmp);
            assert!(lengths[199] <= 0.25 + 1e-6, "{norm:?}");
            // In four dimensions half of the volume lies beyond 0.84 of the radius.
            assert!((lengths[100] / 0.25 - 0.84).abs() < 0.06, "{norm:?} {}", lengths[100]);
        }
    }
}
