//! One network on one adversarial set and on the images that it was made from.

use offramp_runtime::confidence::Prediction;
use offramp_runtime::policy::{PolicyError, PolicySpec};
use offramp_runtime::replay::{Evaluation, Replay, Replayed};

use super::drawing::Which;

/// What is compared, as recorded.
#[derive(Clone, Copy, Debug)]
pub struct Pairing<'a> {
    /// The network that ran: the target.
    pub network: &'a str,
    /// The adversarial set; one name, one set.
    pub set: &'a str,
    /// The network that the set was crafted on; [`Self::network`] where it is the same, and where nothing was crafted.
    pub surrogate: &'a str,
    /// What the set is beside others.
    pub origin: Origin<'a>,
    /// The deployment by name, `default` or `calibrated-5`: one name may be another policy on another network.
    pub policy_name: &'a str,
    /// When the network stops.
    pub policy: &'a PolicySpec,
    /// What stopping costs.
    pub costs: Costs<'a>,
    /// Every exit on the images as they were.
    pub benign: &'a Replay,
    /// Every exit on the set, image by image those of `benign`.
    pub adversarial: &'a Replay,
}

/// What made a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Whether it was crafted, and not corrupted.
    pub crafted: bool,
    /// The method with what it aims at, or the kind of corruption: sets of one family differ in how far they go.
    pub family: &'a str,
    /// The set's name where everybody knows what it was crafted on.
    pub label: &'a str,
}

/// What a network costs; one entry per exit, for classifiers alone one per exit but the final one.
#[derive(Clone, Copy, Debug)]
pub struct Costs<'a> {
    /// Multiply-adds until the exit has answered, everything before it included.
    pub macs: &'a [u64],
    /// Multiply-adds of the internal classifier alone, where known: what no other exit needs.
    pub head_macs: Option<&'a [u64]>,
    /// Measured seconds until the exit has answered, where measured.
    pub seconds: Option<&'a [f64]>,
    /// Measured seconds of the internal classifier alone, where measured.
    pub head_seconds: Option<&'a [f64]>,
}

impl<'a> Costs<'a> {
    /// Costs of which only the multiply-adds are known.
    pub fn counted(macs: &'a [u64]) -> Self {
        Self { macs, head_macs: None, seconds: None, head_seconds: None }
    }
}

/// A pairing that holds together, with the answers of both runs.
#[derive(Clone, Debug)]
pub struct Comparison<'a> {
    given: Pairing<'a>,
    answers: [Vec<Replayed>; 2],
    evaluations: [Evaluation; 2],
}

/// One image of a comparison.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// Its label, where known.
    pub label: Option<usize>,
    /// The image as it was.
    pub benign: Side<'a>,
    /// The image of the set.
    pub adversarial: Side<'a>,
}

/// What the network says of one image.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// Predictions of every exit.
    pub predictions: &'a [Prediction],
    /// The answer under the policy.
    pub answer: Replayed,
}

/// A pairing that does not hold together.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("set {set} on network {network} cannot be compared with its benign images")]
pub struct ComparisonError {
    /// The network.
    pub network: String,
    /// The set.
    pub set: String,
    /// What does not fit.
    pub source: Mismatch,
}

/// What does not fit in a pairing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// The recordings are of networks with other exits.
    #[error("the benign recording has {benign} exits, the adversarial one {adversarial}")]
    Exits {
        /// Exits of the benign recording.
        benign: usize,
        /// Exits of the adversarial one.
        adversarial: usize,
    },
    /// The recordings are not of the same images.
    #[error("the benign recording has {benign} images, the adversarial one {adversarial}")]
    Images {
        /// Images of the benign recording.
        benign: usize,
        /// Images of the adversarial one.
        adversarial: usize,
    },
    /// The recordings do not label an image alike.
    #[error("image {image} has {} in the benign recording, {} in the adversarial one", shown(.benign), shown(.adversarial))]
    Label {
        /// The image.
        image: usize,
        /// Its label in the benign recording.
        benign: Option<usize>,
        /// Its label in the adversarial one.
        adversarial: Option<usize>,
    },
    /// A cost table that is not of this network.
    #[error("{what} by exit: expected {expected} entries, {rule}, got {found:?}")]
    Costs {
        /// `MACs`, `head MACs`, `seconds` or `head seconds`.
        what: &'static str,
        /// Entries that there must be.
        expected: usize,
        /// What every entry keeps to.
        rule: &'static str,
        /// The table.
        found: Vec<f64>,
    },
    /// The policy is not for this network.
    #[error("the policy does not fit the network")]
    Policy(#[from] PolicyError),
}

impl<'a> Comparison<'a> {
    /// Checks that both recordings are of the same images and exits, and asks the policy for every answer.
    ///
    /// # Errors
    /// [`ComparisonError`] names the network and the set; its source is the [`Mismatch`].
    pub fn new(given: Pairing<'a>) -> Result<Self, ComparisonError> {
        Self::checked(given).map_err(|source| ComparisonError {
            network: given.network.to_owned(),
            set: given.set.to_owned(),
            source,
        })
    }

    fn checked(given: Pairing<'a>) -> Result<Self, Mismatch> {
        let (benign, adversarial, costs) = (given.benign, given.adversarial, given.costs);
        let exits = benign.exits();
        if adversarial.exits() != exits {
            return Err(Mismatch::Exits { benign: exits, adversarial: adversarial.exits() });
        }
        let (left, right) = (benign.labels(), adversarial.labels());
        if left.len() != right.len() {
            return Err(Mismatch::Images { benign: left.len(), adversarial: right.len() });
        }
        if let Some((image, (benign, adversarial))) =
            left.iter().zip(right).enumerate().find(|(_, (left, right))| left != right)
        {
            return Err(Mismatch::Label { image, benign: *benign, adversarial: *adversarial });
        }
        let counted = |macs: &[u64]| macs.iter().map(|macs| *macs as f64).collect::<Vec<_>>();
        table("MACs", "none less than the one before", exits, counted(costs.macs), |macs| macs.is_sorted())?;
        if let Some(heads) = costs.head_macs {
            let within = |heads: &[f64]| heads.iter().zip(costs.macs).all(|(head, all)| *head <= *all as f64);
            table("head MACs", "none above the exit's MACs", exits - 1, counted(heads), within)?;
        }
        let seconds = |found: &[f64]| found.iter().all(|seconds| seconds.is_finite() && *seconds >= 0.0);
        for (what, entries, found) in
            [("seconds", exits, costs.seconds), ("head seconds", exits - 1, costs.head_seconds)]
        {
            if let Some(found) = found {
                table(what, "finite and not negative", entries, found.to_vec(), seconds)?;
            }
        }
        let policy = given.policy.fit(exits)?;
        let sides = [benign, adversarial];
        Ok(Self {
            given,
            answers: sides.map(|replay| replay.answers(policy.as_ref()).collect()),
            evaluations: sides.map(|replay| replay.evaluate(policy.as_ref(), costs.macs)),
        })
    }

    /// What is compared.
    pub fn given(&self) -> &Pairing<'a> {
        &self.given
    }

    /// Exits of the network.
    pub fn exits(&self) -> usize {
        self.given.benign.exits()
    }

    /// Images compared.
    pub fn len(&self) -> usize {
        self.given.benign.labels().len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Figures of the benign run under the policy.
    pub fn benign(&self) -> &Evaluation {
        &self.evaluations[0]
    }

    /// Figures of the run on the set under the policy.
    pub fn adversarial(&self) -> &Evaluation {
        &self.evaluations[1]
    }

    /// The recording of one run.
    pub(super) fn replay(&self, which: Which) -> &'a Replay {
        match which {
            Which::Benign => self.given.benign,
            Which::Adversarial => self.given.adversarial,
        }
    }

    /// Answers of one run.
    pub(super) fn answers(&self, which: Which) -> &[Replayed] {
        &self.answers[which as usize]
    }

    /// Figures of one run.
    pub(super) fn run(&self, which: Which) -> &Evaluation {
        &self.evaluations[which as usize]
    }

    /// Image by image, both runs.
    pub fn images(&self) -> impl Iterator<Item = Pair<'_>> {
        let [benign, adversarial] = &self.answers;
        let benign = self.given.benign.images().zip(benign);
        let adversarial = self.given.adversarial.images().zip(adversarial);
        let side = |(predictions, answer): (_, &Replayed)| Side { predictions, answer: *answer };
        benign.zip(adversarial).zip(self.given.benign.labels()).map(move |((benign, adversarial), label)| {
            Pair { label: *label, benign: side(benign), adversarial: side(adversarial) }
        })
    }
}

impl Side<'_> {
    /// The final exit's label.
    pub fn final_label(&self) -> Option<usize> {
        self.predictions.last().map(Prediction::label)
    }

    /// The early exits' predictions.
    pub fn early(&self) -> &[Prediction] {
        self.predictions.split_last().map_or(&[], |(_, early)| early)
    }
}

impl Pair<'_> {
    /// Whether the answers under the policy are right, benign and adversarial; `None` without a label.
    pub fn right(&self) -> Option<[bool; 2]> {
        let label = self.label?;
        Some([self.benign, self.adversarial].map(|side| side.answer.predicted == label))
    }
}

fn shown(label: &Option<usize>) -> String {
    label.map_or_else(|| "no label".to_owned(), |label| format!("label {label}"))
}

fn table(
    what: &'static str,
    rule: &'static str,
    expected: usize,
    found: Vec<f64>,
    keeps: impl Fn(&[f64]) -> bool,
) -> Result<(), Mismatch> {
    let fits = found.len() == expected && keeps(&found);
    if fits { Ok(()) } else { Err(Mismatch::Costs { what, expected, rule, found }) }
}
