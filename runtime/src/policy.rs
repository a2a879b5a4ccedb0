//! When computing stops, and whose label is returned.
//!
//! A policy sees the predictions of the exits so far and nothing else: no clock, no files, same predictions, same
//! decision.

mod file;
mod rule;

use serde::{Deserialize, Serialize};

use crate::confidence::{Measure, Prediction};
pub use file::{Calibration, Constraint, PolicyFile, PolicyFileError, SCHEMA_VERSION};
pub use rule::{PolicyError, PolicySpec, Rule};

/// Decides after every exit whether to go on.
pub trait Policy {
    /// Whether the last of `so_far`, the predictions of exits 0, 1, 2, .. of one image, is taken.
    fn decide(&self, so_far: &[Prediction]) -> Decision;

    /// The measure whose confidences are reported.
    fn measure(&self) -> Measure {
        Measure::MaxSoftmax
    }

    /// Whose label is returned when no exit was taken.
    fn fallback(&self) -> Fallback {
        Fallback::Final
    }
}

/// What comes after an exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The exit is taken.
    Stop,
    /// The next segment runs.
    Continue,
}

/// Whose label is returned when the final exit is reached and no exit was taken; the full cost is charged either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fallback {
    /// The final exit's.
    #[default]
    Final,
    /// The exit's of greatest max-softmax, the earliest of equals, the final exit among them. Source: the published
    /// code of Kaya et al. 2019.
    MostConfident,
}

/// Where computing stopped and whose label is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The exit where computing stopped; it decides the cost.
    pub exit: usize,
    /// The exit whose label is returned.
    pub answer_exit: usize,
}

/// The answer if computing ends at the last of `so_far`, in a network of `exits` exits.
///
/// The final exit ends it whatever the policy says; a policy that does not take it leaves the label to its fallback.
pub fn conclude(policy: &dyn Policy, exits: usize, so_far: &[Prediction]) -> Option<Answer> {
    let exit = so_far.len().checked_sub(1)?;
    if policy.decide(so_far) == Decision::Stop {
        return Some(Answer { exit, answer_exit: exit });
    }
    let is_final = so_far.len() >= exits;
    is_final.then(|| match policy.fallback() {
        Fallback::Final => Answer { exit, answer_exit: exit },
        Fallback::MostConfident => Answer { exit, answer_exit: most_confident(so_far) },
    })
}

/// The exit of greatest max-softmax, the earliest of equals.
pub(crate) fn most_confident(predictions: &[Prediction]) -> usize {
    let mut best = 0;
    for (exit, prediction) in predictions.iter().enumerate() {
        if prediction.max_softmax() > predictions[best].max_softmax() {
            best = exit;
        }
    }
    best
}
