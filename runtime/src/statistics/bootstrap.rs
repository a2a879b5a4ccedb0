//! Intervals by resampling, for medians and ratios of medians.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{mean, median, percentile};

/// How often to resample, and from which seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// Resamples drawn.
    pub resamples: usize,
    /// Seed of the draws: same numbers, same seed, same interval.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 1000, seed: 0 }
    }
}

/// An estimate and its 95 % percentile interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The estimate from all numbers.
    pub estimate: f64,
    /// 2.5th percentile of the resampled estimates.
    pub low: f64,
    /// 97.5th percentile.
    pub high: f64,
}

/// The median of `blocks` taken together. Blocks are resampled whole: numbers of one block share whatever drifted while
/// they were measured. `None` without numbers.
pub fn median_interval(blocks: &[Vec<f64>], bootstrap: Bootstrap) -> Option<Interval> {
    let mut pool = Vec::new();
    interval(blocks.len(), bootstrap, |drawn| median(gather(&mut pool, blocks, drawn)))
}

/// The median of `over` divided by that of `under`, block `i` of one measured beside block `i` of the other: both are
/// resampled together. `None` without numbers or when a median is zero.
pub fn ratio_of_medians(over: &[Vec<f64>], under: &[Vec<f64>], bootstrap: Bootstrap) -> Option<Interval> {
    let mut pool = Vec::new();
    interval(over.len().min(under.len()), bootstrap, |drawn| {
        let over = median(gather(&mut pool, over, drawn))?;
        let under = median(gather(&mut pool, under, drawn))?;
        (under != 0.0).then(|| over / under)
    })
}

/// As [`ratio_of_medians`], of means.
pub fn ratio_of_means(over: &[Vec<f64>], under: &[Vec<f64>], bootstrap: Bootstrap) -> Option<Interval> {
    let mut pool = Vec::new();
    interval(over.len().min(under.len()), bootstrap, |drawn| {
        let over = mean(gather(&mut pool, over, drawn))?;
        let under = mean(gather(&mut pool, under, drawn))?;
        (under != 0.0).then(|| over / under)
    })
}

fn gather<'a>(pool: &'a mut Vec<f64>, blocks: &[Vec<f64>], drawn: &[usize]) -> &'a mut [f64] {
    pool.clear();
    pool.extend(drawn.iter().filter_map(|block| blocks.get(*block)).flatten());
    pool
}

fn interval(
    blocks: usize,
    bootstrap: Bootstrap,
    mut statistic: impl FnMut(&[usize]) -> Option<f64>,
) -> Option<Interval> {
    let mut drawn: Vec<usize> = (0..blocks).collect();
    let estimate = statistic(&drawn)?;
    let mut rng = ChaCha8Rng::seed_from_u64(bootstrap.seed);
    let mut estimates = Vec::with_capacity(bootstrap.resamples);
    for _ in 0..bootstrap.resamples {
        drawn.iter_mut().for_each(|block| *block = rng.random_range(0..blocks));
        estimates.extend(statistic(&drawn));
    }
    estimates.sort_unstable_by(f64::total_cmp);
    let at = |percent| percentile(&estimates, percent).unwrap_or(estimate);
    Some(Interval { estimate, low: at(2.5), high: at(97.5) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(offset: f64) -> Vec<Vec<f64>> {
        (0..20)
            .map(|block| (0..5).map(|at| offset + f64::from((block * 7 + at * 3) % 11)).collect())
            .collect()
    }

    #[test]
    fn an_interval_holds_its_estimate_and_repeats_under_its_seed() {
        let found = median_interval(&blocks(10.0), Bootstrap::default()).unwrap();
        assert!(found.low <= found.estimate && found.estimate <= found.high && found.low < found.high);
        assert_eq!(median_interval(&blocks(10.0), Bootstrap::default()), Some(found));
    }

    #[test]
    fn drift_that_both_share_cancels_in_the_ratio() {
        let drifting =
            |factor: f64| (0..20).map(|block| vec![factor * f64::from(1 + block); 4]).collect::<Vec<_>>();
        let found = ratio_of_medians(&drifting(3.0), &drifting(2.0), Bootstrap::default()).unwrap();
        assert_eq!(found, Interval { estimate: 1.5, low: 1.5, high: 1.5 });
        let means = ratio_of_means(&drifting(3.0), &drifting(2.0), Bootstrap::default()).unwrap();
        assert!((means.estimate - 1.5).abs() < 1e-12 && (means.high - 1.5).abs() < 1e-12, "{means:?}");
    }

    #[test]
    fn nothing_has_no_interval() {
        assert_eq!(median_interval(&[], Bootstrap::default()), None);
        assert_eq!(ratio_of_medians(&blocks(1.0), &[vec![0.0]], Bootstrap::default()), None);
    }
}
