//! Power over device time, and the energy between two moments.

use std::collections::VecDeque;

use offramp_wire::Batch;

use crate::clock::Ticks;
use crate::rails::{self, PowerRail};

/// Samples that are kept at most: 35 minutes of 8 kHz. What comes later is missing and counted as such.
const MOST: usize = 1 << 24;

/// No board takes more, or gives as much back.
pub(crate) const MOST_W: f64 = 10_000.0;

/// Power samples of one epoch, in device time.
#[derive(Clone, Debug, Default)]
pub struct Series {
    samples: VecDeque<Sample>,
    expected: Option<u32>,
    lost: u64,
    misplaced: bool,
    taken: u64,
    latest_w: Option<f64>,
    /// Sum and number of the samples since it was last asked for.
    recent: (f64, u32),
    batch: usize,
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
    /// Watts at the first and the last moment that is covered.
    pub ends_w: Option<[f64; 2]>,
    /// Neighbouring samples, and the sum of the squares of what they differ by, in watts squared.
    pub pairs: u64,
    /// See [`Sum::pairs`].
    pub squares: f64,
}

impl Sum {
    /// Adds what another series gave.
    pub fn add(&mut self, other: &Self) {
        self.watt_ticks += other.watt_ticks;
        self.covered += other.covered;
        self.samples += other.samples;
        self.gaps += other.gaps;
        self.ends_w = match (self.ends_w, other.ends_w) {
            (Some([first, _]), Some([_, last])) => Some([first, last]),
            (one, other) => one.or(other),
        };
        self.pairs += other.pairs;
        self.squares += other.squares;
    }

    /// Standard error of the mean power, from what neighbouring samples differ by.
    #[must_use]
    pub fn noise_w(&self) -> Option<f64> {
        let pairs = self.pairs as f64;
        (self.pairs > 0).then(|| (self.squares / (2.0 * pairs) / (pairs + 1.0)).sqrt())
    }
}

impl Series {
    /// For samples that are `step` ticks apart: what is at another distance is no neighbour.
    #[must_use]
    pub fn with_step(step: f64) -> Self {
        Self { step: (step > 0.0).then_some(step), ..Self::default() }
    }

    /// Adds a batch, of whose samples the power of `rails` counts.
    pub fn push(&mut self, batch: &Batch, rails: &[PowerRail], ticks: &mut Ticks) {
        let missing = self.expected.map_or(0, |expected| batch.index.wrapping_sub(expected));
        self.expected = Some(batch.index.wrapping_add(u32::try_from(batch.len()).unwrap_or(u32::MAX)));
        self.lost += u64::from(missing);
        self.batch = batch.len();
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
            let (watts, step_w) = rails::power(rails, sample, batch.scales());
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
        self.taken += 1;
        // What no board takes was not measured: nothing is integrated through it.
        if watts.is_nan() || watts.abs() > MOST_W {
            self.misplaced = true;
            return;
        }
        self.latest_w = Some(watts);
        self.recent = (self.recent.0 + watts, self.recent.1.saturating_add(1));
        if self.samples.len() >= MOST {
            return;
        }
        // Time that does not go on is no time: the sample cannot be placed, and the next one is not beside the last.
        if self.samples.back().is_some_and(|last| ticks <= last.ticks) {
            self.misplaced = true;
            return;
        }
        let after_gap = std::mem::take(&mut self.misplaced) || after_gap;
        self.samples.push_back(Sample { ticks, watts: watts as f32, after_gap });
    }

    /// Takes another sample of the last one's moment, which `alike` have had already: the last one is their mean then.
    pub(crate) fn average(&mut self, watts: f64, alike: u32) {
        if let Some(last) = self.samples.back_mut() {
            let count = f64::from(alike);
            last.watts = ((f64::from(last.watts) * count + watts) / (count + 1.0)) as f32;
        }
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
                sum.ends_w = Some([sum.ends_w.map_or(at(begin), |[first, _]| first), at(end)]);
                sum.squares += f64::from(other.watts - one.watts).powi(2);
                sum.pairs += 1;
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
        self.latest_w
    }

    /// Mean watts of the samples since this was last asked; of the last one where none has come since.
    pub(crate) fn mean_w(&mut self) -> Option<f64> {
        let (sum, count) = std::mem::take(&mut self.recent);
        if count > 0 { Some(sum / f64::from(count)) } else { self.latest_w }
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

    /// Samples of the last batch.
    pub(crate) fn batch(&self) -> usize {
        self.batch
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

#[cfg(test)]
mod tests {
    use super::*;
    use offramp_wire::Quantity;

    fn series(samples: &[(f64, f64)]) -> Series {
        let mut series = Series::default();
        samples.iter().for_each(|(ticks, watts)| series.add(*ticks, *watts, false));
        series
    }

    fn rail() -> Vec<PowerRail> {
        PowerRail::all(&crate::rails::tests::hello(&[(Quantity::Power, "X")]))
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
        let rails = rail();
        let (mut series, mut ticks) = (Series::default(), Ticks::default());
        for (time, index) in [(u32::MAX - 150, u32::MAX - 1), (50, 1), (450, 5)] {
            let mut batch = Batch::new(time, index, &[1_000_000_000]).unwrap();
            batch.push(0, &[2]).unwrap();
            batch.push(100, &[2]).unwrap();
            batch.push(200, &[2]).unwrap();
            series.push(&batch, &rails, &mut ticks);
        }
        assert_eq!((series.lost(), series.taken()), (1, 9));
        let (first, last) = series.extent().unwrap();
        assert_eq!(last - first, 801.0);
        let sum = series.between(first, last);
        assert_eq!((sum.covered, sum.gaps), (601.0, 1));
    }

    #[test]
    fn nothing_is_integrated_over_a_counter_that_was_set() {
        let rails = rail();
        let (mut series, mut ticks) = (Series::with_step(100.0), Ticks::default());
        // Set between two batches, then within one.
        for (number, (time, span)) in
            [(1000, 200), (1300, 200), (500_000, 200), (500_300, 90_000), (590_400, 200)]
                .into_iter()
                .enumerate()
        {
            let mut batch = Batch::new(time, number as u32 * 3, &[1_000_000_000]).unwrap();
            [0, span / 2, span].into_iter().for_each(|since| batch.push(since, &[2]).unwrap());
            series.push(&batch, &rails, &mut ticks);
        }
        let (first, last) = series.extent().unwrap();
        let sum = series.between(first, last);
        assert_eq!((sum.covered, sum.gaps), (500.0 + 200.0 + 200.0, 2));
        assert_eq!(series.taken(), 15);
    }

    #[test]
    fn power_that_cannot_be_is_a_gap() {
        for absurd in [1e9, -1e9, f64::NAN, f64::INFINITY] {
            let series = series(&[(0.0, 1.0), (10.0, 1.0), (20.0, absurd), (30.0, 1.0), (40.0, 1.0)]);
            let sum = series.between(0.0, 40.0);
            assert_eq!((sum.watt_ticks, sum.covered, sum.gaps), (20.0, 20.0, 1), "{absurd}");
            assert_eq!(series.latest_w(), Some(1.0));
        }
    }

    #[test]
    fn time_that_goes_back_is_a_gap() {
        let sum = series(&[(0.0, 1.0), (10.0, 1.0), (5.0, 1.0), (15.0, 1.0)]).between(0.0, 15.0);
        assert_eq!((sum.covered, sum.gaps), (10.0, 1));
    }
}
