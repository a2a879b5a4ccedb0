//! Policies on recorded logits: what a run would answer, without running the network.

use crate::confidence::{Confidence, Prediction};
use crate::policy::{Answer, Policy, conclude};
use crate::recording::{Recording, RecordingError};

/// A recording, read once for any number of policies.
#[derive(Clone, Debug)]
pub struct Replay {
    exits: usize,
    /// Shape `[images, exits]`.
    predictions: Vec<Prediction>,
    labels: Vec<Option<usize>>,
}

/// What a run would say of one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Replayed {
    /// The exit where computing stops.
    pub exit: usize,
    /// The exit whose label is returned.
    pub answer_exit: usize,
    /// The label.
    pub predicted: usize,
    /// Confidence of the answering exit, by the policy's measure.
    pub confidence: Confidence,
}

/// A policy's figures over a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Images replayed.
    pub images: usize,
    /// Fraction of the labelled images that are labelled rightly; `None` without labels.
    pub accuracy: Option<f64>,
    /// Images by the exit where they stop.
    pub counts: Vec<usize>,
    /// Mean index of the exit; `None` without images.
    pub mean_exit: Option<f64>,
    /// Mean cumulative MACs over those of the final exit; `None` without images or MACs.
    pub macs_fraction: Option<f64>,
}

impl Replay {
    /// Reads every prediction of `recording`.
    ///
    /// # Errors
    /// `Logits` for the first image with a logit that is NaN or infinite.
    pub fn new(recording: &Recording) -> Result<Self, RecordingError> {
        let (exits, labels) = (recording.exits(), recording.labels().to_vec());
        Ok(Self { exits, predictions: recording.predictions()?, labels })
    }

    /// Number of exits.
    pub fn exits(&self) -> usize {
        self.exits
    }

    /// Predictions of every exit, image after image.
    pub fn images(&self) -> impl ExactSizeIterator<Item = &[Prediction]> {
        self.predictions.chunks_exact(self.exits)
    }

    /// Labels by image, `None` where unknown.
    pub fn labels(&self) -> &[Option<usize>] {
        &self.labels
    }

    /// What a run under `policy`, made for as many exits, says of every image.
    pub fn answers<'a>(&'a self, policy: &'a dyn Policy) -> impl ExactSizeIterator<Item = Replayed> + 'a {
        let measure = policy.measure();
        self.images().map(move |predictions| {
            let Answer { exit, answer_exit } = answer(policy, predictions);
            let answering = &predictions[answer_exit];
            let (predicted, confidence) = (answering.label(), answering.confidence(measure));
            Replayed { exit, answer_exit, predicted, confidence }
        })
    }

    /// The figures of a run under `policy`; `macs` are cumulative, one entry per exit.
    pub fn evaluate(&self, policy: &dyn Policy, macs: &[u64]) -> Evaluation {
        let (mut counts, mut labelled, mut right) = (vec![0; self.exits], 0_usize, 0_usize);
        for (answer, label) in self.answers(policy).zip(&self.labels) {
            counts[answer.exit] += 1;
            labelled += usize::from(label.is_some());
            right += usize::from(*label == Some(answer.predicted));
        }
        Evaluation {
            images: self.labels.len(),
            accuracy: (labelled > 0).then(|| right as f64 / labelled as f64),
            mean_exit: mean_exit(&counts),
            macs_fraction: macs_fraction(&counts, macs),
            counts,
        }
    }
}

fn answer(policy: &dyn Policy, predictions: &[Prediction]) -> Answer {
    let exits = predictions.len();
    let concluded = (1..=exits).find_map(|seen| conclude(policy, exits, &predictions[..seen]));
    // The final exit always concludes.
    concluded.unwrap_or(Answer { exit: exits - 1, answer_exit: exits - 1 })
}

/// Mean index of the exit, from images by exit; `None` without images.
pub fn mean_exit(counts: &[usize]) -> Option<f64> {
    let images: usize = counts.iter().sum();
    let sum: f64 = counts.iter().enumerate().map(|(exit, count)| exit as f64 * *count as f64).sum();
    (images > 0).then(|| sum / images as f64)
}

/// Mean cumulative MACs over those of the final exit, from images by exit; `None` without images or MACs.
pub fn macs_fraction(counts: &[usize], macs: &[u64]) -> Option<f64> {
    let images: usize = counts.iter().sum();
    let spent: f64 = counts.iter().zip(macs).map(|(count, macs)| *count as f64 * *macs as f64).sum();
    let whole = images as f64 * *macs.last()? as f64;
    (whole > 0.0).then(|| spent / whole)
}
