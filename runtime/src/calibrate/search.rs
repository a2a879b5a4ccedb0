//! The search for thresholds.
//!
//! One for all is exact. One per exit starts from that one, and climbs exit by exit: with the others held, all that the
//! threshold of one exit can do is tried. Under a constraint such climbing stops early, where loosening one exit would
//! have to be paid by tightening another; so it first climbs for accuracy at a price on cost, for a range of prices, and
//! then under the constraint from the best it met. Never worse than one for all.

use super::demand::{CalibrateError, Goal, Merit, Standing};
use super::ground::Ground;
use crate::confidence::{Confidence, Threshold};
use crate::policy::{Fallback, PolicySpec, Rule};
use crate::replay::Replay;

/// Thresholds and where they leave the images.
pub(super) struct Found {
    pub thresholds: Vec<Threshold>,
    pub standing: Standing,
}

/// The best single threshold; of equally good ones the highest.
pub(super) fn one_threshold(ground: &Ground, goal: &Goal) -> Found {
    let early = ground.early();
    let mut takes: Vec<(Confidence, usize, usize)> = (0..ground.images())
        .flat_map(|image| (0..early).map(move |exit| (ground.confidence(image, exit), image, exit)))
        .collect();
    takes.sort_unstable_by(|a, b| b.0.get().total_cmp(&a.0.get()));
    let mut stops = vec![early; ground.images()];
    let mut standing = ground.standing(|_| early);
    let mut best = Best::new();
    if takes.first().is_none_or(|(surest, ..)| !surest.reaches(Threshold::CERTAIN)) {
        best.offer(goal.merit(&standing), Threshold::CERTAIN, &standing);
    }
    for equal in takes.chunk_by(|a, b| a.0 == b.0) {
        for &(_, image, exit) in equal {
            if exit < stops[image] {
                let from = std::mem::replace(&mut stops[image], exit);
                standing.shift(from, exit, [ground.right(image, from), ground.right(image, exit)]);
            }
        }
        best.offer(goal.merit(&standing), equal[0].0.into(), &standing);
    }
    let (threshold, standing) = best.unwrap_or(Threshold::CERTAIN, standing);
    Found { thresholds: vec![threshold], standing }
}

/// Prices tried, from 0.001 to 10: the accuracy that saving all of the cost may lose.
const PRICES: usize = 32;

fn price(step: usize) -> f64 {
    1e-3 * 1e4_f64.powf(step as f64 / (PRICES - 1) as f64)
}

/// Thresholds for every early exit, starting from one for all.
pub(super) fn one_per_exit(ground: &Ground, goal: &Goal, one: Found) -> Found {
    let start = vec![one.thresholds[0]; ground.early()];
    let mut best = Found { thresholds: start.clone(), standing: one.standing };
    for step in 0..PRICES {
        let met = climb(ground, start.clone(), |standing| goal.bargain(standing, price(step)));
        if goal.merit(&met.standing) > goal.merit(&best.standing) {
            best = met;
        }
    }
    let climbed = climb(ground, best.thresholds.clone(), |standing| goal.merit(standing));
    if goal.merit(&climbed.standing) > goal.merit(&best.standing) { climbed } else { best }
}

/// Rounds over all exits before climbing is given up; each has to improve on the one before.
const ROUNDS: usize = 10;

fn climb(ground: &Ground, mut thresholds: Vec<Threshold>, merit: impl Fn(&Standing) -> Merit) -> Found {
    let early = ground.early();
    let mut standing = ground.standing(|image| ground.stop(image, 0..early, &thresholds).unwrap_or(early));
    for _ in 0..ROUNDS {
        let before = merit(&standing);
        for exit in 0..early {
            (thresholds[exit], standing) = best_at(ground, &thresholds, exit, &merit);
        }
        if merit(&standing) <= before {
            break;
        }
    }
    Found { thresholds, standing }
}

/// The best threshold of one exit while the others are held; of equally good ones the highest.
fn best_at(
    ground: &Ground,
    thresholds: &[Threshold],
    exit: usize,
    merit: impl Fn(&Standing) -> Merit,
) -> (Threshold, Standing) {
    // Where each image stops when this exit takes none.
    let early = ground.early();
    let past = |image| ground.stop(image, exit + 1..early, thresholds).unwrap_or(early);
    let stops: Vec<usize> = (0..ground.images())
        .map(|image| ground.stop(image, 0..exit, thresholds).unwrap_or_else(|| past(image)))
        .collect();
    let images = ground.surest(exit);
    let confidence = |image: &usize| ground.confidence(*image, exit);
    let (mut standing, mut best) = (ground.standing(|image| stops[image]), Best::new());
    if images.first().is_none_or(|surest| !confidence(surest).reaches(Threshold::CERTAIN)) {
        best.offer(merit(&standing), Threshold::CERTAIN, &standing);
    }
    for equal in images.chunk_by(|a, b| confidence(a) == confidence(b)) {
        for &image in equal {
            let from = stops[image];
            if from > exit {
                standing.shift(from, exit, [ground.right(image, from), ground.right(image, exit)]);
            }
        }
        best.offer(merit(&standing), confidence(&equal[0]).into(), &standing);
    }
    best.unwrap_or(thresholds[exit], standing)
}

/// The best number of exits that must agree; of equally good ones the highest.
pub(super) fn patience(
    replay: &Replay,
    labels: &[usize],
    goal: &Goal,
    fallback: Fallback,
) -> Result<(Rule, Standing), CalibrateError> {
    let mut best: Option<(Merit, Rule, Standing)> = None;
    for patience in (1..=replay.exits()).rev() {
        let rule = Rule::Patience { patience };
        let policy = PolicySpec { rule: rule.clone(), fallback }.fit(replay.exits())?;
        let mut standing = Standing { counts: vec![0; replay.exits()], right: 0 };
        for (answer, label) in replay.answers(policy.as_ref()).zip(labels) {
            standing.counts[answer.exit] += 1;
            standing.right += usize::from(answer.predicted == *label);
        }
        let merit = goal.merit(&standing);
        if best.as_ref().is_none_or(|(best, ..)| merit > *best) {
            best = Some((merit, rule, standing));
        }
    }
    best.map(|(_, rule, standing)| (rule, standing)).ok_or(CalibrateError::NoImages)
}

/// The first of the best standings offered.
struct Best {
    found: Option<(Merit, Threshold, Standing)>,
}

impl Best {
    fn new() -> Self {
        Self { found: None }
    }

    fn offer(&mut self, merit: Merit, threshold: Threshold, standing: &Standing) {
        match &mut self.found {
            Some((best, ..)) if merit <= *best => {}
            Some((best, held, counts)) => {
                (*best, *held) = (merit, threshold);
                counts.clone_from(standing);
            }
            None => self.found = Some((merit, threshold, standing.clone())),
        }
    }

    fn unwrap_or(self, threshold: Threshold, standing: Standing) -> (Threshold, Standing) {
        self.found.map_or((threshold, standing), |(_, threshold, standing)| (threshold, standing))
    }
}
