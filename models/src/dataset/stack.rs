//! Pictures of one shape in memory.

use super::{Chw, DataError, Dataset, Picture, Samples};

/// Pictures of one shape, one after the other in one allocation.
#[derive(Clone, Debug)]
pub struct Stack {
    name: String,
    shape: Chw,
    samples: Samples,
    labels: Option<Vec<usize>>,
    class_names: Option<Vec<String>>,
}

impl Stack {
    /// Pictures of `shape`, called `name` in reports and errors.
    ///
    /// # Errors
    /// `Empty`; `Labels` when there is not one label per picture; `Picture` when samples are missing or a float
    /// lies outside [0, 1].
    pub fn new(
        name: impl Into<String>,
        shape: Chw,
        samples: Samples,
        labels: Option<Vec<usize>>,
    ) -> Result<Self, DataError> {
        let what = name.into();
        let each = shape.samples();
        if samples.is_empty() || each == 0 {
            return Err(DataError::Empty { what });
        }
        let images = samples.len() / each;
        if !samples.len().is_multiple_of(each) {
            let source = super::PictureError::Count { shape, found: samples.len() % each };
            return Err(DataError::Picture { what, image: images, source });
        }
        if let Some(labels) = &labels
            && labels.len() != images
        {
            return Err(DataError::Labels { what, images, labels: labels.len() });
        }
        if let Err(source) = samples.check_range() {
            let (image, source) = source.within(each);
            return Err(DataError::Picture { what, image, source });
        }
        Ok(Self { name: what, shape, samples, labels, class_names: None })
    }

    /// Says what the labels stand for.
    #[must_use]
    pub fn with_class_names(mut self, names: Vec<String>) -> Self {
        self.class_names = Some(names);
        self
    }

    /// Shape of every picture.
    pub fn shape(&self) -> Chw {
        self.shape
    }
}

impl Dataset for Stack {
    fn len(&self) -> usize {
        self.samples.len() / self.shape.samples()
    }

    fn label(&self, image: usize) -> Option<usize> {
        self.labels.as_ref()?.get(image).copied()
    }

    fn read(&self, image: usize, into: &mut Picture) -> Result<(), DataError> {
        let images = self.len();
        if image >= images {
            return Err(DataError::NoImage { image, images });
        }
        let each = self.shape.samples();
        let range = image * each..(image + 1) * each;
        match &self.samples {
            Samples::U8(samples) => into.fill_u8(self.shape).copy_from_slice(&samples[range]),
            Samples::F32(samples) => into.fill_f32(self.shape).copy_from_slice(&samples[range]),
        }
        Ok(())
    }

    fn class_names(&self) -> Option<&[String]> {
        self.class_names.as_deref()
    }

    fn size(&self) -> Option<(usize, usize)> {
        Some((self.shape.height, self.shape.width))
    }

    fn describe(&self) -> String {
        let (images, shape, kind) = (self.len(), self.shape, self.samples.type_name());
        let labels = if self.labels.is_some() { "" } else { ", no labels" };
        format!("{}: {images} images of {shape} {kind}{labels}", self.name)
    }
}
