//! The Early Attack's loss: every early exit wrong, the final one unmoved.
//!
//! Source: the project's paper, §6.1. With `y` the softmax of an exit and `p` the label that the final exit gives the
//! benign image: `L1 = -sum over j != p of max(y_p - y_j, 0)` at the final exit keeps its label, `L2 = sum of y_p` over
//! exits makes the others lose it, `L = alpha * L1 + L2` is minimised.

use serde::{Deserialize, Serialize};

use super::{Logits, Loss};
use crate::softmax::{softmax, through};

/// `-(alpha * L1 + L2)`, to be ascended; `label` is the final exit's for the benign image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EarlyLoss {
    /// Weight of the final exit's label, `alpha`.
    pub alpha: f32,
    /// Exits that `L2` sums over.
    pub exits: EarlyExits,
    /// Labels that `L1` runs over.
    pub rivals: Rivals,
}

/// Exits whose confidence in the label is driven down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EarlyExits {
    /// All but the final one: the published code, and the paper's prose.
    Early,
    /// The final one too: the paper's formula, by which `alpha = 1 / (classes - 1)` leaves the final label to chance.
    All,
}

/// Labels that the final exit's label is to lead over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rivals {
    /// All others.
    All,
    /// Those among the first so many classes: 10 in the published code, whatever the classes.
    #[serde(untagged)]
    First(usize),
}

impl Loss for EarlyLoss {
    fn evaluate(&self, logits: Logits<'_>, label: usize, cotangents: &mut [f32]) -> f64 {
        let (classes, last) = (logits.classes(), logits.exits() - 1);
        let mut value = 0.0;
        let mut gradient = vec![0.0; classes];
        for (exit, cotangents) in cotangents.chunks_exact_mut(classes).enumerate() {
            softmax(logits.of(exit), cotangents);
            gradient.fill(0.0);
            if exit < last || self.exits == EarlyExits::All {
                value -= f64::from(cotangents[label]);
                gradient[label] -= 1.0;
            }
            if exit == last {
                value += f64::from(self.lead(cotangents, label, &mut gradient));
            }
            through(cotangents, &mut gradient);
            cotangents.copy_from_slice(&gradient);
        }
        value
    }

    /// Every early exit has another label than the final one, which has kept its own.
    fn reached(&self, logits: Logits<'_>, label: usize) -> Option<bool> {
        let last = logits.exits() - 1;
        Some(logits.predicted(last) == label && (0..last).all(|exit| logits.predicted(exit) != label))
    }
}

impl EarlyLoss {
    /// `-alpha * L1`, and its gradient added to `gradient`.
    fn lead(&self, probabilities: &[f32], label: usize, gradient: &mut [f32]) -> f32 {
        let own = probabilities[label];
        let rivals = match self.rivals {
            Rivals::All => probabilities.len(),
            Rivals::First(classes) => classes,
        };
        let mut lead = 0.0;
        for (rival, probability) in probabilities.iter().enumerate().take(rivals) {
            if rival != label && own > *probability {
                lead += own - probability;
                gradient[label] += self.alpha;
                gradient[rival] -= self.alpha;
            }
        }
        self.alpha * lead
    }
}
