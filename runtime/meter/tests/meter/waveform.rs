//! Waveforms whose energy is known in closed form. Shares nothing with the integrator.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Power over time, beginning at 0.
#[derive(Clone, Debug)]
pub enum Waveform {
    Constant(f64),
    /// Watts at the beginning, and watts per second.
    Ramp(f64, f64),
    /// `low` then `high`, `duty` of each period.
    Square {
        low: f64,
        high: f64,
        period: f64,
        duty: f64,
    },
    /// A base, and pulses of a height that do not overlap: where they begin and how long they are.
    Bursts {
        base: f64,
        height: f64,
        pulses: Vec<(f64, f64)>,
    },
}

impl Waveform {
    /// Pulses of 5 to 60 ms, 10 to 100 ms apart, for `seconds`.
    pub fn bursts(base: f64, height: f64, seconds: f64, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (mut at, mut pulses) = (0.0, Vec::new());
        while at < seconds {
            at += random.random_range(0.01..0.1);
            let length = random.random_range(0.005..0.06);
            pulses.push((at, length));
            at += length;
        }
        Self::Bursts { base, height, pulses }
    }

    /// Joules from 0 to `t`.
    pub fn energy(&self, t: f64) -> f64 {
        match self {
            Self::Constant(power) => power * t,
            Self::Ramp(power, slope) => power * t + slope * t * t / 2.0,
            Self::Square { low, high, period, duty } => {
                let (whole, rest) = ((t / period).floor(), t % period);
                let lasting = whole * duty * period + (rest - (1.0 - duty) * period).max(0.0);
                low * t + (high - low) * lasting
            }
            Self::Bursts { base, height, pulses } => {
                let begun = pulses.partition_point(|(start, _)| *start < t);
                let lasting: f64 = pulses[..begun].iter().map(|(start, length)| length.min(t - start)).sum();
                base * t + height * lasting
            }
        }
    }
}

#[test]
fn closed_forms_are_what_small_steps_add_up_to() {
    let waveforms = [
        Waveform::Constant(3.0),
        Waveform::Ramp(1.0, 0.5),
        Waveform::Square { low: 2.0, high: 9.0, period: 0.001, duty: 0.3 },
        Waveform::bursts(2.0, 5.0, 3.0, 1),
    ];
    for waveform in waveforms {
        let power = |t: f64| match &waveform {
            Waveform::Constant(power) => *power,
            Waveform::Ramp(power, slope) => power + slope * t,
            Waveform::Square { low, high, period, duty } => {
                if t % period >= (1.0 - duty) * period {
                    *high
                } else {
                    *low
                }
            }
            Waveform::Bursts { base, height, pulses } => {
                let on = pulses.iter().any(|(start, length)| (*start..start + length).contains(&t));
                base + if on { *height } else { 0.0 }
            }
        };
        let steps = 100_000;
        let sum: f64 = (0..steps).map(|step| power((f64::from(step) + 0.5) * 2.0 / 1e5) * 2.0 / 1e5).sum();
        let exact = waveform.energy(2.0);
        assert!((sum / exact - 1.0).abs() < 2e-3, "{sum} {exact} {waveform:?}");
    }
}
