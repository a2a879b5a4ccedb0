//! How much later than the delay bytes arrive.

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::profile::{Direction, Shape, milliseconds};

/// Bytes that share a draw: what a TCP segment carries on Ethernet.
pub(super) const SEGMENT: usize = 1460;

/// What is added to the delay of byte `at` of a direction. The same seed gives the same bytes the same delay, however
/// they were read and sent.
pub(super) fn jitter(seed: u64, direction: Direction, at: u64, shape: &Shape) -> Duration {
    if shape.jitter_ms == 0.0 {
        return Duration::ZERO;
    }
    let mut key = [0; 32];
    let numbers = [seed, direction as u64, at / SEGMENT as u64, 0];
    for (part, number) in key.chunks_exact_mut(8).zip(numbers) {
        part.copy_from_slice(&number.to_le_bytes());
    }
    let uniform: f64 = ChaCha8Rng::from_seed(key).random();
    milliseconds(-(1.0 - uniform).ln() * shape.jitter_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(jitter_ms: f64) -> Shape {
        Shape { jitter_ms, ..Shape::default() }
    }

    #[test]
    fn the_same_seed_draws_the_same_for_all_bytes_of_a_segment() {
        let draw = |seed, direction, at| jitter(seed, direction, at, &shape(3.0));
        assert_eq!(draw(1, Direction::Up, 1460), draw(1, Direction::Up, 2919));
        for other in [draw(2, Direction::Up, 0), draw(1, Direction::Down, 0), draw(1, Direction::Up, 1460)] {
            assert_ne!(draw(1, Direction::Up, 0), other);
        }
    }

    #[test]
    fn draws_are_exponential_with_the_stated_mean() {
        let draws = (0..20_000_u64).map(|segment| jitter(5, Direction::Up, segment * 1460, &shape(3.0)));
        let seconds: Vec<f64> = draws.map(|draw| draw.as_secs_f64()).collect();
        let mean = seconds.iter().sum::<f64>() / seconds.len() as f64;
        let above = seconds.iter().filter(|draw| **draw > 3e-3).count() as f64 / seconds.len() as f64;
        // Four standard errors: 3 ms / sqrt(20000) and sqrt(0.37 * 0.63 / 20000).
        assert!((mean - 3e-3).abs() < 8.5e-5, "{mean}");
        assert!((above - (-1.0_f64).exp()).abs() < 0.0137, "{above}");
        assert_eq!(jitter(5, Direction::Up, 0, &shape(0.0)), Duration::ZERO);
    }
}
