//! When a peer is left alone, and when it is tried again.
//!
//! A state machine without clock and without input or output. Users' requests go to a peer only while it is [`State::Closed`];
//! into that state leads nothing but a proof that the peer serves what it should.

use std::fmt;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::failure::Class;

/// How patient a client is with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Failures in a row after which the peer is left alone; at least 1.
    pub strikes: u32,
    /// Until it is connected again after a failure before that; doubles with every one.
    pub reconnect: Duration,
    /// For how long it is left alone the first time; doubles until an answer comes.
    pub open: Duration,
    /// No wait is longer, but for [`BreakerSettings::recheck`].
    pub longest: Duration,
    /// Until a peer is asked again that refused for good: certificates and tokens are renewed, bundles are deployed.
    pub recheck: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            strikes: 3,
            reconnect: Duration::from_millis(50),
            open: Duration::from_millis(500),
            longest: Duration::from_secs(30),
            recheck: Duration::from_secs(60),
        }
    }
}

/// Where a peer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// It has not yet shown that it serves what it should, or must show it again.
    Unproven,
    /// It is used.
    Closed,
    /// It failed too often and is left alone.
    Open,
    /// It is being tried again.
    HalfOpen,
    /// It refused for good.
    Disabled,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unproven => "unproven",
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
            Self::Disabled => "disabled",
        })
    }
}

/// What a failure led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing that is worth telling.
    None,
    /// The peer is left alone for so long.
    Opened(Duration),
    /// The peer is not used any more.
    Disabled,
}

#[derive(Debug)]
pub(super) struct Breaker {
    settings: BreakerSettings,
    random: ChaCha8Rng,
    state: State,
    /// When something is due: a proof, or being used again after an overload.
    due: Instant,
    /// Failures in a row.
    strikes: u32,
    /// Waits in a row that ended in no answer, by kind: each kind doubles on its own.
    opened: u32,
    lost: u32,
    overloaded: u32,
    openings: u64,
}

impl Breaker {
    pub(super) fn new(settings: BreakerSettings, seed: u64, now: Instant) -> Self {
        Self {
            settings,
            random: ChaCha8Rng::seed_from_u64(seed),
            state: State::Unproven,
            due: now,
            strikes: 0,
            opened: 0,
            lost: 0,
            overloaded: 0,
            openings: 0,
        }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// How often the peer was left alone.
    pub(super) fn openings(&self) -> u64 {
        self.openings
    }

    /// Whether users' requests go to the peer.
    pub(super) fn admits(&self, now: Instant) -> bool {
        self.state == State::Closed && now >= self.due
    }

    /// When the peer must prove itself, if it must.
    pub(super) fn proof_due(&self) -> Option<Instant> {
        (self.state != State::Closed).then_some(self.due)
    }

    /// Until when a peer that is used is spared, if it is.
    pub(super) fn spared_until(&self, now: Instant) -> Option<Instant> {
        (self.state == State::Closed && self.due > now).then_some(self.due)
    }

    /// A proof begins.
    pub(super) fn probe(&mut self) {
        if self.state == State::Open {
            self.state = State::HalfOpen;
        }
    }

    /// The proof held.
    pub(super) fn proved(&mut self, now: Instant) {
        (self.state, self.due) = (State::Closed, now);
    }

    /// A user's request was answered.
    pub(super) fn succeeded(&mut self) {
        (self.strikes, self.opened, self.lost, self.overloaded) = (0, 0, 0, 0);
    }

    /// The connection ended by itself.
    pub(super) fn lost(&mut self, now: Instant) {
        if self.state == State::Closed {
            self.prove_after(self.settings.reconnect, self.lost, now);
            self.lost = self.lost.saturating_add(1);
        }
    }

    /// A request or a proof failed; `retry_after` is what the peer said.
    pub(super) fn failed(&mut self, class: Class, retry_after: Option<Duration>, now: Instant) -> Change {
        match (class, self.state) {
            // It was looked at again, and nothing is better.
            (_, State::Disabled) if now >= self.due => {
                self.due = now + self.jittered(self.settings.recheck);
                Change::None
            }
            // What was sent before says nothing new.
            (_, State::Open | State::Disabled) => Change::None,
            (Class::Permanent, _) => {
                self.state = State::Disabled;
                self.due = now + self.jittered(self.settings.recheck);
                Change::Disabled
            }
            (Class::Overload, state) => {
                let wait = self.doubled(self.settings.reconnect, self.overloaded);
                self.overloaded = self.overloaded.saturating_add(1);
                self.due = now + wait.max(retry_after.unwrap_or_default().min(self.settings.longest));
                self.state = if state == State::HalfOpen { State::Unproven } else { state };
                Change::None
            }
            (_, state) => {
                self.strikes = self.strikes.saturating_add(1);
                if self.strikes >= self.settings.strikes {
                    return self.open(now);
                }
                match (class, state) {
                    // An answer that was too late for its image says nothing about what the peer serves.
                    (Class::Deadline, State::Closed) => {}
                    (Class::Draining, _) => self.prove_after(self.settings.open, self.strikes - 1, now),
                    _ => self.prove_after(self.settings.reconnect, self.strikes - 1, now),
                }
                Change::None
            }
        }
    }

    fn open(&mut self, now: Instant) -> Change {
        let wait = self.doubled(self.settings.open, self.opened);
        self.opened = self.opened.saturating_add(1);
        self.openings += 1;
        // A peer on trial has one strike.
        self.strikes = self.settings.strikes.saturating_sub(1);
        (self.state, self.due) = (State::Open, now + wait);
        Change::Opened(wait)
    }

    fn prove_after(&mut self, first: Duration, before: u32, now: Instant) {
        let wait = self.doubled(first, before);
        (self.state, self.due) = (State::Unproven, now + wait);
    }

    fn doubled(&mut self, first: Duration, times: u32) -> Duration {
        let wait = first.saturating_mul(2_u32.saturating_pow(times)).min(self.settings.longest);
        self.jittered(wait)
    }

    /// Between half and all of `wait`, so that clients that failed together do not come back together.
    fn jittered(&mut self, wait: Duration) -> Duration {
        wait.mul_f64(self.random.random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SETTINGS: BreakerSettings = BreakerSettings {
        strikes: 3,
        reconnect: Duration::from_millis(50),
        open: Duration::from_millis(500),
        longest: Duration::from_secs(30),
        recheck: Duration::from_secs(60),
    };

    fn closed() -> (Breaker, Instant) {
        let now = Instant::now();
        let mut breaker = Breaker::new(SETTINGS, 7, now);
        assert!(!breaker.admits(now), "a peer must prove itself first");
        assert_eq!(breaker.proof_due(), Some(now));
        breaker.proved(now);
        assert!(breaker.admits(now));
        (breaker, now)
    }

    #[test]
    fn three_link_errors_in_a_row_open_it_and_an_answer_in_between_does_not_let_them() {
        let (mut breaker, now) = closed();
        for _ in 0..10 {
            assert_eq!(breaker.failed(Class::Link, None, now), Change::None);
            assert_eq!(breaker.state(), State::Unproven);
            breaker.proved(now);
            assert_eq!(breaker.failed(Class::Link, None, now), Change::None);
            breaker.proved(now);
            breaker.succeeded();
        }
        breaker.failed(Class::Link, None, now);
        breaker.failed(Class::Link, None, now);
        let Change::Opened(wait) = breaker.failed(Class::Link, None, now) else { panic!("still closed") };
        assert!(wait >= SETTINGS.open / 2 && wait <= SETTINGS.open);
        assert_eq!((breaker.state(), breaker.openings()), (State::Open, 1));
        assert_eq!(breaker.proof_due(), Some(now + wait));
    }

    #[test]
    fn a_peer_on_trial_has_one_strike_and_is_left_alone_for_longer() {
        let (mut breaker, now) = closed();
        for _ in 0..3 {
            breaker.failed(Class::Deadline, None, now);
        }
        let mut longest = Duration::ZERO;
        for _ in 0..12 {
            assert_eq!(breaker.state(), State::Open);
            breaker.probe();
            assert_eq!(breaker.state(), State::HalfOpen);
            breaker.proved(now);
            assert!(breaker.admits(now));
            let Change::Opened(wait) = breaker.failed(Class::Deadline, None, now) else { panic!("closed") };
            longest = longest.max(wait);
        }
        assert!(longest > SETTINGS.longest / 2 && longest <= SETTINGS.longest, "{longest:?}");
    }

    #[test]
    fn a_late_answer_leaves_a_proven_peer_proven_until_there_are_three() {
        let (mut breaker, now) = closed();
        breaker.failed(Class::Deadline, None, now);
        breaker.failed(Class::Deadline, None, now);
        assert!(breaker.admits(now));
        assert!(matches!(breaker.failed(Class::Deadline, None, now), Change::Opened(_)));
    }

    #[test]
    fn an_overloaded_peer_is_spared_for_as_long_as_it_says_and_is_not_left() {
        let (mut breaker, now) = closed();
        let hint = Duration::from_millis(200);
        for _ in 0..5 {
            assert_eq!(breaker.failed(Class::Overload, Some(hint), now), Change::None);
            assert_eq!(breaker.state(), State::Closed);
            assert!(!breaker.admits(now + hint / 2));
            assert!(breaker.spared_until(now).unwrap() >= now + hint);
            assert!(breaker.admits(now + 40 * hint));
        }
        breaker.failed(Class::Overload, Some(Duration::from_secs(1 << 40)), now);
        assert!(breaker.admits(now + SETTINGS.longest), "no hint keeps a client away for ever");
    }

    #[test]
    fn a_refusal_for_good_disables_once_and_is_checked_again_much_later() {
        let (mut breaker, now) = closed();
        assert_eq!(breaker.failed(Class::Permanent, None, now), Change::Disabled);
        assert_eq!(breaker.failed(Class::Permanent, None, now), Change::None);
        assert_eq!(breaker.state(), State::Disabled);
        assert!(breaker.proof_due().unwrap() >= now + SETTINGS.recheck / 2);
        // Still refused, for whatever reason: not at once again.
        for class in Class::ALL {
            let looked = breaker.proof_due().unwrap();
            assert_eq!(breaker.failed(class, None, looked), Change::None);
            assert!(breaker.proof_due().unwrap() >= looked + SETTINGS.recheck / 2, "{class:?}");
        }
    }

    #[test]
    fn a_connection_that_ends_by_itself_is_no_strike_but_is_not_reopened_in_a_hurry_for_ever() {
        let (mut breaker, now) = closed();
        let mut last = now;
        for _ in 0..12 {
            breaker.lost(now);
            assert_eq!(breaker.state(), State::Unproven);
            last = breaker.proof_due().unwrap();
            breaker.proved(now);
        }
        assert_eq!(breaker.openings(), 0);
        assert!(last >= now + SETTINGS.longest / 2);
    }

    #[test]
    fn equal_seeds_wait_equally_and_others_do_not() {
        let wait = |seed| {
            let now = Instant::now();
            let mut breaker = Breaker::new(SETTINGS, seed, now);
            breaker.failed(Class::Link, None, now);
            breaker.proof_due().unwrap() - now
        };
        assert_eq!(wait(1), wait(1));
        assert_ne!(wait(1), wait(2));
    }

    fn classes() -> impl Strategy<Value = Class> {
        prop::sample::select(Class::ALL.to_vec())
    }

    proptest! {
        #[test]
        fn whatever_happens_only_a_proof_admits_requests(
            events in prop::collection::vec((0..5_u8, classes(), 0..100_000_u64), 0..60),
        ) {
            let mut now = Instant::now();
            let mut breaker = Breaker::new(SETTINGS, 3, now);
            let mut proven = false;
            for (event, class, later) in events {
                now += Duration::from_millis(later);
                match event {
                    0 => breaker.probe(),
                    1 => { breaker.proved(now); proven = true }
                    2 => breaker.succeeded(),
                    3 => { breaker.lost(now); proven = false }
                    _ => { breaker.failed(class, None, now); }
                }
                prop_assert!(!breaker.admits(now) || proven);
                // No wait is without end.
                let due = breaker.proof_due().or(breaker.spared_until(now)).unwrap_or(now);
                prop_assert!(due <= now + SETTINGS.recheck);
            }
        }
    }
}
