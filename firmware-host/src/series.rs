//! Power over device time, and the energy between two moments.

use std::collections::VecDeque;

use offramp_wire::{Batch, Hello, Quantity};

use crate::clock::Ticks;

/// Samples that are kept at most: 35 minutes of 8 kHz. What comes later is missing and counted as such.
const MOST: usize = 1 << 24;

/// Power samples of one epoch, in device time.
#[derive(Clone, Debug, Default)]
pub struct Series {
    samples: VecDeque<Sample>,
    expected: Option<u32>,
    lost: u64,
    misplaced: bool,
    taken: u64,
    step_w: f64,
    /// Ticks between samples, where that is known.
    step: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    ticks: f64,
    watts: f32,
    /// Something is missing between this sample and the one before.
    after_gap: bool,
}

/// Energy between two moments.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sum {
    /// Watts times ticks.
    pub watt_ticks: f64,
    /// Ticks that lie between samples that follow each other.
    pub covered: f64,
    /// Samples that were used.
    pub samples: u64,
    /// Gaps inside; nothing was integrated across them.
    pub gaps: u64,
}

impl Series {
    /// For samples that are `step` ticks apart: what is at another distance is no neighbour.
    #[must_use]
    pub fn with_step(step: f64) -> Self {
        Self { step: (step > 0.0).then_some(step), ..Self::default() }
    }

    /// Adds a batch whose samples mean what `hello` says.
    pub fn push(&mut self, batch: &Batch, hello: &Hello, ticks: &mut Ticks) {
        let missing = self.expected.map_or(0, |expected| batch.index.wrapping_sub(expected));
        self.expected = Some(batch.index.wrapping_add(u32::try_from(batch.len()).unwrap_or(u32::MAX)));
        self.lost += u64::from(missing);
        let begin = ticks.extend(batch.time) as f64;
        let steps = (batch.len().max(2) - 1) as f64;
        let step = f64::from(batch.span) / steps;
        let since = self.samples.back().map(|last| begin - last.ticks);
        // A counter that was set while it ran: the numbers go on and the times do not.
        let jumped = self.strays(since, f64::from(missing) + 1.0);
        if batch.len() > 1 && self.strays(Some(f64::from(batch.span)), steps) {
            self.taken += batch.len() as u64;
            self.misplaced = true;
            return;
        }
        for (number, sample) in batch.samples().enumerate() {
            let (watts, step_w) = power(sample, batch.scales(), hello);
            self.step_w = step_w;
            self.add(begin + step * number as f64, watts, number == 0 && (missing > 0 || jumped));
        }
        ticks.extend(batch.time.wrapping_add(batch.span));
    }

    /// Whether a time is not that of so many steps.
    fn strays(&self, time: Option<f64>, steps: f64) -> bool {
        let Some((time, step)) = time.zip(self.step) else { return false };
        (time - steps * step).abs() > step * (2.0 + steps / 2.0)
    }

    /// Adds a sample; `after_gap` where something is missing before it. Its time is after that of the last one.
    pub fn add(&mut self, ticks: f64, watts: f64, after_gap: bool) {
        if self.samples.len() >= MOST {
            return;
        }
        self.taken += 1;
        // Time that does not go on is no time: the sample cannot be placed, and the next one is not beside the last.
        if self.samples.back().is_some_and(|last| ticks <= last.ticks) {
            self.misplaced = true;
            return;
        }
        let after_gap = std::mem::take(&mut self.misplaced) || after_gap;
        self.samples.push_back(Sample { ticks, watts: watts as f32, after_gap });
    }

    /// The energy from `from` to `to`: trapezoids, with interpolated ends. Nothing is integrated across gaps, and nothing
    /// before the first sample or behind the last.
    #[must_use]
    pub fn between(&self, from: f64, to: f64) -> Sum {
        let mut sum = Sum::default();
        // Samples before the one right before `from` do not matter.
        let first = self.samples.partition_point(|sample| sample.ticks <= from).saturating_sub(1);
        let pairs = self.samples.range(first..).zip(self.samples.range(first..).skip(1));
        for (one, other) in pairs {
            if one.ticks >= to {
                break;
            }
            sum.samples += u64::from(one.ticks >= from);
            let (begin, end) = (one.ticks.max(from), other.ticks.min(to));
            if other.after_gap {
                sum.gaps += 1;
            } else if end > begin {
                let slope = f64::from(other.watts - one.watts) / (other.ticks - one.ticks);
                let at = |ticks: f64| f64::from(one.watts) + slope * (ticks - one.ticks);
                sum.watt_ticks += (at(begin) + at(end)) / 2.0 * (end - begin);
                sum.covered += end - begin;
            }
        }
        sum.samples += u64::from(self.samples.back().is_some_and(|last| (from..=to).contains(&last.ticks)));
        sum
    }

    /// Device time of the first and the last sample.
    #[must_use]
    pub fn extent(&self) -> Option<(f64, f64)> {
        Some((self.samples.front()?.ticks, self.samples.back()?.ticks))
    }

    /// Watts of the last sample.
    #[must_use]
    pub fn latest_w(&self) -> Option<f64> {
        self.samples.back().map(|sample| f64::from(sample.watts))
    }

    /// Forgets samples before `ticks`. Counts stay.
    pub fn forget_before(&mut self, ticks: f64) {
        let old = self.samples.partition_point(|sample| sample.ticks < ticks);
        self.samples.drain(..old);
    }

    /// The smallest difference of power that the last sample could show, in watts; 0 where it is not known.
    #[must_use]
    pub fn step_w(&self) -> f64 {
        self.step_w
    }

    /// Samples that came.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Samples that never came, by their numbers.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

/// Power of one sample and what one count of it is: channels of watts, and volts times amperes where they stand side by
/// side.
fn power(sample: &[i32], scales: &[u32], hello: &Hello) -> (f64, f64) {
    let unit = |channel: usize| f64::from(scales[channel]) * 1e-9;
    let value = |channel: usize| f64::from(sample[channel]) * unit(channel);
    let channels = sample.len().min(scales.len()).min(hello.channels.len());
    let quantity = |channel: usize| hello.channels.get(channel).map(|channel| channel.quantity);
    (0..channels)
        .map(|channel| match quantity(channel) {
            Some(Quantity::Power) => (value(channel), unit(channel)),
            Some(Quantity::Voltage)
                if channel + 1 < channels && quantity(channel + 1) == Some(Quantity::Current) =>
            {
                let (volts, amperes) = (value(channel), value(channel + 1));
                (volts * amperes, (volts * unit(channel + 1)).abs() + (amperes * unit(channel)).abs())
            }
            _ => (0.0, 0.0),
        })
        .fold((0.0, 0.0), |(watts, step), (more, other)| (watts + more, step + other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use offramp_wire::{Abilities, Channel};

    fn series(samples: &[(f64, f64)]) -> Series {
        let mut series = Series::default();
        samples.iter().for_each(|(ticks, watts)| series.add(*ticks, *watts, false));
        series
    }

    fn hello(channels: &[Quantity]) -> Hello {
        let channel = |quantity: &Quantity| Channel {
            quantity: *quantity,
            scale_nano: 1,
            label: "X".try_into().unwrap(),
        };
        Hello {
            abilities: Abilities::default(),
            tick_hz: 1_000_000,
            rate_millihz: 0,
            boot: 0,
            image_bytes: 0,
            name: "".try_into().unwrap(),
            serial: "".try_into().unwrap(),
            channels: channels.iter().map(channel).collect(),
        }
    }

    #[test]
    fn window_ends_between_samples_are_interpolated() {
        let ramp = series(&[(0.0, 0.0), (10.0, 10.0), (20.0, 20.0)]);
        let sum = ramp.between(5.0, 12.0);
        assert!((sum.watt_ticks - (12.0 * 12.0 - 5.0 * 5.0) / 2.0).abs() < 1e-9);
        assert_eq!((sum.covered, sum.samples, sum.gaps), (7.0, 1, 0));
        let inside = ramp.between(12.0, 13.0);
        assert!((inside.watt_ticks - 12.5).abs() < 1e-9);
        assert_eq!(inside.samples, 0);
    }

    #[test]
    fn nothing_is_integrated_before_the_first_sample_behind_the_last_or_across_a_gap() {
        let mut series = series(&[(0.0, 2.0), (10.0, 2.0)]);
        series.add(50.0, 2.0, true);
        series.add(60.0, 2.0, false);
        let sum = series.between(-100.0, 100.0);
        assert!((sum.watt_ticks - 40.0).abs() < 1e-9);
        assert_eq!((sum.covered, sum.samples, sum.gaps), (20.0, 4, 1));
        assert_eq!(series.between(12.0, 48.0), Sum { gaps: 1, ..Sum::default() });
        assert_eq!(Series::default().between(0.0, 1.0), Sum::default());
    }

    #[test]
    fn a_reversed_waveform_has_the_same_energy() {
        let values = [3.0, 0.5, 7.0, 7.0, 1.0, 0.0, 9.0];
        let forward: Vec<_> = values.iter().enumerate().map(|(at, watts)| (at as f64, *watts)).collect();
        let backward: Vec<_> =
            values.iter().rev().enumerate().map(|(at, watts)| (at as f64, *watts)).collect();
        let energy = |samples: &[(f64, f64)]| series(samples).between(0.0, 6.0).watt_ticks;
        assert!((energy(&forward) - energy(&backward)).abs() < 1e-9);
    }

    #[test]
    fn missing_numbers_are_counted_and_time_goes_on_over_the_wrap() {
        let hello = hello(&[Quantity::Power]);
        let (mut series, mut ticks) = (Series::default(), Ticks::default());
        for (time, index) in [(u32::MAX - 150, u32::MAX - 1), (50, 1), (450, 5)] {
            let mut batch = Batch::new(time, index, &[1_000_000_000]).unwrap();
            batch.push(0, &[2]).unwrap();
            batch.push(100, &[2]).unwrap();
            batch.push(200, &[2]).unwrap();
            series.push(&batch, &hello, &mut ticks);
        }
        assert_eq!((series.lost(), series.taken()), (1, 9));
        let (first, last) = series.extent().unwrap();
        assert_eq!(last - first, 801.0);
        let sum = series.between(first, last);
        assert_eq!((sum.covered, sum.gaps), (601.0, 1));
    }

    #[test]
    fn nothing_is_integrated_over_a_counter_that_was_set() {
        let hello = hello(&[Quantity::Power]);
        let (mut series, mut ticks) = (Series::with_step(100.0), Ticks::default());
        // Set between two batches, then within one.
        for (number, (time, span)) in
            [(1000, 200), (1300, 200), (500_000, 200), (500_300, 90_000), (590_400, 200)]
                .into_iter()
                .enumerate()
        {
            let mut batch = Batch::new(time, number as u32 * 3, &[1_000_000_000]).unwrap();
            [0, span / 2, span].into_iter().for_each(|since| batch.push(since, &[2]).unwrap());
            series.push(&batch, &hello, &mut ticks);
        }
        let (first, last) = series.extent().unwrap();
        let sum = series.between(first, last);
        assert_eq!((sum.covered, sum.gaps), (500.0 + 200.0 + 200.0, 2));
        assert_eq!(series.taken(), 15);
    }

    #[test]
    fn volts_times_amperes_side_by_side_are_power() {
        let scales = [1_000_000, 1_000_000, 1_000_000_000];
        let with = |channels: &[Quantity]| power(&[5000, 2000, 3], &scales, &hello(channels)).0;
        use Quantity::{Current, Power, Voltage};
        assert!((with(&[Voltage, Current, Power]) - 13.0).abs() < 1e-9);
        assert!((with(&[Voltage, Power, Current]) - 2.0).abs() < 1e-9);
        assert!((with(&[Voltage]) - 0.0).abs() < 1e-9);
    }

    #[test]
    fn time_that_goes_back_is_a_gap() {
        let sum = series(&[(0.0, 1.0), (10.0, 1.0), (5.0, 1.0), (15.0, 1.0)]).between(0.0, 15.0);
        assert_eq!((sum.covered, sum.gaps), (10.0, 1));
    }
}
