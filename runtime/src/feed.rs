//! Pictures of a data set as a network's input, batch by batch.

use std::collections::BTreeSet;

use offramp_models::dataset::{DataError, Dataset, Picture};
use offramp_models::preprocess::{Fit, HostBuffer, PreprocessError, Preprocessor};
use offramp_models::{DType, Input};

use crate::backend::HostTensor;
use crate::report::Preprocessing;

/// Reads and preprocesses; its memory is used again.
pub struct Feed<'a> {
    data: &'a dyn Dataset,
    preprocessor: Preprocessor,
    picture: Picture,
    buffer: HostBuffer,
    /// Pictures that had another size.
    resized: BTreeSet<usize>,
}

/// A picture that cannot become the network's input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FeedError {
    /// No picture can become this input.
    #[error(transparent)]
    Input(PreprocessError),
    /// The picture cannot be read.
    #[error(transparent)]
    Read(#[from] DataError),
    /// The picture does not fit the input.
    #[error("image {image} does not fit the network")]
    Fit {
        /// The image.
        image: usize,
        /// What was expected and found.
        source: PreprocessError,
    },
}

impl<'a> Feed<'a> {
    /// A feed of `data` for a network that takes `input`.
    ///
    /// # Errors
    /// `Input` when no picture can become that.
    pub fn new(data: &'a dyn Dataset, input: &Input) -> Result<Self, FeedError> {
        let preprocessor = Preprocessor::new(input).map_err(FeedError::Input)?;
        let (picture, buffer) = (Picture::default(), HostBuffer::default());
        Ok(Self { data, preprocessor, picture, buffer, resized: BTreeSet::new() })
    }

    /// Images `first..first + count`, preprocessed.
    ///
    /// # Errors
    /// `Read` or `Fit` for the first that cannot be had.
    pub fn batch(&mut self, first: usize, count: usize) -> Result<HostTensor<'_>, FeedError> {
        self.buffer.clear();
        for image in first..first + count {
            self.data.read(image, &mut self.picture)?;
            let fit = self
                .preprocessor
                .append(&self.picture, &mut self.buffer)
                .map_err(|source| FeedError::Fit { image, source })?;
            if fit == Fit::Resized {
                self.resized.insert(image);
            }
        }
        Ok(match self.preprocessor.dtype() {
            DType::Uint8 => HostTensor::Uint8(self.buffer.uint8()),
            _ => HostTensor::Float32(self.buffer.float32()),
        })
    }

    /// Number of pictures.
    pub fn images(&self) -> usize {
        self.data.len()
    }

    /// What became of the pictures so far.
    pub fn preprocessing(&self) -> Preprocessing {
        Preprocessing { how: self.describe().to_owned(), resized: Some(self.resized.len()) }
    }

    /// What becomes of the pictures.
    pub fn describe(&self) -> &str {
        self.preprocessor.describe()
    }
}
