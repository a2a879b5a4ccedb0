//! Power that is known exactly.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Power over time, with its integral in closed form.
#[derive(Clone, Debug, PartialEq)]
pub enum Waveform {
    /// Always the same, in watts.
    Constant(f64),
    /// Up from `low_w` to `high_w` in `period_s`, then at once down.
    Ramp {
        /// Lowest power.
        low_w: f64,
        /// Highest power.
        high_w: f64,
        /// Time of one rise.
        period_s: f64,
    },
    /// `high_w` for `duty` of every period, then `low_w`.
    Square {
        /// Power of the second part.
        low_w: f64,
        /// Power of the first part.
        high_w: f64,
        /// Time of both.
        period_s: f64,
        /// Share of the first, in [0, 1].
        duty: f64,
    },
    /// Pieces of constant power, over and over.
    Pieces {
        /// Power of each, and when it ends since the beginning; times rise.
        pieces: Vec<(f64, f64)>,
    },
}

impl Waveform {
    /// Bursts of 1 to 20 ms at a power of their own above `idle_w`, up to `peak_w`, with pauses of 1 to 30 ms; after
    /// about `length_s` from the beginning.
    #[must_use]
    pub fn bursts(idle_w: f64, peak_w: f64, length_s: f64, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut pieces = Vec::new();
        let mut end = 0.0;
        while end < length_s {
            end += random.random_range(0.001..0.03);
            pieces.push((idle_w, end));
            end += random.random_range(0.001..0.02);
            pieces.push((random.random_range(idle_w..=peak_w), end));
        }
        Self::Pieces { pieces }
    }

    /// Joules from the beginning to `time_s`; negative times count backwards.
    #[must_use]
    pub fn energy_to(&self, time_s: f64) -> f64 {
        match self {
            Self::Constant(watts) => watts * time_s,
            Self::Ramp { low_w, high_w, period_s } => {
                let (whole, rest) = split(time_s, *period_s);
                let slope = (high_w - low_w) / period_s;
                whole * (low_w + high_w) / 2.0 * period_s + (low_w + slope * rest / 2.0) * rest
            }
            Self::Square { low_w, high_w, period_s, duty } => {
                let (whole, rest) = split(time_s, *period_s);
                let part = |time: f64| {
                    high_w * time.min(duty * period_s) + low_w * (time - duty * period_s).max(0.0)
                };
                whole * part(*period_s) + part(rest)
            }
            Self::Pieces { pieces } => {
                let period = pieces.last().map_or(1.0, |(_, end)| *end);
                let (whole, rest) = split(time_s, period);
                let part = |time: f64| {
                    let mut begin = 0.0;
                    let mut sum = 0.0;
                    for (watts, end) in pieces {
                        if begin >= time {
                            break;
                        }
                        sum += watts * (end.min(time) - begin);
                        begin = *end;
                    }
                    sum
                };
                whole * part(period) + part(rest)
            }
        }
    }

    /// Joules between two times.
    #[must_use]
    pub fn energy_between(&self, from_s: f64, to_s: f64) -> f64 {
        self.energy_to(to_s) - self.energy_to(from_s)
    }
}

/// Whole periods and what is left.
fn split(time: f64, period: f64) -> (f64, f64) {
    let whole = (time / period).floor();
    (whole, time - whole * period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energies_are_those_that_a_pencil_gives() {
        let close = |one: f64, other: f64| assert!((one - other).abs() < 1e-12, "{one} is not {other}");
        close(Waveform::Constant(3.0).energy_between(1.0, 3.0), 6.0);
        let ramp = Waveform::Ramp { low_w: 1.0, high_w: 3.0, period_s: 2.0 };
        close(ramp.energy_between(0.0, 2.0), 4.0);
        close(ramp.energy_between(1.0, 2.0), 2.5);
        close(ramp.energy_between(1.0, 3.0), 4.0);
        let square = Waveform::Square { low_w: 1.0, high_w: 5.0, period_s: 1.0, duty: 0.25 };
        close(square.energy_between(0.0, 1.0), 2.0);
        close(square.energy_between(0.5, 1.5), 2.0);
        close(square.energy_between(0.0, 0.125), 0.625);
        let pieces = Waveform::Pieces { pieces: vec![(1.0, 1.0), (4.0, 1.5)] };
        close(pieces.energy_between(0.0, 1.5), 3.0);
        close(pieces.energy_between(1.25, 2.0), 1.5);
        close(pieces.energy_between(-0.5, 0.0), 2.0);
    }

    #[test]
    fn bursts_are_the_same_for_the_same_seed() {
        let bursts = |seed| Waveform::bursts(1.0, 5.0, 1.0, seed);
        assert_eq!(bursts(1), bursts(1));
        assert_ne!(bursts(1), bursts(2));
        let mean = bursts(1).energy_between(0.0, 100.0) / 100.0;
        assert!((1.0..5.0).contains(&mean));
    }
}
