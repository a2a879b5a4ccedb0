//! What a search over thresholds needs of a recording: who is how sure where, and who is right where.

use std::ops::Range;

use super::demand::Standing;
use crate::confidence::{Confidence, Measure, Threshold};
use crate::policy::{Fallback, most_confident};
use crate::replay::Replay;

/// Confidences and hits of every image.
pub(super) struct Ground {
    images: usize,
    /// Exits but the final.
    early: usize,
    /// Shape `[images, early]`.
    confidences: Vec<Confidence>,
    /// Shape `[images, early + 1]`; at the final exit of what the fallback answers.
    right: Vec<bool>,
    /// For every early exit the images, the surest first.
    surest: Vec<Vec<usize>>,
}

impl Ground {
    pub(super) fn new(replay: &Replay, labels: &[usize], measure: Measure, fallback: Fallback) -> Self {
        let early = replay.exits() - 1;
        let (mut confidences, mut right) = (Vec::new(), Vec::new());
        for (predictions, label) in replay.images().zip(labels) {
            confidences.extend(predictions[..early].iter().map(|exit| exit.confidence(measure)));
            right.extend(predictions[..early].iter().map(|exit| exit.label() == *label));
            let answering = match fallback {
                Fallback::Final => early,
                Fallback::MostConfident => most_confident(predictions),
            };
            right.push(predictions[answering].label() == *label);
        }
        let mut ground = Self { images: labels.len(), early, confidences, right, surest: Vec::new() };
        ground.surest = (0..early).map(|exit| ground.by_confidence(exit)).collect();
        ground
    }

    pub(super) fn early(&self) -> usize {
        self.early
    }

    pub(super) fn images(&self) -> usize {
        self.images
    }

    pub(super) fn confidence(&self, image: usize, exit: usize) -> Confidence {
        self.confidences[image * self.early + exit]
    }

    pub(super) fn right(&self, image: usize, exit: usize) -> bool {
        self.right[image * (self.early + 1) + exit]
    }

    /// Images by falling confidence at `exit`.
    pub(super) fn surest(&self, exit: usize) -> &[usize] {
        &self.surest[exit]
    }

    /// The first of `exits` that takes `image`; `thresholds` by exit.
    pub(super) fn stop(
        &self,
        image: usize,
        mut exits: Range<usize>,
        thresholds: &[Threshold],
    ) -> Option<usize> {
        exits.find(|exit| self.confidence(image, *exit).reaches(thresholds[*exit]))
    }

    /// Every image at the exit that `stop` gives for it.
    pub(super) fn standing(&self, stop: impl Fn(usize) -> usize) -> Standing {
        let mut standing = Standing { counts: vec![0; self.early + 1], right: 0 };
        for image in 0..self.images {
            let exit = stop(image);
            standing.counts[exit] += 1;
            standing.right += usize::from(self.right(image, exit));
        }
        standing
    }

    fn by_confidence(&self, exit: usize) -> Vec<usize> {
        let mut images: Vec<usize> = (0..self.images).collect();
        images.sort_by(|a, b| self.confidence(*b, exit).get().total_cmp(&self.confidence(*a, exit).get()));
        images
    }
}
