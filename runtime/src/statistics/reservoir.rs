//! Numbers without end, of which as many are kept as percentiles need.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::Latency;

/// Numbers kept. A percentile of so many is off by less than half a percent of the ranks, 95 times in 100.
const KEPT: usize = 1 << 14;

/// Latencies of whatever goes on for ever: mean and maximum are of all of them, percentiles of a uniform sample once there are more
/// than 16384.
///
/// Source: algorithm R, Vitter 1985, "Random sampling with a reservoir".
#[derive(Clone, Debug)]
pub struct Reservoir {
    kept: Vec<f64>,
    seen: u64,
    sum: f64,
    max: f64,
    random: ChaCha8Rng,
}

impl Reservoir {
    /// Empty; `seed` chooses what is kept.
    pub fn new(seed: u64) -> Self {
        let random = ChaCha8Rng::seed_from_u64(seed);
        Self { kept: Vec::new(), seen: 0, sum: 0.0, max: f64::NEG_INFINITY, random }
    }

    /// Takes a number of seconds.
    pub fn push(&mut self, seconds: f64) {
        self.seen += 1;
        self.sum += seconds;
        self.max = self.max.max(seconds);
        if self.kept.len() < KEPT {
            self.kept.push(seconds);
        } else if let Ok(place) = usize::try_from(self.random.random_range(0..self.seen))
            && let Some(kept) = self.kept.get_mut(place)
        {
            *kept = seconds;
        }
    }

    /// All of them in figures; `None` when there are none.
    pub fn latency(&self) -> Option<Latency> {
        let sample = Latency::of(&mut self.kept.clone())?;
        Some(Latency { mean: self.sum / self.seen as f64, max: self.max, ..sample })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_numbers_are_told_exactly() {
        let mut reservoir = Reservoir::new(0);
        assert_eq!(reservoir.latency(), None);
        (1..=100).for_each(|n| reservoir.push(f64::from(n)));
        assert_eq!(reservoir.latency(), Latency::of(&mut (1..=100).map(f64::from).collect::<Vec<_>>()));
    }

    #[test]
    fn many_numbers_are_told_by_a_sample_of_all_of_them() {
        let mut reservoir = Reservoir::new(7);
        let last = 400_000;
        (1..=last).for_each(|n| reservoir.push(f64::from(n)));
        let found = reservoir.latency().unwrap();
        assert_eq!((reservoir.kept.len(), found.max), (KEPT, f64::from(last)));
        assert!((found.mean - 200_000.5).abs() < 1e-6, "{found:?}");
        // Five standard deviations of a rank.
        for (percentile, rank) in [(found.p50, 0.5_f64), (found.p90, 0.9), (found.p99, 0.99)] {
            let most = 5.0 * (rank * (1.0 - rank) / KEPT as f64).sqrt();
            assert!((percentile / f64::from(last) - rank).abs() < most, "{rank}: {found:?}");
        }
    }
}
