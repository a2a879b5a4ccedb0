//! What a network says of one image, and of many.

use offramp_runtime::confidence::{NotFinite, Prediction};
use offramp_runtime::policy::{Answer, Policy, conclude};
use serde::{Deserialize, Serialize};

use super::Crafted;
use crate::loss::{Logits, Loss};

/// What the network says of one image under its policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    /// Label by exit.
    pub labels: Vec<usize>,
    /// The exit where computing stops.
    pub exit: usize,
    /// The label that is returned.
    pub predicted: usize,
    /// Whether the attack's aim holds; `None` where that is no matter of yes or no.
    pub reached: Option<bool>,
}

impl Score {
    /// Reads the logits of one image.
    ///
    /// # Errors
    /// [`NotFinite`] for a logit that is no number.
    pub fn of(
        logits: Logits<'_>,
        policy: &dyn Policy,
        loss: &dyn Loss,
        attacked: usize,
    ) -> Result<Self, NotFinite> {
        let exits = logits.exits();
        let predictions = logits.by_exit().enumerate().map(|(exit, logits)| Prediction::of(exit, logits));
        let predictions = predictions.collect::<Result<Vec<_>, _>>()?;
        let answer = (1..=exits).find_map(|seen| conclude(policy, exits, &predictions[..seen]));
        let Answer { exit, answer_exit } =
            answer.unwrap_or(Answer { exit: exits - 1, answer_exit: exits - 1 });
        Ok(Self {
            labels: predictions.iter().map(Prediction::label).collect(),
            exit,
            predicted: predictions[answer_exit].label(),
            reached: loss.reached(logits, attacked),
        })
    }
}

/// Figures of a set, before the attack, after it, and as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Images.
    pub images: usize,
    /// By exit; fractions of the images whose label is known, `None` without labels.
    pub exits: Vec<ExitScore>,
    /// Accuracy of the answers under the policy: benign, stored.
    pub accuracy: Option<[f64; 2]>,
    /// Mean index of the exit under the policy: benign, stored.
    pub mean_exit: [f64; 2],
    /// Images whose attack may succeed: the aim does not hold for the benign image already. `None` where the aim is no
    /// matter of yes or no.
    pub attackable: Option<usize>,
    /// Fraction of those for which it holds before rounding and as stored; `None` without any.
    pub success: Option<[f64; 2]>,
    /// Mean and greatest size of the perturbations as stored.
    pub size: super::manifest::Sizes,
}

/// Figures of one exit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExitScore {
    /// The exit.
    pub exit: usize,
    /// Accuracy when all images stop here: benign, before rounding, stored.
    pub accuracy: Option<[f64; 3]>,
    /// Images that stop here under the policy: benign, stored.
    pub count: [usize; 2],
}

impl Summary {
    /// Sums up `images` of a network of `exits` exits.
    pub fn of(images: &[Crafted], exits: usize) -> Self {
        let labelled: Vec<_> = images.iter().filter_map(|image| Some((image, image.label?))).collect();
        let rate = |right: usize| right as f64 / labelled.len() as f64;
        let right = |of: &dyn Fn(&Crafted) -> usize| {
            rate(labelled.iter().filter(|(image, label)| of(image) == *label).count())
        };
        let known = !labelled.is_empty();
        let by_exit = (0..exits).map(|exit| ExitScore {
            exit,
            accuracy: known.then(|| {
                [
                    right(&|image| image.benign.labels[exit]),
                    right(&|image| image.float.labels[exit]),
                    right(&|image| image.stored.labels[exit]),
                ]
            }),
            count: [
                images.iter().filter(|image| image.benign.exit == exit).count(),
                images.iter().filter(|image| image.stored.exit == exit).count(),
            ],
        });
        let mean = |exit: &dyn Fn(&Crafted) -> usize| {
            images.iter().map(|image| exit(image) as f64).sum::<f64>() / images.len().max(1) as f64
        };
        let open: Vec<_> = images.iter().filter(|image| image.benign.reached == Some(false)).collect();
        let judged = images.iter().any(|image| image.benign.reached.is_some());
        let hit = |score: &dyn Fn(&Crafted) -> Option<bool>| {
            open.iter().filter(|image| score(image) == Some(true)).count() as f64 / open.len() as f64
        };
        Self {
            images: images.len(),
            exits: by_exit.collect(),
            accuracy: known
                .then(|| [right(&|image| image.benign.predicted), right(&|image| image.stored.predicted)]),
            mean_exit: [mean(&|image| image.benign.exit), mean(&|image| image.stored.exit)],
            attackable: judged.then_some(open.len()),
            success: (!open.is_empty())
                .then(|| [hit(&|image| image.float.reached), hit(&|image| image.stored.reached)]),
            size: super::manifest::Sizes::of(images),
        }
    }
}
