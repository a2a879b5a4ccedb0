//! The built-in policies.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::file::{Form, FormError};
use super::{Decision, Fallback, Policy};
use crate::confidence::{Measure, Prediction, Threshold};

/// A rule and a fallback, as asked for; [`PolicySpec::fit`] checks them against a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Form", into = "Form")]
pub struct PolicySpec {
    /// When an exit is taken.
    pub rule: Rule,
    /// Whose label is returned when none was.
    pub fallback: Fallback,
}

/// When an exit is taken.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Rule {
    /// Its confidence reaches its threshold.
    Confidence {
        /// How confidence is read.
        measure: Measure,
        /// One for all exits, or one per exit but the final.
        thresholds: Vec<Threshold>,
    },
    /// The latest exits, this one included, predict one label. Source: Zhou et al. 2020 (PABEE), whose counter t is
    /// `patience - 1`.
    Patience {
        /// Exits that must agree, at least 1.
        patience: usize,
    },
    /// It is this one.
    Fixed {
        /// The exit.
        exit: usize,
    },
}

/// A policy that does not fit a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Neither one threshold nor one per exit but the final.
    #[error("a network of {exits} exits takes {} thresholds or 1, got {found}", .exits - 1)]
    Thresholds {
        /// Exits of the network.
        exits: usize,
        /// Thresholds given.
        found: usize,
    },
    /// No exit agrees with itself less than once.
    #[error("a patience of 0 stops before the first exit, expected 1 or more")]
    Patience,
    /// An exit that the network lacks.
    #[error("the network has exits 0 to {}, got exit {found}", .exits - 1)]
    Exit {
        /// Exits of the network.
        exits: usize,
        /// The exit given.
        found: usize,
    },
    /// Nothing to decide on.
    #[error("a policy needs a network with an exit, got none")]
    NoExits,
}

impl Default for PolicySpec {
    /// Max-softmax 0.9 with the final exit's label as fallback.
    fn default() -> Self {
        let rule = Rule::Confidence { measure: Measure::MaxSoftmax, thresholds: vec![Threshold::DEFAULT] };
        Self { rule, fallback: Fallback::Final }
    }
}

impl TryFrom<Form> for PolicySpec {
    type Error = FormError;

    fn try_from(form: Form) -> Result<Self, FormError> {
        form.spec()
    }
}

impl PolicySpec {
    /// The policy that always stops at `exit`.
    pub fn fixed(exit: usize) -> Self {
        Self { rule: Rule::Fixed { exit }, fallback: Fallback::Final }
    }

    /// One threshold for every exit but the final.
    pub fn confidence(measure: Measure, threshold: Threshold) -> Self {
        Self { rule: Rule::Confidence { measure, thresholds: vec![threshold] }, fallback: Fallback::Final }
    }

    /// The policy for a network of `exits` exits.
    ///
    /// # Errors
    /// [`PolicyError`] when the number of thresholds, the patience or the exit does not fit.
    pub fn fit(&self, exits: usize) -> Result<Box<dyn Policy + Send + Sync>, PolicyError> {
        let early = exits.checked_sub(1).ok_or(PolicyError::NoExits)?;
        let fallback = self.fallback;
        Ok(match &self.rule {
            Rule::Confidence { measure, thresholds } => {
                let thresholds = match thresholds.as_slice() {
                    [one] => vec![*one; early],
                    several if several.len() == early => several.to_vec(),
                    other => return Err(PolicyError::Thresholds { exits, found: other.len() }),
                };
                Box::new(ByConfidence { measure: *measure, thresholds, fallback })
            }
            Rule::Patience { patience: 0 } => return Err(PolicyError::Patience),
            Rule::Patience { patience } => Box::new(ByPatience { patience: *patience, early, fallback }),
            Rule::Fixed { exit } if *exit < exits => Box::new(AtExit { exit: *exit }),
            Rule::Fixed { exit } => return Err(PolicyError::Exit { exits, found: *exit }),
        })
    }
}

impl fmt::Display for PolicySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fallback = match (&self.rule, self.fallback) {
            (Rule::Fixed { exit }, _) => return write!(f, "always exit {exit}"),
            (_, Fallback::Final) => "final",
            (_, Fallback::MostConfident) => "most-confident",
        };
        match &self.rule {
            Rule::Confidence { measure, thresholds } => {
                write!(f, "{} >= ", measure.name())?;
                for (position, threshold) in thresholds.iter().enumerate() {
                    let separator = if position > 0 { ", " } else { "" };
                    write!(f, "{separator}{threshold}")?;
                }
            }
            Rule::Patience { patience } => write!(f, "patience {patience}")?,
            Rule::Fixed { .. } => {}
        }
        write!(f, "; else {fallback}")
    }
}

/// One threshold per exit but the final, which it never takes.
struct ByConfidence {
    measure: Measure,
    thresholds: Vec<Threshold>,
    fallback: Fallback,
}

impl Policy for ByConfidence {
    fn decide(&self, so_far: &[Prediction]) -> Decision {
        let threshold = so_far.len().checked_sub(1).and_then(|exit| self.thresholds.get(exit));
        match (so_far.last(), threshold) {
            (Some(last), Some(threshold)) if last.confidence(self.measure).reaches(*threshold) => {
                Decision::Stop
            }
            _ => Decision::Continue,
        }
    }

    fn measure(&self) -> Measure {
        self.measure
    }

    fn fallback(&self) -> Fallback {
        self.fallback
    }
}

/// The latest `patience` of the `early` exits agree.
struct ByPatience {
    patience: usize,
    early: usize,
    fallback: Fallback,
}

impl Policy for ByPatience {
    fn decide(&self, so_far: &[Prediction]) -> Decision {
        let latest = so_far.len().checked_sub(self.patience).and_then(|from| so_far.get(from..));
        let agree =
            latest.is_some_and(|latest| latest.windows(2).all(|pair| pair[0].label() == pair[1].label()));
        if agree && so_far.len() <= self.early { Decision::Stop } else { Decision::Continue }
    }

    fn fallback(&self) -> Fallback {
        self.fallback
    }
}

/// One exit, whatever it says.
struct AtExit {
    exit: usize,
}

impl Policy for AtExit {
    fn decide(&self, so_far: &[Prediction]) -> Decision {
        if so_far.len() > self.exit { Decision::Stop } else { Decision::Continue }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Answer, conclude};

    /// A prediction of `label` among four classes; more `lead`, more confidence.
    fn prediction(label: usize, lead: f32) -> Prediction {
        let mut logits = [0.0; 4];
        logits[label] = lead;
        Prediction::of(0, &logits).unwrap()
    }

    fn answer(spec: &PolicySpec, predictions: &[Prediction]) -> Answer {
        let policy = spec.fit(predictions.len()).unwrap();
        let answer = (1..=predictions.len())
            .find_map(|seen| conclude(policy.as_ref(), predictions.len(), &predictions[..seen]));
        answer.unwrap()
    }

    #[test]
    fn stops_at_the_first_exit_that_reaches_its_threshold() {
        let predictions = [prediction(0, 1.0), prediction(1, 2.0), prediction(2, 3.0)];
        let thresholds = |of: [usize; 2]| of.map(|exit| predictions[exit].margin().into()).to_vec();
        let spec = |of| PolicySpec {
            rule: Rule::Confidence { measure: Measure::Margin, thresholds: thresholds(of) },
            fallback: Fallback::Final,
        };
        assert_eq!(answer(&spec([0, 0]), &predictions).exit, 0);
        assert_eq!(answer(&spec([1, 1]), &predictions).exit, 1);
        assert_eq!(answer(&spec([1, 2]), &predictions).exit, 2);
    }

    #[test]
    fn the_most_confident_fallback_answers_for_the_earliest_of_equals_and_stops_at_the_final_exit() {
        let predictions = [prediction(0, 1.0), prediction(1, 2.0), prediction(2, 2.0), prediction(3, 0.5)];
        let mut spec = PolicySpec::default();
        assert_eq!(answer(&spec, &predictions), Answer { exit: 3, answer_exit: 3 });
        spec.fallback = Fallback::MostConfident;
        assert_eq!(answer(&spec, &predictions), Answer { exit: 3, answer_exit: 1 });
    }

    #[test]
    fn patience_counts_the_exit_itself() {
        let predictions = [0, 1, 1, 1].map(|label| prediction(label, 0.0 + label as f32));
        let stop = |patience| {
            let spec = PolicySpec { rule: Rule::Patience { patience }, fallback: Fallback::Final };
            answer(&spec, &predictions).exit
        };
        assert_eq!([1, 2, 3, 4].map(stop), [0, 2, 3, 3]);
    }

    #[test]
    fn a_fixed_exit_is_taken_whatever_it_says() {
        let predictions = [prediction(0, 9.0), prediction(1, 0.0), prediction(2, 9.0)];
        assert_eq!([0, 1, 2].map(|exit| answer(&PolicySpec::fixed(exit), &predictions).exit), [0, 1, 2]);
    }

    #[test]
    fn a_static_network_takes_any_one_threshold_or_none() {
        let spec = |thresholds| PolicySpec {
            rule: Rule::Confidence { measure: Measure::Entropy, thresholds },
            fallback: Fallback::Final,
        };
        assert!(spec(Vec::new()).fit(1).is_ok());
        assert!(spec(vec![Threshold::CERTAIN]).fit(1).is_ok());
        assert!(spec(Vec::new()).fit(2).is_err());
    }

    #[test]
    fn a_policy_reads_as_a_rule_and_a_fallback() {
        insta::assert_snapshot!(PolicySpec::default(), @"max-softmax >= 0.9; else final");
        insta::assert_snapshot!(PolicySpec::fixed(3), @"always exit 3");
        let spec = |rule| PolicySpec { rule, fallback: Fallback::MostConfident };
        insta::assert_snapshot!(spec(Rule::Patience { patience: 2 }), @"patience 2; else most-confident");
        let thresholds = vec![Threshold::ALWAYS, Threshold::DEFAULT];
        let rule = Rule::Confidence { measure: Measure::Margin, thresholds };
        insta::assert_snapshot!(spec(rule), @"margin >= 0, 0.9; else most-confident");
    }

    #[test]
    fn what_does_not_fit_is_named_with_what_would() {
        let refused = |spec: PolicySpec, exits| spec.fit(exits).err().unwrap();
        let rule = Rule::Confidence { measure: Measure::Entropy, thresholds: vec![Threshold::DEFAULT; 3] };
        let three = PolicySpec { rule, fallback: Fallback::Final };
        insta::assert_snapshot!(refused(three, 7), @"a network of 7 exits takes 6 thresholds or 1, got 3");
        let idle = PolicySpec { rule: Rule::Patience { patience: 0 }, fallback: Fallback::Final };
        insta::assert_snapshot!(refused(idle, 7), @"a patience of 0 stops before the first exit, expected 1 or more");
        insta::assert_snapshot!(refused(PolicySpec::fixed(7), 7), @"the network has exits 0 to 6, got exit 7");
        insta::assert_snapshot!(refused(PolicySpec::default(), 0), @"a policy needs a network with an exit, got none");
    }
}
