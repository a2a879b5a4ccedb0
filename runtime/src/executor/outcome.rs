//! What came of images.

use std::time::Duration;

use crate::confidence::{Confidence, Measure, Prediction};
use crate::policy::Answer;
use crate::remote::Offloaded;

/// What came of one image.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// The image's number in its data.
    pub image: usize,
    /// The exit where computing stopped; it decides the cost.
    pub exit: usize,
    /// The exit whose label is returned.
    pub answer_exit: usize,
    /// The label.
    pub predicted: usize,
    /// Confidence of the answering exit, by the policy's measure.
    pub confidence: Confidence,
    /// From the preprocessed image in host memory to the label; within a batch, from its start.
    pub latency: Duration,
    /// How the part after a cut was done; `None` for an image that was not sent.
    pub offload: Option<Offloaded>,
    lane: &'a Lane,
}

impl<'a> Outcome<'a> {
    /// Confidence of every exit that was computed, by the policy's measure.
    pub fn confidences(&self) -> &'a [Confidence] {
        &self.lane.confidences
    }

    /// Time of every segment that ran, reading its logits and deciding included; within a batch, for all its images.
    pub fn segments(&self) -> &'a [Duration] {
        &self.lane.segments
    }
}

/// What came of the images of a batch, in their order.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    pub(super) first: usize,
    pub(super) lanes: &'a [Lane],
    pub(super) compaction: Duration,
    pub(super) compactions: usize,
}

impl<'a> Batch<'a> {
    /// One outcome per image.
    pub fn outcomes(&self) -> impl ExactSizeIterator<Item = Outcome<'a>> + use<'a> {
        let first = self.first;
        self.lanes.iter().enumerate().map(move |(row, lane)| lane.outcome(first + row))
    }

    /// Time spent gathering the images that go on and wiring segments to them; part of their latency.
    pub fn compaction(&self) -> Duration {
        self.compaction
    }

    /// How often the batch was compacted.
    pub fn compactions(&self) -> usize {
        self.compactions
    }
}

/// One image on its way.
#[derive(Debug)]
pub(super) struct Lane {
    predictions: Vec<Prediction>,
    confidences: Vec<Confidence>,
    segments: Vec<Duration>,
    answer: Answer,
    latency: Duration,
    offload: Option<Offloaded>,
}

impl Lane {
    pub(super) fn with_room_for(exits: usize) -> Self {
        Self {
            predictions: Vec::with_capacity(exits),
            confidences: Vec::with_capacity(exits),
            segments: Vec::with_capacity(exits),
            answer: Answer { exit: 0, answer_exit: 0 },
            latency: Duration::ZERO,
            offload: None,
        }
    }

    pub(super) fn clear(&mut self) {
        self.predictions.clear();
        self.confidences.clear();
        self.segments.clear();
        self.offload = None;
    }

    /// Exits computed so far, here or elsewhere.
    pub(super) fn computed(&self) -> usize {
        self.predictions.len()
    }

    /// Predictions of the exits computed so far.
    pub(super) fn predictions(&self) -> &[Prediction] {
        &self.predictions
    }

    /// Notes how an image that was sent came to its answer.
    pub(super) fn come_back(&mut self, offload: Offloaded, latency: Duration) {
        self.offload = Some(offload);
        self.latency = latency;
    }

    /// Takes the next exit's prediction and gives all so far.
    pub(super) fn predict(&mut self, prediction: Prediction, measure: Measure) -> &[Prediction] {
        self.predictions.push(prediction);
        self.confidences.push(prediction.confidence(measure));
        &self.predictions
    }

    pub(super) fn answer(&mut self, answer: Answer) {
        self.answer = answer;
    }

    /// Notes how long the latest segment took and how long the image has been on its way.
    pub(super) fn time(&mut self, segment: Duration, latency: Duration) {
        self.segments.push(segment);
        self.latency = latency;
    }

    pub(super) fn outcome(&self, image: usize) -> Outcome<'_> {
        let Answer { exit, answer_exit } = self.answer;
        Outcome {
            image,
            exit,
            answer_exit,
            predicted: self.predictions[answer_exit].label(),
            confidence: self.confidences[answer_exit],
            latency: self.latency,
            offload: self.offload,
            lane: self,
        }
    }
}
