//! Frames at a fixed rate, as a camera gives them.
//!
//! Frame `k` is there at `k / rate` after the first and is never dropped: one that waited is processed at once. It is
//! missed when its label comes after the time of the next frame.

use std::time::{Duration, Instant};

/// Tells the time and waits.
pub trait Clock {
    /// Time since some fixed moment.
    fn now(&mut self) -> Duration;

    /// Returns at `time`, or at once when that has passed.
    fn sleep_until(&mut self, time: Duration);
}

/// The machine's monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock {
    origin: Instant,
}

impl Default for MonotonicClock {
    fn default() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Clock for MonotonicClock {
    fn now(&mut self) -> Duration {
        self.origin.elapsed()
    }

    fn sleep_until(&mut self, time: Duration) {
        std::thread::sleep(time.saturating_sub(self.origin.elapsed()));
    }
}

/// A rate that no camera has.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("a rate is a number of frames per second above 0, got {found}")]
pub struct RateRange {
    found: f64,
}

/// Waits for frames and counts the missed.
#[derive(Clone, Debug)]
pub struct Pacer<C> {
    clock: C,
    period: Duration,
    first: Option<Duration>,
    frames: u32,
    misses: usize,
}

impl<C: Clock> Pacer<C> {
    /// Frames at `rate_hz` per second.
    ///
    /// # Errors
    /// [`RateRange`] unless `rate_hz` is above 0 and a period can be told from it.
    pub fn new(rate_hz: f64, clock: C) -> Result<Self, RateRange> {
        let refused = RateRange { found: rate_hz };
        let period = Duration::try_from_secs_f64(rate_hz.recip()).map_err(|_| refused)?;
        if period.is_zero() {
            return Err(refused);
        }
        Ok(Self { clock, period, first: None, frames: 0, misses: 0 })
    }

    /// Waits for the next frame. Returns how long the frame has been waiting instead, zero when it was on time.
    pub fn wait(&mut self) -> Duration {
        let now = self.clock.now();
        let first = *self.first.get_or_insert(now);
        let due = self.due(first, self.frames);
        self.frames += 1;
        self.clock.sleep_until(due);
        now.saturating_sub(due)
    }

    /// Notes that the latest frame has its label. Returns whether it was missed.
    pub fn done(&mut self) -> bool {
        let now = self.clock.now();
        let is_missed = self.first.is_some_and(|first| now > self.due(first, self.frames));
        self.misses += usize::from(is_missed);
        is_missed
    }

    /// Frames missed so far.
    pub fn misses(&self) -> usize {
        self.misses
    }

    fn due(&self, first: Duration, frame: u32) -> Duration {
        first.saturating_add(self.period.saturating_mul(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct FakeClock(Duration);

    impl Clock for FakeClock {
        fn now(&mut self) -> Duration {
            self.0
        }

        fn sleep_until(&mut self, time: Duration) {
            self.0 = self.0.max(time);
        }
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn late_frames_are_processed_at_once_until_the_schedule_is_met_again() {
        let mut pacer = Pacer::new(100.0, FakeClock(7 * MS)).unwrap();
        let mut log = Vec::new();
        for work in [4, 25, 4, 4, 4, 10] {
            let waited = pacer.wait();
            pacer.clock.0 += work * MS;
            log.push((waited, pacer.done()));
        }
        let zero = Duration::ZERO;
        let expected =
            [(zero, false), (zero, true), (15 * MS, true), (9 * MS, true), (3 * MS, false), (zero, false)];
        assert_eq!(log, expected);
        assert_eq!(pacer.misses(), 3);
    }

    #[test]
    fn work_that_never_keeps_up_misses_every_frame() {
        let mut pacer = Pacer::new(100.0, FakeClock::default()).unwrap();
        for _ in 0..50 {
            pacer.wait();
            pacer.clock.0 += 11 * MS;
            assert!(pacer.done());
        }
        assert_eq!(pacer.misses(), 50);
    }

    #[test]
    fn a_rate_is_above_zero() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e300] {
            assert!(Pacer::new(rate, FakeClock::default()).is_err(), "{rate}");
        }
        let error = Pacer::new(0.0, FakeClock::default()).err().unwrap();
        insta::assert_snapshot!(error, @"a rate is a number of frames per second above 0, got 0");
    }
}
