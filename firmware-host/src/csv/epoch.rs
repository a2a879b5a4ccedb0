//! Lines of one connection, placed in time.

use std::collections::VecDeque;

use super::Row;
use crate::series::Series;

/// A pause of so many usual ones is a gap.
const GAP: f64 = 3.5;
/// Pauses that the usual one is taken from, and how many of them tell a gap.
const RECENT: usize = 31;
const ENOUGH: usize = 5;
/// For how long the quickest line tells how a device's clock lies to the host's: clocks drift.
const QUICKEST_S: f64 = 30.0;

/// Samples of one connection whose time did not jump.
#[derive(Debug, Default)]
pub(super) struct Epoch {
    // In seconds of the device, or of the host where lines have no time.
    pub(super) series: Series,
    offset: Option<Offset>,
    last: Option<f64>,
    /// Lines that had the last one's time: a clock that counts whole seconds stamps many alike.
    alike: u32,
    /// When the last lines came.
    pub(super) arrived: Option<f64>,
    /// When the first one came, and its time.
    first: Option<(f64, f64)>,
    pauses: VecDeque<f64>,
}

/// Host time less device time, of the line that came quickest of late.
#[derive(Clone, Copy, Debug)]
struct Offset {
    before: f64,
    now: f64,
    since: f64,
}

impl Epoch {
    /// The usual time between two lines.
    pub(super) fn usual(&self) -> Option<f64> {
        let mut pauses: Vec<_> = self.pauses.iter().copied().collect();
        pauses.sort_by(f64::total_cmp);
        pauses.get(pauses.len() / 2).copied()
    }

    /// Whether the usual time between two lines is more than a guess.
    pub(super) fn is_regular(&self) -> bool {
        self.pauses.len() >= ENOUGH
    }

    /// Host time less device time.
    pub(super) fn offset(&self) -> Option<f64> {
        self.offset.map(|offset| offset.before.min(offset.now))
    }

    /// How many times as fast as the host's the device's clock runs, where that is more than lines that are late explain.
    pub(super) fn strays(&self) -> Option<f64> {
        let ((began, first), (now, last)) = self.first.zip(self.arrived.zip(self.last))?;
        let (host, device) = (now - began, last - first);
        ((device - host).abs() > 1.0 + host * 0.05).then(|| device / host.max(f64::MIN_POSITIVE))
    }

    /// Takes rows that came together at `host`, up to one whose time went back; gives how many it took.
    pub(super) fn take(&mut self, rows: &[Row], host: f64) -> usize {
        let since = self.arrived.replace(host).map(|before| host - before);
        let usual = self.usual().filter(|_| self.is_regular());
        let each = since.map(|since| since / rows.len().max(1) as f64);
        // Lines without a time that come together came one by one since the last ones, or, after a gap, as they usually do.
        let gap = each.zip(usual).filter(|(each, usual)| *each > usual * GAP).map(|(_, usual)| usual);
        let apart = gap.or(each);
        for (number, row) in rows.iter().enumerate() {
            let behind = (rows.len() - 1 - number) as f64;
            let (time, after_gap) = match (row.time_s, apart) {
                (Some(time), _) => {
                    let pause = self.last.map(|last| time - last);
                    (time, pause.zip(usual).is_some_and(|(pause, usual)| pause > usual * GAP))
                }
                (None, Some(apart)) => (host - apart * behind, number == 0 && gap.is_some()),
                // Of the first that ever came, only the last can be placed.
                (None, None) if behind == 0.0 => (host, false),
                (None, None) => continue,
            };
            if self.last.is_some_and(|last| time < last) {
                return number;
            }
            self.add(time, row.watts, after_gap, host);
        }
        rows.len()
    }

    fn add(&mut self, time: f64, watts: f64, after_gap: bool, host: f64) {
        let pause = self.last.map(|last| time - last);
        self.last = Some(time);
        self.first.get_or_insert((host, time));
        if pause == Some(0.0) {
            self.alike += 1;
            self.series.average(watts, self.alike);
            return;
        }
        self.alike = 0;
        self.series.add(time, watts, after_gap);
        let delay = host - time;
        let offset = self.offset.get_or_insert(Offset { before: delay, now: delay, since: host });
        if host - offset.since > QUICKEST_S {
            *offset = Offset { before: offset.now, now: delay, since: host };
        }
        offset.now = offset.now.min(delay);
        if let Some(pause) = pause {
            self.pauses.push_back(pause);
            if self.pauses.len() > RECENT {
                self.pauses.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of 2 W in reads of `together` lines every `every` seconds, with the time that `stamp` makes of the true one.
    fn fed(together: usize, every: f64, stamp: impl Fn(f64) -> Option<f64>) -> Epoch {
        let mut epoch = Epoch::default();
        let apart = every / together as f64;
        for read in 1..=(16.0 / every) as usize {
            let host = read as f64 * every;
            let true_time = |line: usize| host - apart * (together - 1 - line) as f64;
            let rows: Vec<_> =
                (0..together).map(|line| Row { time_s: stamp(true_time(line)), watts: 2.0 }).collect();
            assert_eq!(epoch.take(&rows, host), together);
        }
        epoch
    }

    #[test]
    fn lines_that_come_together_without_a_time_cover_all_of_it() {
        for together in [1, 2, 16] {
            let epoch = fed(together, 0.016, |_| None);
            let sum = epoch.series.between(1.0, 15.0);
            assert!((sum.covered - 14.0).abs() < 1e-6 && sum.gaps == 0, "{together}: {sum:?}");
            assert!((epoch.usual().unwrap() * together as f64 - 0.016).abs() < 1e-6);
        }
    }

    #[test]
    fn lines_of_one_coarse_time_are_one_sample_of_their_mean() {
        let epoch = fed(1, 0.1, |time| Some((time + 1e-9).floor()));
        let sum = epoch.series.between(2.0, 15.0);
        assert!((sum.covered - 13.0).abs() < 1e-6 && (sum.watt_ticks - 26.0).abs() < 1e-6, "{sum:?}");
        let mut epoch = Epoch::default();
        let row = |time: f64, watts: f64| Row { time_s: Some(time), watts };
        epoch.take(&[row(0.0, 1.0), row(1.0, 1.0), row(1.0, 2.0), row(1.0, 6.0), row(2.0, 3.0)], 2.0);
        // Half a second up from 1 to 3 W, one at 3 W.
        assert!((epoch.series.between(0.0, 2.0).watt_ticks - 5.0).abs() < 1e-6);
    }

    #[test]
    fn a_pause_of_lines_without_a_time_is_a_gap_however_many_come_after_it() {
        let mut epoch = fed(2, 0.02, |_| None);
        let row = Row { time_s: None, watts: 2.0 };
        epoch.take(&[row; 4], 17.0);
        let sum = epoch.series.between(15.0, 17.0);
        assert_eq!(sum.gaps, 1);
        assert!((sum.covered - 1.03).abs() < 1e-6, "{sum:?}");
    }

    #[test]
    fn a_clock_that_counts_in_another_unit_is_noticed_and_one_that_drifts_is_not() {
        let strays = |rate: f64| fed(1, 0.01, move |time| Some(time * rate)).strays();
        assert!((strays(2.0).unwrap() - 2.0).abs() < 1e-6 && strays(1e-3).is_some());
        assert_eq!((strays(1.01), strays(0.99)), (None, None));
    }

    #[test]
    fn a_slow_clock_is_followed() {
        let epoch = fed(1, 0.01, |time| Some(time * (1.0 - 1e-2)));
        // The device's 15.84 s are the host's 16.
        assert!((epoch.offset().unwrap() - 0.01 * 16.0).abs() < 0.16, "{:?}", epoch.offset());
        let mut epoch = Epoch::default();
        for second in 0..200 {
            let host = f64::from(second);
            epoch.take(&[Row { time_s: Some(host * 0.99), watts: 1.0 }], host);
        }
        assert!(epoch.offset().unwrap() > 1.99 - 0.01 * 2.0 * QUICKEST_S, "{:?}", epoch.offset());
    }
}
