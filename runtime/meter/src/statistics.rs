//! A few numbers and what can be said of their mean.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF as _, StudentsT};

/// A mean with its 95 % interval by Student's t, and the median beside it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Arithmetic mean.
    pub mean: f64,
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// Half the width of the interval around the mean; `None` for a single number.
    pub half_width: Option<f64>,
    /// How many numbers.
    pub count: usize,
}

impl Estimate {
    /// Of independent numbers; `None` when there are none.
    pub fn of(numbers: &[f64]) -> Option<Self> {
        let (count, n) = (numbers.len(), numbers.len() as f64);
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        let median = f64::midpoint(*sorted.get(count.checked_sub(1)? / 2)?, *sorted.get(count / 2)?);
        let mean = numbers.iter().sum::<f64>() / n;
        let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
        let half_width = t_975(count - 1).map(|t| t * (squares / (n - 1.0) / n).sqrt());
        Some(Self { mean, median, half_width, count })
    }

    /// Whether the interval contains `value`; `None` without an interval.
    pub fn covers(&self, value: f64) -> Option<bool> {
        self.half_width.map(|half| (value - self.mean).abs() <= half)
    }
}

/// The 0.975 quantile of Student's t; `None` without a degree of freedom.
pub(crate) fn t_975(degrees: usize) -> Option<f64> {
    if degrees == 0 {
        return None;
    }
    StudentsT::new(0.0, 1.0, degrees as f64).ok().map(|student| student.inverse_cdf(0.975))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (degrees, expected) in [(1, 12.706), (4, 2.776), (9, 2.262), (30, 2.042), (120, 1.980)] {
            assert!((t_975(degrees).unwrap() - expected).abs() < 1e-3, "{degrees}");
        }
        assert_eq!(t_975(0), None);
    }

    #[test]
    fn the_interval_of_a_known_sample_is_the_textbook_one() {
        let found = Estimate::of(&[5.0, 1.0, 2.0, 4.0, 3.0]).unwrap();
        assert_eq!((found.mean, found.median), (3.0, 3.0));
        // s = sqrt(2.5), t(4) = 2.776: 2.776 * sqrt(2.5 / 5).
        assert!((found.half_width.unwrap() - 1.963).abs() < 1e-3);
        assert_eq!((found.covers(4.9), found.covers(5.0)), (Some(true), Some(false)));
        assert_eq!(Estimate::of(&[1.0, 2.0]).unwrap().median, 1.5);
        assert_eq!(Estimate::of(&[1.0]).unwrap().half_width, None);
        assert_eq!(Estimate::of(&[]), None);
    }
}
