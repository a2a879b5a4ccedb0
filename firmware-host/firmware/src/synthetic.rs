//! A sensor that is not there, with a power whose energy is known.
//!
//! Power is a function of device time alone, with a period of [`PERIOD_TICKS`]: 2 W, and a ramp from 0 to 4 W over the
//! period, and 4 W more in its last quarter. A period's mean is 5 W. The period divides 2^32, so the power goes on
//! evenly where device time wraps.

use heapless::Vec;
use offramp_wire::{Channel, MAX_CHANNELS, Quantity};

use crate::sensor::{Begun, Sample, Sensor, SensorError};

/// Ticks of one period.
pub const PERIOD_TICKS: u32 = 1 << 20;

/// Tenths of a milliwatt, in billionths of a watt.
const SCALE_NANO: u32 = 100_000;
const FLOOR: u64 = 20_000;
const RISE: u64 = 40_000;
const BURST: u64 = 40_000;

/// A sensor of one channel of power. Every sample is the mean over its conversion, and conversions follow each other
/// without a pause.
#[derive(Clone, Debug)]
pub struct Synthetic {
    tick_hz: u32,
    most_millihz: u32,
    run: Option<Conversions>,
}

#[derive(Clone, Copy, Debug)]
struct Conversions {
    /// When the next one begins.
    begin: u32,
    period: u32,
}

impl Synthetic {
    /// A sensor that gives at most `most_millihz` samples per 1000 s, on a clock of `tick_hz`.
    #[must_use]
    pub fn new(tick_hz: u32, most_millihz: u32) -> Self {
        Self { tick_hz, most_millihz, run: None }
    }

    fn per_1000_s(&self) -> u64 {
        u64::from(self.tick_hz) * 1000
    }
}

impl Sensor for Synthetic {
    fn channels(&self) -> Vec<Channel, MAX_CHANNELS> {
        let label = "SYNTHETIC".try_into().unwrap_or_default();
        [Channel { quantity: Quantity::Power, scale_nano: SCALE_NANO, label }].into_iter().collect()
    }

    fn rate_millihz(&self) -> u32 {
        1_000_000
    }

    fn begin(&mut self, rate_millihz: u32, now: u32) -> Result<Begun, SensorError> {
        if rate_millihz > self.most_millihz {
            return Err(SensorError::Range { most_millihz: self.most_millihz });
        }
        // Half the counter at most: a conversion's end is told from one that is past.
        let period = (self.per_1000_s() / u64::from(rate_millihz.max(1))).clamp(1, 1 << 31) as u32;
        self.run = Some(Conversions { begin: now, period });
        let rate_millihz = (self.per_1000_s() / u64::from(period)) as u32;
        Ok(Begun { first: now.wrapping_add(period / 2), rate_millihz })
    }

    fn poll(&mut self, now: u32) -> Result<Option<Sample>, SensorError> {
        let Some(Conversions { begin, period }) = &mut self.run else { return Ok(None) };
        if now.wrapping_sub(*begin) < *period {
            return Ok(None);
        }
        let from = u64::from(*begin % PERIOD_TICKS);
        let length = u64::from(*period);
        let sum = energy(from + length) - energy(from);
        let raw = (sum + length / 2) / length;
        let time = begin.wrapping_add(*period / 2);
        *begin = begin.wrapping_add(*period);
        Ok(Some(Sample { time, skipped: 0, values: [raw as i32].into_iter().collect() }))
    }
}

/// Tenths of a milliwatt times ticks, from the beginning of a period on.
fn energy(ticks: u64) -> u64 {
    let period = u64::from(PERIOD_TICKS);
    let part = |ticks: u64| {
        let burst = ticks.saturating_sub(period / 4 * 3);
        FLOOR * ticks + RISE * ticks * ticks / (2 * period) + BURST * burst
    };
    ticks / period * part(period) + part(ticks % period)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watts(ticks: f64) -> f64 {
        let phase = (ticks / f64::from(PERIOD_TICKS)).rem_euclid(1.0);
        2.0 + 4.0 * phase + if phase >= 0.75 { 4.0 } else { 0.0 }
    }

    #[test]
    fn every_sample_is_the_mean_of_its_conversion_also_where_time_wraps() {
        let mut sensor = Synthetic::new(12_500_000, 8_000_000);
        let start = 0_u32.wrapping_sub(PERIOD_TICKS / 2 + 77);
        let begun = sensor.begin(1_000_000, start).unwrap();
        assert_eq!(begun, Begun { first: start.wrapping_add(6250), rate_millihz: 1_000_000 });
        for number in 0..200_u32 {
            let begin = start.wrapping_add(number * 12_500);
            assert_eq!(sensor.poll(begin.wrapping_add(12_499)), Ok(None));
            let sample = sensor.poll(begin.wrapping_add(12_500)).unwrap().unwrap();
            assert_eq!((sample.time, sample.skipped), (begin.wrapping_add(6250), 0));
            let steps = 1000;
            let truth = (0..steps)
                .map(|step| watts(f64::from(begin) + (f64::from(step) + 0.5) * 12.5) / f64::from(steps))
                .sum::<f64>();
            let found = f64::from(sample.values[0]) * f64::from(SCALE_NANO) * 1e-9;
            // Half a count, and the step of the burst cut into a thousand.
            assert!((found - truth).abs() < 0.5e-4 + 4e-3, "sample {number}: {found} W, truth {truth} W");
        }
    }

    #[test]
    fn a_period_has_the_energy_that_is_told() {
        assert_eq!(energy(u64::from(PERIOD_TICKS)), 50_000 * u64::from(PERIOD_TICKS));
    }

    #[test]
    fn samples_are_caught_up_with_and_none_is_left_out() {
        let mut sensor = Synthetic::new(12_500_000, 8_000_000);
        sensor.begin(8_000_000, 0).unwrap();
        let mut times = [0; 4];
        for time in &mut times {
            *time = sensor.poll(4 * 1562).unwrap().unwrap().time;
        }
        assert_eq!(times, [781, 2343, 3905, 5467]);
        assert_eq!(sensor.poll(4 * 1562), Ok(None));
        assert_eq!(sensor.begin(8_000_001, 0), Err(SensorError::Range { most_millihz: 8_000_000 }));
    }
}
