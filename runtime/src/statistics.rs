//! Percentiles, means and intervals of measured numbers.

mod bootstrap;
mod reservoir;

use serde::{Deserialize, Serialize};

pub use bootstrap::{Bootstrap, Interval, median_interval, ratio_of_means, ratio_of_medians};
pub use reservoir::Reservoir;

/// Latency of many images, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Arithmetic mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Latency {
    /// Sums `seconds` up; sorts them. `None` when there are none.
    pub fn of(seconds: &mut [f64]) -> Option<Self> {
        seconds.sort_unstable_by(f64::total_cmp);
        let at = |percent| percentile(seconds, percent);
        Some(Self {
            mean: mean(seconds)?,
            p50: at(50.0)?,
            p90: at(90.0)?,
            p99: at(99.0)?,
            max: *seconds.last()?,
        })
    }
}

/// The `percent`-th percentile of sorted numbers by nearest rank: the smallest of them that at least `percent` in 100
/// do not exceed. Always one of the numbers; `None` when there are none.
pub fn percentile(sorted: &[f64], percent: f64) -> Option<f64> {
    let rank = (percent / 100.0 * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank.min(sorted.len()).checked_sub(1)?).copied()
}

/// The median, the mean of the middle two of an even number; reorders `numbers`. `None` when there are none.
pub fn median(numbers: &mut [f64]) -> Option<f64> {
    let middle = numbers.len() / 2;
    if numbers.is_empty() {
        return None;
    }
    let even = numbers.len().is_multiple_of(2);
    let (below, upper, _) = numbers.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    let lower = below.iter().copied().max_by(f64::total_cmp).filter(|_| even);
    Some(lower.map_or(upper, |lower| lower.midpoint(upper)))
}

/// Arithmetic mean; `None` of nothing.
pub fn mean(numbers: &[f64]) -> Option<f64> {
    (!numbers.is_empty()).then(|| numbers.iter().sum::<f64>() / numbers.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let numbers = [15.0, 20.0, 35.0, 40.0, 50.0];
        let found = [5.0, 30.0, 40.0, 50.0, 100.0].map(|percent| percentile(&numbers, percent));
        assert_eq!(found, [15.0, 20.0, 20.0, 35.0, 50.0].map(Some));
        assert_eq!(percentile(&[], 50.0), None);
        assert_eq!(percentile(&[7.0], 0.0), Some(7.0));
    }

    #[test]
    fn nothing_has_no_latency() {
        assert_eq!(Latency::of(&mut []), None);
        let one = Latency::of(&mut [2.0]).unwrap();
        assert_eq!(one, Latency { mean: 2.0, p50: 2.0, p90: 2.0, p99: 2.0, max: 2.0 });
    }

    proptest! {
        #[test]
        fn the_median_is_the_middle_of_the_sorted_numbers(mut numbers in prop::collection::vec(-1e6..1e6, 1..50)) {
            let mut sorted: Vec<f64> = numbers.clone();
            sorted.sort_by(f64::total_cmp);
            let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
            prop_assert_eq!(median(&mut numbers), Some(low.midpoint(high)));
        }
    }
}
