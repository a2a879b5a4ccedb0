//! The logits of every exit for a whole data set, computed once.

use std::num::NonZeroUsize;

use offramp_models::Sha256;

use crate::backend::HostTensor;
use crate::confidence::{NotFinite, Prediction};
use crate::executor::{ExecutorError, Images, Wiring};
use crate::pipeline::Pipeline;

/// Logits of every exit for every image, with the labels that are known.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    exits: usize,
    classes: usize,
    /// Shape `[images, exits, classes]`.
    logits: Vec<f32>,
    labels: Vec<Option<usize>>,
    data_sha256: Sha256,
}

/// A recording that does not hold together.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// Not one logit per image, exit and class.
    #[error("{images} images of {exits} exits and {classes} classes have {} logits, got {found}", .images * .exits * .classes)]
    Length {
        /// Images, by their labels.
        images: usize,
        /// Exits.
        exits: usize,
        /// Classes.
        classes: usize,
        /// Logits given.
        found: usize,
    },
    /// A label that no class has.
    #[error("image {image} has label {found}, expected one below {classes}")]
    Label {
        /// The image.
        image: usize,
        /// Classes.
        classes: usize,
        /// The label.
        found: usize,
    },
    /// An exit's logits are no numbers.
    #[error("image {image} has no answer")]
    Logits {
        /// The image.
        image: usize,
        /// The logit.
        source: NotFinite,
    },
}

impl Recording {
    /// Logits of shape `[images, exits, classes]` of the data whose digest is `data_sha256`, one label (or none) per
    /// image.
    ///
    /// # Errors
    /// `Length` when logits and labels disagree, `Label` for a label out of range.
    pub fn new(
        exits: usize,
        classes: usize,
        logits: Vec<f32>,
        labels: Vec<Option<usize>>,
        data_sha256: Sha256,
    ) -> Result<Self, RecordingError> {
        let (images, found) = (labels.len(), logits.len());
        if found != images * exits * classes || exits * classes == 0 {
            return Err(RecordingError::Length { images, exits, classes, found });
        }
        let labelled = labels.iter().enumerate().filter_map(|(image, label)| Some((image, (*label)?)));
        if let Some((image, found)) = labelled.into_iter().find(|(_, label)| *label >= classes) {
            return Err(RecordingError::Label { image, classes, found });
        }
        Ok(Self { exits, classes, logits, labels, data_sha256 })
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.labels.len()
    }

    /// Number of exits.
    pub fn exits(&self) -> usize {
        self.exits
    }

    /// Logits per exit.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Logits of one image, exit after exit; shape `[exits, classes]`. `None` beyond the last image.
    pub fn logits(&self, image: usize) -> Option<&[f32]> {
        self.logits.chunks_exact(self.exits * self.classes).nth(image)
    }

    /// Labels by image, `None` where unknown.
    pub fn labels(&self) -> &[Option<usize>] {
        &self.labels
    }

    /// Digest of the data.
    pub fn data_sha256(&self) -> Sha256 {
        self.data_sha256
    }

    /// What every exit says of every image; shape `[images, exits]`.
    ///
    /// # Errors
    /// `Logits` for the first image with a logit that is NaN or infinite.
    pub fn predictions(&self) -> Result<Vec<Prediction>, RecordingError> {
        let exits = self.logits.chunks_exact(self.classes).enumerate();
        let predict = |(position, logits)| {
            let image = position / self.exits;
            Prediction::of(position % self.exits, logits)
                .map_err(|source| RecordingError::Logits { image, source })
        };
        exits.map(predict).collect()
    }
}

/// Runs every segment on every image and keeps the logits.
pub struct Recorder<'a> {
    pipeline: &'a Pipeline,
    full: Wiring,
    logits: Vec<f32>,
    labels: Vec<Option<usize>>,
    /// Logits of one exit for one batch.
    row: Vec<f32>,
}

impl<'a> Recorder<'a> {
    /// Wires `pipeline` for `batch` images at once.
    ///
    /// # Errors
    /// As [`crate::executor::Executor::new`].
    pub fn new(pipeline: &'a Pipeline, batch: NonZeroUsize) -> Result<Self, ExecutorError> {
        let full = Wiring::new(pipeline, batch.get())?;
        let row = vec![0.0; batch.get() * pipeline.classes()];
        Ok(Self { pipeline, full, logits: Vec::new(), labels: Vec::new(), row })
    }

    /// Appends preprocessed images, one label (or none) each; images without a place in `labels` have none.
    ///
    /// # Errors
    /// As [`crate::executor::Executor::run_batch`]; nothing is appended then.
    pub fn record(&mut self, images: HostTensor<'_>, labels: &[Option<usize>]) -> Result<(), ExecutorError> {
        let count = self.full.count(images, self.full.batch())?;
        let mut partial = None;
        let wiring = if count == self.full.batch() {
            &mut self.full
        } else {
            partial.insert(Wiring::new(self.pipeline, count)?)
        };
        let (stages, classes) = (self.pipeline.stages(), self.pipeline.classes());
        let all = Images { first: self.labels.len(), count };
        wiring.write(images).map_err(|source| ExecutorError::Input { images: all, source })?;
        let recorded = self.logits.len();
        self.logits.resize(recorded + count * stages.len() * classes, 0.0);
        for (segment, stage) in stages.iter().enumerate() {
            let row = &mut self.row[..count * classes];
            if let Err(source) = wiring.run(segment, stage.logits, row) {
                self.logits.truncate(recorded);
                return Err(ExecutorError::Segment { segment, images: all, source });
            }
            let places =
                self.logits[recorded..].chunks_exact_mut(classes).skip(segment).step_by(stages.len());
            places.zip(row.chunks_exact(classes)).for_each(|(place, logits)| place.copy_from_slice(logits));
        }
        self.labels.extend((0..count).map(|image| labels.get(image).copied().flatten()));
        Ok(())
    }

    /// What was recorded, of data whose digest is `data_sha256`.
    ///
    /// # Errors
    /// `Label` for a label out of range.
    pub fn finish(self, data_sha256: Sha256) -> Result<Recording, RecordingError> {
        let (exits, classes) = (self.pipeline.exits().len(), self.pipeline.classes());
        Recording::new(exits, classes, self.logits, self.labels, data_sha256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_that_does_not_hold_together_is_refused() {
        let new = |logits: &[f32], label| Recording::new(2, 3, logits.to_vec(), vec![label], Sha256::of(b""));
        insta::assert_snapshot!(
            new(&[0.0; 5], None).unwrap_err(),
            @"1 images of 2 exits and 3 classes have 6 logits, got 5"
        );
        insta::assert_snapshot!(
            new(&[0.0; 6], Some(3)).unwrap_err(),
            @"image 0 has label 3, expected one below 3"
        );
        let error = new(&[0.0, 0.0, 0.0, 0.0, f32::NAN, 0.0], None).unwrap().predictions().unwrap_err();
        insta::assert_snapshot!(error, @"image 0 has no answer");
        let source = std::error::Error::source(&error).unwrap();
        insta::assert_snapshot!(source, @"exit 1 gives class 1 a logit of NaN, expected a finite number");
    }
}
