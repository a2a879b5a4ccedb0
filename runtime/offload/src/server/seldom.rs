//! What strangers can cause as often as they like, and a log must not.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long is kept silent.
const PAUSE: Duration = Duration::from_secs(60);

/// Events of which one a minute is worth a line.
#[derive(Debug, Default)]
pub(super) struct Seldom(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    last: Option<Instant>,
    since: u64,
}

impl Seldom {
    /// How many there were since the last one that was told, this one among them; `None` where this one is to be kept silent.
    pub(super) fn tell(&self) -> Option<u64> {
        self.at(Instant::now())
    }

    fn at(&self, now: Instant) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.since += 1;
        if told.last.is_some_and(|last| now.duration_since(last) < PAUSE) {
            return None;
        }
        told.last = Some(now);
        Some(std::mem::take(&mut told.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_event_a_minute_is_told_with_how_many_were_not() {
        let (seldom, begin) = (Seldom::default(), Instant::now());
        let told: Vec<_> =
            [0, 1, 59, 60, 61, 200].map(|at| seldom.at(begin + Duration::from_secs(at))).into();
        assert_eq!(told, [Some(1), None, None, Some(3), None, Some(2)]);
    }
}
