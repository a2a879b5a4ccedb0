//! Student's t: the interval of a mean.

use serde::{Deserialize, Serialize};

use super::mean;

/// A mean and its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// Arithmetic mean.
    pub mean: f64,
    /// Half the width of the 95 % interval; `None` for a single number.
    pub half_width: Option<f64>,
}

/// The mean of independent numbers with its 95 % interval by Student's t; `None` of nothing.
pub fn mean_interval(numbers: &[f64]) -> Option<Mean> {
    let (mean, count) = (mean(numbers)?, numbers.len() as f64);
    let half_width = (numbers.len() > 1).then(|| {
        let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
        t_975(numbers.len() - 1) * (squares / (count - 1.0) / count).sqrt()
    });
    Some(Mean { mean, half_width })
}

/// The 0.975 quantile for 1 to 9 degrees of freedom.
const T_975: [f64; 9] = [12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622];

/// The 0.975 quantile of Student's t, to three decimals. From 10 degrees on by the expansion of Abramowitz and Stegun,
/// 26.7.5.
fn t_975(degrees: usize) -> f64 {
    if let Some(t) = degrees.checked_sub(1).and_then(|at| T_975.get(at)) {
        return *t;
    }
    let (z, n) = (1.959_963_985_f64, degrees as f64);
    let g1 = (z.powi(3) + z) / 4.0;
    let g2 = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    let g3 = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
    z + g1 / n + g2 / n.powi(2) + g3 / n.powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (degrees, expected) in [(1, 12.706), (9, 2.262), (10, 2.228), (30, 2.042), (120, 1.980)] {
            assert!((t_975(degrees) - expected).abs() < 1e-3, "{degrees}");
        }
    }

    #[test]
    fn the_interval_of_a_known_sample_is_the_textbook_one() {
        let found = mean_interval(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        // s = sqrt(2.5), t(4) = 2.776: 2.776 * sqrt(2.5 / 5).
        assert_eq!(found.mean, 3.0);
        assert!((found.half_width.unwrap() - 1.963).abs() < 1e-3);
        assert_eq!(mean_interval(&[1.0]).unwrap().half_width, None);
        assert_eq!(mean_interval(&[]), None);
    }
}
