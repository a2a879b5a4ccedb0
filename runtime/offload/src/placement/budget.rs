//! How much one client may send, whatever its images are.

use std::time::Instant;

use offramp_runtime::remote::{Answered, Cut, Placement};

use super::{Candidate, Observed, Place};

/// A rate and how much of it may come at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Per second, above 0.
    pub per_second: f64,
    /// At once after a pause, above 0.
    pub burst: f64,
}

impl Rate {
    /// So many per second, one second's worth at once.
    pub fn new(per_second: f64) -> Self {
        Self { per_second, burst: per_second }
    }
}

/// What one client may send. An input that makes every image go on, made so by an adversary or not, then cannot push a fleet
/// onto its server.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Budget {
    /// Requests.
    pub requests: Option<Rate>,
    /// Bytes of the values sent.
    pub bytes: Option<Rate>,
}

/// A placement within a [`Budget`]: when that is spent, images stay.
#[derive(Debug)]
pub struct Budgeted<P> {
    place: P,
    requests: Option<Bucket>,
    bytes: Option<Bucket>,
}

impl<P> Budgeted<P> {
    /// Keeps `place` within `budget`.
    pub fn new(place: P, budget: Budget) -> Self {
        Self { place, requests: budget.requests.map(Bucket::new), bytes: budget.bytes.map(Bucket::new) }
    }

    /// The buckets, and what these images take from each.
    fn costs(&mut self, cut: &Cut<'_>, candidates: &[Candidate]) -> [Option<(&mut Bucket, f64)>; 2] {
        let bytes = candidates.iter().find(|candidate| candidate.cut == cut.segment);
        let bytes = bytes.map_or(0.0, |candidate| candidate.bytes as f64 * cut.images as f64);
        let Self { requests, bytes: volume, .. } = self;
        [requests.as_mut().map(|bucket| (bucket, 1.0)), volume.as_mut().map(|bucket| (bucket, bytes))]
    }

    fn is_open(&mut self, cut: &Cut<'_>, candidates: &[Candidate], now: Instant) -> bool {
        self.costs(cut, candidates).into_iter().flatten().all(|(bucket, _)| bucket.is_open(now))
    }

    fn spend(&mut self, cut: &Cut<'_>, candidates: &[Candidate]) {
        self.costs(cut, candidates).into_iter().flatten().for_each(|(bucket, cost)| bucket.level -= cost);
    }
}

impl<P: Place> Place for Budgeted<P> {
    fn place(&mut self, cut: &Cut<'_>, candidates: &[Candidate], now: Instant) -> Placement {
        let placement = self.place.place(cut, candidates, now);
        if placement == Placement::Local || !self.is_open(cut, candidates, now) {
            return Placement::Local;
        }
        // What nobody can be asked is not sent, and costs nothing.
        if !candidates.iter().any(|candidate| candidate.cut == cut.segment && candidate.usable) {
            return placement;
        }
        self.spend(cut, candidates);
        placement
    }

    fn probe(&mut self, cut: &Cut<'_>, candidates: &[Candidate], now: Instant) -> bool {
        let probes = self.is_open(cut, candidates, now) && self.place.probe(cut, candidates, now);
        if probes {
            self.spend(cut, candidates);
        }
        probes
    }

    fn observe(&mut self, observed: &Observed) {
        self.place.observe(observed);
    }

    fn answered(&mut self, answered: &Answered) {
        self.place.answered(answered);
    }
}

/// A token bucket that may be overdrawn once: what is larger than a burst passes too, and is paid for afterwards.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    rate: Rate,
    level: f64,
    filled: Option<Instant>,
}

impl Bucket {
    fn new(rate: Rate) -> Self {
        Self { rate, level: rate.burst, filled: None }
    }

    fn is_open(&mut self, now: Instant) -> bool {
        let since = self.filled.map_or(0.0, |filled| now.saturating_duration_since(filled).as_secs_f64());
        self.level = (self.level + since * self.rate.per_second).min(self.rate.burst);
        self.filled = Some(now);
        self.level > 0.0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::Fixed;
    use super::*;

    /// Images sent of those that come at these times, each of so many bytes.
    fn sent(budget: Budget, times: &[Duration], bytes: usize) -> usize {
        let start = Instant::now();
        let mut place = Budgeted::new(Fixed { cut: 0 }, budget);
        let candidates = [Candidate { cut: 0, bytes, usable: true }];
        let sent = times.iter().filter(|time| {
            let now = start + **time;
            let cut = Cut { segment: 0, images: 1, ahead: &[], since: now };
            place.place(&cut, &candidates, now) == Placement::Offload
        });
        sent.count()
    }

    fn every(millis: u64, seconds: u64) -> Vec<Duration> {
        (0..seconds * 1000 / millis).map(|image| Duration::from_millis(image * millis)).collect()
    }

    #[test]
    fn without_a_budget_everything_may_be_sent() {
        assert_eq!(sent(Budget::default(), &every(10, 1), 3072), 100);
    }

    #[test]
    fn images_that_nobody_can_be_asked_about_cost_nothing() {
        let now = Instant::now();
        let budget = Budget { requests: None, bytes: Some(Rate::new(1000.0)) };
        let mut place = Budgeted::new(Fixed { cut: 0 }, budget);
        let cut = Cut { segment: 0, images: 1, ahead: &[], since: now };
        let candidate = |usable| [Candidate { cut: 0, bytes: 100_000, usable }];
        // Asked for all the same: who has no peer counts what could not be sent.
        (0..5).for_each(|_| assert_eq!(place.place(&cut, &candidate(false), now), Placement::Offload));
        assert_eq!(place.place(&cut, &candidate(true), now), Placement::Offload);
        assert_eq!(place.place(&cut, &candidate(true), now), Placement::Local, "now it is spent");
    }

    #[test]
    fn a_client_sends_no_more_requests_than_its_budget() {
        let budget = Budget { requests: Some(Rate { per_second: 5.0, burst: 2.0 }), bytes: None };
        // Two at once, five in each of ten seconds, and the one that is begun.
        let found = sent(budget, &every(10, 10), 3072);
        assert!((51..=53).contains(&found), "{found}");
    }

    #[test]
    fn a_client_sends_no_more_bytes_than_its_budget_even_if_one_message_is_more() {
        let budget = Budget { requests: None, bytes: Some(Rate::new(10_000.0)) };
        let found = sent(budget, &every(10, 30), 50_000);
        // One at once, the next after four seconds, then one in five.
        assert_eq!(found, 7);
    }

    proptest! {
        #[test]
        fn over_any_time_no_more_is_sent_than_rate_and_burst_and_one_message(
            pauses in prop::collection::vec(0..300_u64, 1..200),
            per_second in 1.0..50.0_f64,
            burst in 1.0..20.0_f64,
        ) {
            let mut time = Duration::ZERO;
            let times: Vec<Duration> = pauses.iter().map(|pause| {
                time += Duration::from_millis(*pause);
                time
            }).collect();
            let budget = Budget { requests: Some(Rate { per_second, burst }), bytes: None };
            let most = burst + per_second * time.as_secs_f64() + 1.0;
            prop_assert!(sent(budget, &times, 1) as f64 <= most + 1e-6);
        }
    }
}
