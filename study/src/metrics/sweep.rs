//! Many policies over one recording, each with the figures that [`Replay::evaluate`] gives it, in one walk per family.
//!
//! The exit of an image is a step function of one global threshold: an exit takes exactly the thresholds up to its
//! confidence that no earlier exit took. So every image is walked once over sorted thresholds, whatever their number.

use std::fmt;

use offramp_runtime::confidence::{Measure, Prediction, Threshold};
use offramp_runtime::policy::{Fallback, PolicySpec, Rule};
use offramp_runtime::replay::{Evaluation, Replay, macs_fraction, mean_exit};

/// Policies that differ in one number.
#[derive(Clone, Debug, PartialEq)]
pub enum Family {
    /// One threshold for all exits.
    Confidence {
        /// How confidence is read.
        measure: Measure,
        /// The thresholds, in any order.
        thresholds: Vec<Threshold>,
    },
    /// Every patience from 1 to the number of exits.
    Patience,
}

/// A policy and its figures.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The policy.
    pub policy: PolicySpec,
    /// What a run under it would give.
    pub evaluation: Evaluation,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Confidence { measure, .. } => measure.name(),
            Self::Patience => "patience",
        })
    }
}

impl Family {
    /// Every measure with `count` thresholds, and patience.
    pub fn all(count: usize) -> Vec<Self> {
        let measures = [Measure::MaxSoftmax, Measure::Entropy, Measure::Margin];
        let family = |measure| Self::Confidence { measure, thresholds: thresholds(count) };
        measures.map(family).into_iter().chain([Self::Patience]).collect()
    }
}

/// Thresholds from 0.01 to 0.9999, rising, evenly spaced in their logits and written with five decimals: networks are
/// seldom in doubt, and what matters lies near 1.
pub fn thresholds(count: usize) -> Vec<Threshold> {
    let logit = |p: f64| (p / (1.0 - p)).ln();
    let (low, high) = (logit(0.01), logit(0.9999));
    let at = |step: usize| {
        let x = low + (high - low) * step as f64 / count.saturating_sub(1).max(1) as f64;
        let rounded = (1e5 / (1.0 + (-x).exp())).round() / 1e5;
        Threshold::new(rounded as f32).ok()
    };
    (0..count).filter_map(at).collect()
}

/// The figures of every policy of `families` under `fallback`; `macs` are cumulative, one entry per exit. In the order
/// of the families, their thresholds as given.
pub fn sweep(replay: &Replay, macs: &[u64], families: &[Family], fallback: Fallback) -> Vec<Candidate> {
    let ground = Ground::new(replay, macs, fallback);
    let mut candidates = Vec::new();
    for family in families {
        let (rules, evaluations): (Vec<Rule>, _) = match family {
            Family::Confidence { measure, thresholds } => {
                let score = |seen: &[Prediction]| seen.last().map(|last| last.confidence(*measure).get());
                let levels: Vec<f32> = thresholds.iter().map(|threshold| threshold.get()).collect();
                let rule = |threshold: &Threshold| Rule::Confidence {
                    measure: *measure,
                    thresholds: vec![*threshold],
                };
                (thresholds.iter().map(rule).collect(), ground.walk(score, &levels))
            }
            Family::Patience => {
                let levels: Vec<usize> = (1..=ground.exits).collect();
                let rules = levels.iter().map(|patience| Rule::Patience { patience: *patience }).collect();
                (rules, ground.walk(agreeing, &levels))
            }
        };
        let policies = rules.into_iter().map(|rule| PolicySpec { rule, fallback });
        let found = policies.zip(evaluations).map(|(policy, evaluation)| Candidate { policy, evaluation });
        candidates.extend(found);
    }
    candidates
}

/// How many of the latest exits predict the label of the last.
fn agreeing(seen: &[Prediction]) -> Option<usize> {
    let last = seen.last()?.label();
    Some(seen.iter().rev().take_while(|exit| exit.label() == last).count())
}

/// A recording and what every walk over it needs.
struct Ground<'a> {
    replay: &'a Replay,
    macs: &'a [u64],
    exits: usize,
    labelled: usize,
    /// By image: whether the answer is right when no exit is taken.
    fallback_right: Vec<bool>,
}

impl<'a> Ground<'a> {
    fn new(replay: &'a Replay, macs: &'a [u64], fallback: Fallback) -> Self {
        let exits = replay.exits();
        // No early exit meets a patience of all exits: what it answers is the fallback.
        let never = PolicySpec { rule: Rule::Patience { patience: exits }, fallback }.fit(exits);
        let answers = never.iter().flat_map(|never| replay.answers(never.as_ref()));
        let right = answers.zip(replay.labels()).map(|(answer, label)| *label == Some(answer.predicted));
        let fallback_right = right.collect();
        Self { replay, macs, exits, labelled: replay.labels().iter().flatten().count(), fallback_right }
    }

    /// The figures at every level, in the order given: an exit is taken when the score of the predictions up to it is
    /// at least the level.
    fn walk<L: PartialOrd + Copy>(
        &self,
        score: impl Fn(&[Prediction]) -> Option<L>,
        levels: &[L],
    ) -> Vec<Evaluation> {
        let mut order: Vec<usize> = (0..levels.len()).collect();
        order.sort_by(|a, b| levels[*a].partial_cmp(&levels[*b]).unwrap_or(std::cmp::Ordering::Equal));
        let sorted: Vec<L> = order.iter().map(|at| levels[*at]).collect();
        let mut steps = Steps::new(self.exits, sorted.len());
        let images = self.replay.images().zip(self.replay.labels()).zip(&self.fallback_right);
        for ((predictions, label), fallback_right) in images {
            let mut taken = 0;
            for exit in 0..self.exits - 1 {
                let Some(score) = score(&predictions[..=exit]) else { continue };
                let reach = taken + sorted[taken..].partition_point(|level| score >= *level);
                if reach > taken {
                    steps.add(exit, *label == Some(predictions[exit].label()), taken, reach);
                    taken = reach;
                }
                if taken == sorted.len() {
                    break;
                }
            }
            if taken < sorted.len() {
                steps.add(self.exits - 1, *fallback_right, taken, sorted.len());
            }
        }
        let mut figures: Vec<_> = order.into_iter().zip(steps.finish(self)).collect();
        figures.sort_by_key(|(at, _)| *at);
        figures.into_iter().map(|(_, figures)| figures).collect()
    }
}

/// Differences of counts from one level to the next.
struct Steps {
    exits: usize,
    /// Shape `[levels + 1, exits]`.
    counts: Vec<isize>,
    /// Shape `[levels + 1]`.
    right: Vec<isize>,
}

impl Steps {
    fn new(exits: usize, levels: usize) -> Self {
        Self { exits, counts: vec![0; (levels + 1) * exits], right: vec![0; levels + 1] }
    }

    /// One image leaves at `exit` at the levels from `from` to before `to`.
    fn add(&mut self, exit: usize, right: bool, from: usize, to: usize) {
        self.counts[from * self.exits + exit] += 1;
        self.counts[to * self.exits + exit] -= 1;
        self.right[from] += isize::from(right);
        self.right[to] -= isize::from(right);
    }

    /// Sums over the levels; the last row lies beyond them.
    fn finish(self, ground: &Ground<'_>) -> Vec<Evaluation> {
        let levels = self.right.len() - 1;
        let (mut counts, mut right) = (vec![0_isize; self.exits], 0);
        let mut evaluations = Vec::with_capacity(levels);
        for (steps, step) in self.counts.chunks_exact(self.exits).zip(&self.right).take(levels) {
            counts.iter_mut().zip(steps).for_each(|(count, step)| *count += step);
            right += step;
            let counts: Vec<usize> = counts.iter().map(|count| count.unsigned_abs()).collect();
            evaluations.push(Evaluation {
                images: ground.replay.labels().len(),
                accuracy: (ground.labelled > 0).then(|| right as f64 / ground.labelled as f64),
                mean_exit: mean_exit(&counts),
                macs_fraction: macs_fraction(&counts, ground.macs),
                counts,
            });
        }
        evaluations
    }
}
