//! The values that tensors of cuts take on named pictures.

use std::collections::BTreeMap;

use std::num::NonZeroUsize;

use offramp_models::dataset::{self, Dataset, OpenOptions};
use offramp_models::{DType, Manifest, Sha256, TensorSpec};
use offramp_runtime::backend::HostTensor;
use offramp_runtime::confidence::Prediction;
use offramp_runtime::feed::Feed;

use super::WireData;
use super::composition::{self, Composition};
use crate::ExportError;

/// Images run at once, where the network does not insist on a number.
const BATCH: usize = 32;

/// Pictures that fit a network.
pub(super) struct Pictures {
    data: Box<dyn Dataset>,
    batch: Option<usize>,
}

impl Pictures {
    /// Opens what `wire` names. Labels are not looked at.
    pub(super) fn open(wire: &WireData, manifest: &Manifest) -> Result<Self, ExportError> {
        let WireData { data, limit } = wire;
        let limit = limit.map(NonZeroUsize::get);
        let options = OpenOptions { class_names: manifest.classes.names.as_deref(), limit };
        let opened = dataset::open(data, &options).map_err(Box::new)?;
        let (_, height, width) = manifest.input.chw();
        opened.check_size(height, width).map_err(Box::new)?;
        let batch = manifest.input.fixed_batch();
        if let Some(batch) = batch.filter(|batch| *batch > opened.len()) {
            return Err(ExportError::FewImages { batch, images: opened.len() });
        }
        Ok(Self { data: opened, batch })
    }

    /// Digest of the data set.
    pub(super) fn digest(&self) -> Result<Sha256, ExportError> {
        Ok(self.data.digest().map_err(Box::new)?)
    }

    /// Gives all pictures to `take`, batch by batch, with the number of the first; a rest that the network does not take
    /// is left out. Returns how many there were.
    pub(super) fn each(
        &self,
        manifest: &Manifest,
        mut take: impl FnMut(usize, HostTensor<'_>, usize) -> Result<(), ExportError>,
    ) -> Result<usize, ExportError> {
        let mut feed = Feed::new(self.data.as_ref(), &manifest.input).map_err(Box::new)?;
        let (images, step) = (self.data.len(), self.batch.unwrap_or(BATCH));
        let end = self.batch.map_or(images, |batch| images / batch * batch);
        for first in (0..end).step_by(step) {
            let count = step.min(end - first);
            take(first, feed.batch(first, count).map_err(Box::new)?, count)?;
        }
        Ok(end)
    }
}

/// What segments made of the pictures.
pub(super) struct Calibration {
    ranges: BTreeMap<String, (f32, f32)>,
    /// By picture, the label of the final exit.
    pub labels: Vec<usize>,
}

impl Calibration {
    /// Runs all pictures through all segments and notes the lowest and highest value of each of `tensors`.
    ///
    /// # Errors
    /// `Range` for a tensor, logits included, that is no number.
    pub(super) fn run(
        segments: &Composition,
        pictures: &Pictures,
        manifest: &Manifest,
        tensors: &[TensorSpec],
    ) -> Result<Self, ExportError> {
        let mut found = Self { ranges: BTreeMap::new(), labels: Vec::new() };
        let tensors: Vec<TensorSpec> =
            tensors.iter().filter(|spec| spec.dtype == DType::Float32).cloned().collect();
        pictures.each(manifest, |first, images, batch| {
            let passed = segments.run(images, batch, usize::MAX)?;
            for (spec, value) in tensors.iter().zip(passed.values(&tensors)?) {
                found.widen(&spec.name, &composition::floats(&value)?, first)?;
            }
            let last = manifest.exits.len().saturating_sub(1);
            let logits = passed.logits_from(last)?;
            let no_number = |value| ExportError::Range {
                tensor: manifest.exits.last().map(|exit| exit.logits.clone()).unwrap_or_default(),
                found: value,
                first,
            };
            found.labels.extend(labels(&logits, manifest.classes.count).map_err(no_number)?);
            Ok(())
        })?;
        Ok(found)
    }

    fn widen(&mut self, tensor: &str, values: &[f32], first: usize) -> Result<(), ExportError> {
        if let Some(found) = values.iter().copied().find(|value| !value.is_finite()) {
            return Err(ExportError::Range { tensor: tensor.to_owned(), found, first });
        }
        let range = self.ranges.entry(tensor.to_owned()).or_insert((0.0, 0.0));
        *range = values.iter().fold(*range, |(low, high), value| (low.min(*value), high.max(*value)));
        Ok(())
    }

    /// Lowest and highest value of a tensor, 0 among them.
    pub(super) fn range(&self, tensor: &str) -> (f32, f32) {
        self.ranges.get(tensor).copied().unwrap_or_default()
    }
}

/// By picture, the label that the last of `logits` gives, the lowest of equals; an error is a logit that is no number.
pub(super) fn labels(logits: &[Vec<f32>], classes: usize) -> Result<Vec<usize>, f32> {
    let last = logits.last().map(Vec::as_slice).unwrap_or_default();
    let label = |row: &[f32]| match Prediction::of(0, row) {
        Ok(prediction) => Ok(prediction.label()),
        Err(refused) => Err(refused.found),
    };
    last.chunks_exact(classes).map(label).collect()
}
