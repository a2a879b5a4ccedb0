//! The placement that measures: at every cut, whichever way is expected to be sooner done.
//!
//! Staying costs the segments that follow, as often as images are expected to reach them, and at every later cut the better way
//! again ([`plan`]); how often they do is learned from the exits they stop at ([`going_on`]). Sending costs a round trip, the bytes
//! and the peer's work, three numbers fitted together to the answers that came ([`cost`]) and begun anew when times change
//! ([`change`]). All of it is a mean: nothing here looks at the image. Sending the picture is the first cut's choice; never sending
//! is what is left where no cut pays.
//!
//! What is not tried is not learned. While images stay, a copy is sent now and then that nobody waits for; while they leave, one
//! goes another way now and then that may turn out better ([`curiosity`]).

mod change;
mod cost;
mod curiosity;
mod going_on;
mod plan;

use std::time::{Duration, Instant};

use offramp_runtime::remote::{Answered, By, Cut, Placement};

use super::{Candidate, End, Observed, Place};
use cost::{Cost, Question};
pub use curiosity::Curiosity;
use curiosity::Explorer;
use going_on::GoingOn;
use plan::{Plan, look_ahead};

/// What bounds the placement that measures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// How long after an image's latency began to count its answer must be there: whoever would come later is not sent.
    pub deadline: Duration,
    /// Which share of the expected time the other way must save before it is taken instead of the present one, in [0, 1).
    pub margin: f64,
    /// What may be spent on finding out.
    pub curiosity: Curiosity,
}

impl Config {
    /// With 3 % margin.
    pub fn new(deadline: Duration) -> Self {
        Self { deadline, margin: 0.03, curiosity: Curiosity::default() }
    }
}

/// How many standard deviations better than expected a way is hoped to be.
const HOPE: f64 = 1.0;
/// Weight of a request against the share that fail.
const FAILURE_GAIN: f64 = 1.0 / 8.0;

/// Decides by what is expected to be sooner done.
#[derive(Debug)]
pub struct Auto {
    config: Config,
    cost: Cost,
    going_on: GoingOn,
    failures: Failures,
    explorer: Explorer,
    plan: Plan,
    /// By cut, which way was last better.
    sends: Vec<bool>,
    /// Seconds of each segment from the cut on, for the images of the cut.
    ahead: Vec<f64>,
    /// By segment, seconds for one image, as last expected.
    local: Vec<f64>,
    /// By cut, bytes that cross it for one image.
    bytes: Vec<f64>,
    /// What was observed before the first image came, the known questions of handshakes: what they ask is known with it.
    early: Vec<Observed>,
}

/// Requests that fail, and what they cost.
#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    share: f64,
    seconds: f64,
}

impl Auto {
    /// Knows nothing yet: without answers to known questions the first images stay, and are probed.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            cost: Cost::new(),
            going_on: GoingOn::default(),
            failures: Failures::default(),
            explorer: Explorer::new(config.curiosity, config.deadline),
            plan: Plan::default(),
            sends: Vec::new(),
            ahead: Vec::new(),
            local: Vec::new(),
            bytes: Vec::new(),
            early: Vec::new(),
        }
    }

    /// Keeps what only the executor and the client know, for when answers come.
    fn note(&mut self, cut: &Cut<'_>, candidates: &[Candidate]) {
        self.ahead.clear();
        self.ahead.extend(cut.ahead.iter().map(Duration::as_secs_f64));
        self.local.resize(self.local.len().max(cut.segment + self.ahead.len()), 0.0);
        for (local, ahead) in self.local[cut.segment..].iter_mut().zip(&self.ahead) {
            *local = ahead / cut.images.max(1) as f64;
        }
        for candidate in candidates {
            self.bytes.resize(self.bytes.len().max(candidate.cut + 1), 0.0);
            self.bytes[candidate.cut] = candidate.bytes as f64;
        }
        for observed in std::mem::take(&mut self.early) {
            self.learn(&observed);
        }
    }

    /// Learns what a request took.
    fn learn(&mut self, observed: &Observed) {
        let &Observed { cut, images, end, .. } = observed;
        let question = self.question(cut, images);
        let failed = matches!(end, End::Failed { .. });
        self.failures.share += (f64::from(u8::from(failed)) - self.failures.share) * FAILURE_GAIN;
        match end {
            End::Answer { took, server, .. } => {
                self.cost.learn(question, took.as_secs_f64(), server.map(|server| server.as_secs_f64()));
            }
            End::Unanswered { after } => self.cost.learn_at_least(question, after.as_secs_f64()),
            End::Failed { after } => {
                let seconds = &mut self.failures.seconds;
                *seconds += (after.as_secs_f64() - *seconds) * FAILURE_GAIN;
            }
        }
    }

    /// Plans from the cut on.
    fn look(&mut self, cut: &Cut<'_>, candidates: &[Candidate], now: Instant) {
        let left = (cut.since + self.config.deadline).saturating_duration_since(now).as_secs_f64();
        let Self { cost, ahead, failures, going_on, plan, .. } = self;
        // Seconds of sending there, so many deviations better than expected.
        let send = |at: usize, stay: f64, deviations: f64| {
            let candidate = candidates.iter().find(|candidate| candidate.cut == at && candidate.usable)?;
            let (before, behind) = ahead.split_at_checked(at.checked_sub(cut.segment)?)?;
            let bytes = candidate.bytes as f64 * cut.images as f64;
            let expected = cost.expect(Question { bytes, local: behind.iter().sum() });
            let seconds = (expected.seconds - deviations * expected.deviation).max(0.0);
            let in_time = before.iter().sum::<f64>() + seconds <= left;
            let failing = failures.share * (failures.seconds + stay);
            in_time.then_some((1.0 - failures.share) * seconds + failing)
        };
        let sober = |at, stay| send(at, stay, 0.0).unwrap_or(f64::INFINITY);
        let hope = |at, stay| send(at, stay, HOPE).unwrap_or(f64::INFINITY);
        let shares = going_on.shares();
        look_ahead(cut.segment, ahead, shares, sober, &mut plan.sober);
        look_ahead(cut.segment, ahead, shares, hope, &mut plan.hope);
        look_ahead(cut.segment, ahead, shares, |_, _| f64::INFINITY, &mut plan.alone);
    }

    /// What is asked when so many images are sent at a cut. What a message has besides their bytes counts with the round trip.
    fn question(&self, cut: usize, images: usize) -> Question {
        let images = images as f64;
        let local: f64 = self.local.get(cut..).unwrap_or_default().iter().sum();
        Question { bytes: self.bytes.get(cut).copied().unwrap_or_default() * images, local: local * images }
    }
}

impl Place for Auto {
    fn place(&mut self, cut: &Cut<'_>, candidates: &[Candidate], now: Instant) -> Placement {
        self.note(cut, candidates);
        self.look(cut, candidates, now);
        let Some(here) = self.plan.sober.first().copied() else { return Placement::Local };
        self.explorer.come(cut.since, here);
        self.sends.resize(self.sends.len().max(cut.segment + 1), false);
        let sends = &mut self.sends[cut.segment];
        let factor = if *sends { 1.0 + self.config.margin } else { 1.0 - self.config.margin };
        *sends = here.send < here.stay * factor;
        // What is in a probe's way says little about itself, and is late.
        let goes = !self.explorer.is_probe_away(now) && *sends != self.explorer.explores(*sends, &self.plan);
        if goes { Placement::Offload } else { Placement::Local }
    }

    fn probe(&mut self, cut: &Cut<'_>, candidates: &[Candidate], now: Instant) -> bool {
        let usable = candidates.iter().any(|candidate| candidate.cut == cut.segment && candidate.usable);
        usable && self.explorer.probes(cut.segment, &self.plan, self.cost.is_in_doubt(), now)
    }

    fn observe(&mut self, observed: &Observed) {
        self.explorer.ended(observed.cut, observed.sent);
        if self.bytes.is_empty() {
            self.early.push(*observed);
        } else {
            self.learn(observed);
        }
    }

    fn answered(&mut self, answered: &Answered) {
        // One that was cut short wanted to go on.
        if answered.offload.is_none_or(|offload| offload.by != By::Degraded) {
            self.going_on.note(answered.exit);
        }
        self.explorer.answered();
    }
}

#[cfg(test)]
mod tests {
    use offramp_runtime::remote::Offloaded;

    use super::*;

    #[test]
    fn an_image_whose_rest_nobody_ran_says_nothing_about_where_images_stop() {
        let mut auto = Auto::new(Config::new(Duration::from_secs(1)));
        let mut answered = |image: usize, exit: usize, by: Option<By>| {
            let offload = by.map(|by| Offloaded { cut: 1, bytes: 8, waited: Duration::ZERO, by });
            auto.answered(&Answered { image, exit, offload });
            auto.going_on.shares().first().copied()
        };
        let before = (0..100).map(|image| answered(image, 2, Some(By::Peer))).last().unwrap();
        let after = (100..300).map(|image| answered(image, 0, Some(By::Degraded))).last().unwrap();
        assert_eq!(before, after);
        assert!(answered(300, 0, None) < before, "one that stopped by itself does");
    }
}
