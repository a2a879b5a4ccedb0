//! Cross-entropy with the label, at the exits that are aimed at.

use offramp_runtime::confidence::Prediction;
use offramp_runtime::policy::{Answer, Policy, conclude};

use super::{Logits, Loss};
use crate::softmax::{cross_entropy, softmax};

/// Which exits an attack is after.
pub enum Aim {
    /// The final one: the attack on the static network.
    Final,
    /// These, all alike.
    Exits(Vec<usize>),
    /// All, all alike. Source: Hu et al. 2020 ("Triple Wins"), the average attack.
    Average,
    /// At every step the one whose loss is greatest.
    Maximum,
    /// At every step the one that answers under the deployed policy, whose thresholds and fallback are known.
    Policy(Box<dyn Policy + Send + Sync>),
}

/// Mean cross-entropy between the label and the exits aimed at; ascending it makes them wrong.
pub struct CrossEntropy {
    aim: Aim,
}

impl CrossEntropy {
    /// Cross-entropy at the exits that `aim` names.
    pub fn new(aim: Aim) -> Self {
        Self { aim }
    }

    /// The one exit that counts, `None` where several do.
    fn target(&self, logits: Logits<'_>, label: usize) -> Option<usize> {
        let last = logits.exits() - 1;
        match &self.aim {
            Aim::Final => Some(last),
            Aim::Exits(_) | Aim::Average => None,
            Aim::Maximum => {
                let losses = logits.by_exit().map(|exit| cross_entropy(exit, label));
                losses.enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(exit, _)| exit)
            }
            Aim::Policy(policy) => Some(answering(policy.as_ref(), logits)),
        }
    }

    fn aimed_at(&self, logits: Logits<'_>, label: usize) -> Vec<usize> {
        match (&self.aim, self.target(logits, label)) {
            (_, Some(exit)) => vec![exit],
            (Aim::Exits(exits), None) => exits.clone(),
            (_, None) => (0..logits.exits()).collect(),
        }
    }
}

impl Loss for CrossEntropy {
    fn evaluate(&self, logits: Logits<'_>, label: usize, cotangents: &mut [f32]) -> f64 {
        cotangents.fill(0.0);
        let classes = logits.classes();
        let exits = self.aimed_at(logits, label);
        let share = 1.0 / exits.len() as f32;
        let mut value = 0.0;
        for exit in exits {
            let cotangents = &mut cotangents[exit * classes..(exit + 1) * classes];
            softmax(logits.of(exit), cotangents);
            // p - 1 as minus the sum of the others: of a confident exit the difference itself is nothing but rounding,
            // and with it the direction of the gradient.
            let others = cotangents.iter().enumerate().filter(|(class, _)| *class != label);
            cotangents[label] = -others.map(|(_, p)| f64::from(*p)).sum::<f64>() as f32;
            cotangents.iter_mut().for_each(|cotangent| *cotangent *= share);
            value += cross_entropy(logits.of(exit), label) * f64::from(share);
        }
        value
    }

    /// Every exit aimed at is wrong; under a policy or for the maximum, the exit that answers is, or any.
    fn reached(&self, logits: Logits<'_>, label: usize) -> Option<bool> {
        let wrong = |exit: usize| logits.predicted(exit) != label;
        Some(match &self.aim {
            Aim::Maximum => (0..logits.exits()).any(wrong),
            _ => self.aimed_at(logits, label).into_iter().all(wrong),
        })
    }
}

/// The exit whose label a policy returns for these logits, which are finite.
fn answering(policy: &dyn Policy, logits: Logits<'_>) -> usize {
    let exits = logits.exits();
    let mut so_far = Vec::with_capacity(exits);
    for (exit, logits) in logits.by_exit().enumerate() {
        let Ok(prediction) = Prediction::of(exit, logits) else { break };
        so_far.push(prediction);
        if let Some(Answer { answer_exit, .. }) = conclude(policy, exits, &so_far) {
            return answer_exit;
        }
    }
    exits - 1
}
