//! How fast a model answers, for those who are told to come back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Shortest and longest advice.
const ADVICE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(60));

/// A moving average of the time that a request takes, batches divided by their requests.
#[derive(Debug, Default)]
pub(super) struct Pace(AtomicU64);

impl Pace {
    /// Notes a batch; called by one thread.
    pub(super) fn observe(&self, took: Duration, requests: usize) {
        let each = took.as_nanos() / requests.max(1) as u128;
        let each = u64::try_from(each).unwrap_or(u64::MAX);
        let mean = match self.0.load(Ordering::Relaxed) {
            0 => each,
            mean => mean - mean / 8 + each / 8,
        };
        self.0.store(mean, Ordering::Relaxed);
    }

    /// When a queue of `waiting` requests will have been answered.
    pub(super) fn after(&self, waiting: usize) -> Duration {
        let waiting = u64::try_from(waiting).unwrap_or(u64::MAX);
        let wait = Duration::from_nanos(self.0.load(Ordering::Relaxed).saturating_mul(waiting));
        wait.clamp(ADVICE.0, ADVICE.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_the_queues_length_in_answers_and_never_none() {
        let pace = Pace::default();
        assert_eq!(pace.after(10), Duration::from_millis(1));
        pace.observe(Duration::from_millis(40), 4);
        assert_eq!(pace.after(5), Duration::from_millis(50));
        for _ in 0..100 {
            pace.observe(Duration::from_millis(2), 1);
        }
        let settled = pace.after(100).as_millis();
        assert!((199..=202).contains(&settled), "{settled} ms");
        pace.observe(Duration::MAX, 1);
        assert_eq!(pace.after(usize::MAX), Duration::from_secs(60));
    }
}
