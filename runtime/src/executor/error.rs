//! Why an image got no answer.

use std::fmt;

use crate::backend::RunError;
use crate::confidence::NotFinite;

/// Images that cannot be run, named by their numbers in the data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecutorError {
    /// The network insists on another batch.
    #[error("running {batch} images at once needs a network with a free batch, got one fixed to {fixed}")]
    FixedBatch {
        /// The network's batch.
        fixed: usize,
        /// The batch asked for.
        batch: usize,
    },
    /// No segment reads the image.
    #[error("no segment reads the image")]
    NoImage,
    /// A segment cannot be bound.
    #[error("segment {segment} cannot be wired for a batch of {batch}")]
    Wire {
        /// The segment.
        segment: usize,
        /// The batch.
        batch: usize,
        /// The backend's reason.
        source: RunError,
    },
    /// Not whole images, or too many.
    #[error("expected 1 to {most} images of {elements} elements, got {found} elements")]
    Elements {
        /// Images that fit.
        most: usize,
        /// Elements of one image.
        elements: usize,
        /// Elements given.
        found: usize,
    },
    /// The backend refuses the images.
    #[error("{images} cannot be given to the network")]
    Input {
        /// The images.
        images: Images,
        /// The backend's reason.
        source: RunError,
    },
    /// A segment failed.
    #[error("segment {segment} cannot be run on {images}")]
    Segment {
        /// The segment.
        segment: usize,
        /// The images.
        images: Images,
        /// The backend's reason.
        source: RunError,
    },
    /// Images that go on cannot be told from those that stop.
    #[error("{images} cannot be compacted after segment {segment}")]
    Compaction {
        /// The segment.
        segment: usize,
        /// The images.
        images: Images,
        /// The backend's reason.
        source: RunError,
    },
    /// What is sent of images cannot be computed.
    #[error("what is sent of {images} before segment {segment} cannot be computed")]
    Departure {
        /// The segment that would run next.
        segment: usize,
        /// The images.
        images: Images,
        /// The backend's reason.
        source: RunError,
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

/// Consecutive images by number; prints as `image 12` or `images 64 to 127`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Images {
    /// Number of the first.
    pub first: usize,
    /// How many.
    pub count: usize,
}

impl fmt::Display for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => write!(f, "image {}", self.first),
            count => write!(f, "images {} to {}", self.first, self.first + count.saturating_sub(1)),
        }
    }
}
