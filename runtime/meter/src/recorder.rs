//! Rows of samples in, a reading out. Knows no clock and no thread: time comes with the samples.

mod rail;

use std::time::Duration;

use crate::probe::{Lost, Sample};
use crate::{Description, Flag, Joules, NotMeasured, Reading, TotalRule};

use crate::flag::LOST_SHARE;
use rail::RailRecord;

/// Samples that may be missing in a row before the time between is unknown rather than interpolated.
const BRIDGED: u32 = 25;

/// Integrates the rails of one source over one window at a time.
///
/// Sums are whole numbers: neither the order of samples nor the length of a window costs precision, and power that does
/// not change gives exactly power times time.
#[derive(Clone, Debug)]
pub struct Recorder {
    rails: Vec<RailRecord>,
    total: Result<TotalRule, NotMeasured>,
    time_constant: Option<Duration>,
    filter_unknown: bool,
    needed: Duration,
    opened: Option<u64>,
    closed: Option<u64>,
    samples: u64,
    missed: u64,
}

impl Recorder {
    /// A recorder for a source that is sampled at `period`.
    pub fn new(description: &Description, period: Duration) -> Self {
        let bridge = nanos(period.saturating_mul(BRIDGED));
        let total = description.total.clone();
        let counted = |name: &String| total.as_ref().is_ok_and(|total| total.rails.contains(name));
        let records = description.rails.iter().map(|rail| RailRecord::new(rail, counted(&rail.name), bridge));
        Self {
            rails: records.collect(),
            time_constant: description.time_constant(),
            filter_unknown: description.averages_unknown(),
            needed: description.needed_window(),
            total,
            opened: None,
            closed: None,
            samples: 0,
            missed: 0,
        }
    }

    /// Opens a window at `at`. Samples before it stay known, so that its first moment lies between two.
    pub fn open(&mut self, at: Duration) {
        let at = nanos(at);
        (self.opened, self.closed, self.samples, self.missed) = (Some(at), None, 0, 0);
        for rail in &mut self.rails {
            rail.open();
        }
    }

    /// Closes the window at `at`. The next row still counts, up to that moment.
    pub fn close(&mut self, at: Duration) {
        self.closed = self.opened.map(|opened| nanos(at).max(opened));
    }

    /// Forgets every sample, so that nothing is interpolated from before.
    pub fn forget(&mut self) {
        (self.opened, self.closed) = (None, None);
        for rail in &mut self.rails {
            rail.forget();
        }
    }

    /// Takes the values that all rails had at `at`. Time must not run backwards; a row that does is ignored.
    pub fn row(&mut self, at: Duration, row: &[Result<Sample, Lost>]) {
        let at = nanos(at);
        let window = self.opened.map(|opened| (opened, self.closed.unwrap_or(u64::MAX)));
        let within = window.is_some_and(|(opened, closed)| (opened..=closed).contains(&at));
        self.samples += u64::from(within);
        for (rail, entry) in self.rails.iter_mut().zip(row) {
            rail.take(at, *entry, window);
        }
    }

    /// Counts samples that were due in the window and not taken. Those before its end are known when the row behind it is there.
    pub fn missed(&mut self, samples: u64) {
        if self.opened.is_some() {
            self.missed += samples;
        }
    }

    /// What the window gave; `None` before it is closed. Needs a row at or after its end, else the last values are held.
    pub fn reading(&self) -> Option<Reading> {
        let (opened, closed) = (self.opened?, self.closed?);
        let window = Duration::from_nanos(closed - opened);
        let rails: Vec<_> = self.rails.iter().map(|rail| rail.reading(opened, closed, self.missed)).collect();
        let counted = || self.rails.iter().filter(|rail| rail.counted);
        let energy = match &self.total {
            Err(reason) => Err(reason.clone()),
            Ok(_) => {
                let areas = counted().map(|rail| rail.area(opened, closed));
                areas.sum::<Result<i128, NotMeasured>>().map(rail::joules)
            }
        };
        let resolutions = rails.iter().filter(|rail| rail.counted).map(|rail| rail.resolution);
        let resolution: Option<f64> = resolutions.map(|step| step.map(|step| step.0)).sum();
        Some(Reading {
            energy,
            domain: self.total.as_ref().ok().map(|total| total.domain.clone()),
            window,
            resolution: resolution.filter(|_| self.total.is_ok()).map(Joules),
            time_constant: self.time_constant,
            samples: self.samples,
            lost: self.missed + self.rails.iter().map(RailRecord::lost).sum::<u64>(),
            cost: None,
            flags: self.flags(window),
            rails,
        })
    }

    fn flags(&self, window: Duration) -> Vec<Flag> {
        let mut flags = Vec::new();
        if window < self.needed {
            let (window_s, needed_s) = (window.as_secs_f64(), self.needed.as_secs_f64());
            flags.push(Flag::ShortWindow { window_s, needed_s });
        }
        if self.filter_unknown {
            flags.push(Flag::UnknownTimeConstant);
        }
        let due = self.samples + self.missed;
        if self.missed as f64 > LOST_SHARE * due as f64 {
            flags.push(Flag::Late { missed: self.missed, due });
        }
        for rail in &self.rails {
            rail.flags(LOST_SHARE, &mut flags);
        }
        flags
    }
}

/// Nanoseconds since the clock's start: 584 years of them.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
