//! Which channel of a picture becomes which of an input.

use super::PreprocessError;
use crate::dataset::Chw;

/// A way from a picture's channels to an input's.
#[derive(Clone, Copy, Debug)]
pub(super) enum Channels {
    /// The same, perhaps without a last one that is alpha.
    Each,
    /// Grey for all.
    Grey,
}

impl Channels {
    /// The way from a picture of shape `picture` to `expected` channels.
    pub fn between(picture: Chw, expected: usize) -> Result<Self, PreprocessError> {
        if picture.samples() == 0 {
            return Err(PreprocessError::NoPixels { found: picture });
        }
        match (picture.channels, expected) {
            (found, expected) if found == expected => Ok(Self::Each),
            (4, 3) => Ok(Self::Each),
            (1, 3) => Ok(Self::Grey),
            (found, expected) => Err(PreprocessError::Channels { expected, found }),
        }
    }

    /// The picture's plane for a channel of the input.
    pub fn plane<T>(self, samples: &[T], channel: usize, size: usize) -> &[T] {
        let from = match self {
            Self::Each => channel * size,
            Self::Grey => 0,
        };
        &samples[from..from + size]
    }

    /// Copies `samples` plane by plane into a picture of `shape`.
    pub fn copy<T: Copy>(self, samples: &[T], into: &mut [T], shape: Chw) {
        let size = shape.height * shape.width;
        for (channel, into) in into.chunks_exact_mut(size).enumerate() {
            into.copy_from_slice(self.plane(samples, channel, size));
        }
    }
}
