//! Runs before measuring: until latency is steady, or there have been enough.

use serde::{Deserialize, Serialize};

use super::Sample;
use crate::statistics::median;

/// When a subject is warm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WarmUp {
    /// Runs whose medians are compared, one window with the next.
    pub window: usize,
    /// Steady: the medians of two windows differ by at most this fraction.
    pub tolerance: f64,
    /// Runs after which measuring begins anyway.
    pub most: usize,
}

impl Default for WarmUp {
    fn default() -> Self {
        Self { window: 20, tolerance: 0.02, most: 500 }
    }
}

/// How a subject warmed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarmedUp {
    /// Runs that it took.
    pub runs: usize,
    /// Whether latency became steady.
    pub steady: bool,
}

impl WarmUp {
    /// Runs a subject until it is warm.
    pub(super) fn run<E>(&self, mut run: impl FnMut(usize) -> Result<Sample, E>) -> Result<WarmedUp, E> {
        let mut window = Vec::with_capacity(self.window);
        let mut before: Option<f64> = None;
        for input in 0..self.most {
            window.push(run(input)?.latency.as_secs_f64());
            if window.len() < self.window {
                continue;
            }
            let now = median(&mut window);
            let change = now.zip(before).map(|(now, before)| (now - before).abs() / before);
            if change.is_some_and(|change| change <= self.tolerance) {
                return Ok(WarmedUp { runs: input + 1, steady: true });
            }
            before = now;
            window.clear();
        }
        Ok(WarmedUp { runs: self.most, steady: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::time::Duration;

    fn warmed(latency_us: impl Fn(usize) -> usize) -> WarmedUp {
        let warm_up = WarmUp { window: 10, tolerance: 0.02, most: 100 };
        let run = |input| {
            let latency = Duration::from_micros(latency_us(input) as u64);
            Ok::<_, Infallible>(Sample { exit: 0, latency })
        };
        warm_up.run(run).unwrap()
    }

    #[test]
    fn warming_up_ends_when_two_windows_agree() {
        assert_eq!(warmed(|_| 1000), WarmedUp { runs: 20, steady: true });
        assert_eq!(warmed(|input| if input < 30 { 2000 - 50 * input } else { 500 }).runs, 50);
    }

    #[test]
    fn warming_up_gives_up_on_what_never_settles() {
        assert_eq!(warmed(|input| 1000 * (input + 1)), WarmedUp { runs: 100, steady: false });
    }
}
