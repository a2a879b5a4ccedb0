//! What is spent on finding out.

use std::time::{Duration, Instant};

use super::plan::{Outlook, Plan};

/// What bounds finding out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Curiosity {
    /// While images stay, one in so many is also sent.
    pub probe_every: usize,
    /// Nor is one sent sooner than so long after the last; up to eight times as long where sending takes that many times as long as
    /// staying: what is far from paying is asked about seldom, by a fleet too.
    pub probe_pause: Duration,
    /// Which share of the expected time may be spent on ways that are not expected to be the best.
    pub share: f64,
}

impl Default for Curiosity {
    fn default() -> Self {
        Self { probe_every: 8, probe_pause: Duration::from_millis(50), share: 0.02 }
    }
}

/// From here on distance makes no difference: a link that gets better must be seen.
const FARTHEST: f64 = 8.0;

/// No more is saved up than this many images bring.
const SAVED: f64 = 64.0;

/// Decides when another way than the best is taken, and when a copy is sent.
#[derive(Clone, Debug)]
pub(super) struct Explorer {
    bounds: Curiosity,
    /// When a probe is given up.
    patience: Duration,
    /// What the images on their way are.
    image: Image,
    /// Images since one was probed.
    unprobed: usize,
    /// Images since one went another way.
    unexplored: usize,
    /// Seconds saved up.
    purse: f64,
    /// When the latest probe was sent.
    probed: Option<Instant>,
    /// Where and when, while its end is not known.
    probe: Option<(usize, Instant)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Image {
    since: Option<Instant>,
    explores: bool,
    probed: bool,
}

impl Explorer {
    pub(super) fn new(bounds: Curiosity, patience: Duration) -> Self {
        Self {
            bounds,
            patience,
            image: Image::default(),
            unprobed: 0,
            unexplored: 0,
            purse: 0.0,
            probed: None,
            probe: None,
        }
    }

    /// Images whose latency began to count then have come to a cut with this outlook.
    pub(super) fn come(&mut self, since: Instant, here: Outlook) {
        if self.image.since != Some(since) {
            self.image = Image { since: Some(since), ..Image::default() };
            let share = self.bounds.share * here.best();
            self.purse = (self.purse + share).min(SAVED * share);
        }
    }

    /// Whether images take the other way than the one that is expected to be better, where `sends` tells that one: it may turn
    /// out better, and the difference can be afforded. Where all images stay, probes find out for less.
    pub(super) fn explores(&mut self, sends: bool, plan: &Plan) -> bool {
        let (Some(here), Some(hope)) = (plan.sober.first(), plan.hope.first()) else { return false };
        let (best, other, hoped) =
            if sends { (here.send, here.stay, hope.stay) } else { (here.stay, here.send, hope.send) };
        let extra = (other - best).max(0.0);
        let due = self.image.explores || (plan.sends_at_all() && self.unexplored >= self.bounds.probe_every);
        let explores = due && hoped < best && extra <= self.purse;
        if explores {
            self.image.explores = true;
            self.unexplored = 0;
            self.purse -= extra;
        }
        explores
    }

    /// Whether a copy of images that stay is sent. While it is on its way, images stay where they would be sent, which must be
    /// affordable. `in_doubt` where the next answer would tell much.
    pub(super) fn probes(&mut self, cut: usize, plan: &Plan, in_doubt: bool, now: Instant) -> bool {
        if self.image.probed || self.image.explores || self.is_probe_away(now) {
            return false;
        }
        let Curiosity { probe_every, probe_pause, .. } = self.bounds;
        let pause = probe_pause.mul_f64(plan.distance().clamp(1.0, FARTHEST));
        let paused = self.probed.is_some_and(|at| now.saturating_duration_since(at) < pause);
        let due = !paused && (in_doubt || self.unprobed >= probe_every);
        // Where images do not get to the best cut for it, any will do.
        let here = plan.is_nearest_here() || self.unprobed >= 2 * probe_every;
        let cost = plan.worth_of_sending_later();
        if !(due && here && cost <= self.purse) {
            return false;
        }
        self.purse -= cost;
        self.image.probed = true;
        self.unprobed = 0;
        self.probed = Some(now);
        self.probe = Some((cut, now));
        true
    }

    /// Whether a probe is on its way.
    pub(super) fn is_probe_away(&self, now: Instant) -> bool {
        self.probe.is_some_and(|(_, sent)| now.saturating_duration_since(sent) < self.patience)
    }

    /// A request of that cut and time has ended.
    pub(super) fn ended(&mut self, cut: usize, sent: Instant) {
        if self.probe.is_some_and(|(probed, at)| probed == cut && sent >= at) {
            self.probe = None;
        }
    }

    /// An image has its answer.
    pub(super) fn answered(&mut self) {
        self.unprobed += 1;
        self.unexplored += 1;
    }
}
