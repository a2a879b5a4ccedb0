//! One picture: planes of samples.

use std::fmt;

use crate::digest::Hasher;

/// A picture, plane by plane: channel, row, column.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    shape: Chw,
    samples: Samples,
}

/// Channels, height and width; prints as `3x32x32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Chw {
    /// Planes: 1 for grey, 3 for colour, 4 with alpha.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// A picture's samples.
#[derive(Clone, Debug, PartialEq)]
pub enum Samples {
    /// 0 is black, 255 is white.
    U8(Vec<u8>),
    /// 0 is black, 1 is white.
    F32(Vec<f32>),
}

/// Samples that are no picture.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// Too few or too many.
    #[error("a picture of {shape} needs {} samples, got {found}", shape.samples())]
    Count {
        /// The shape.
        shape: Chw,
        /// Samples given.
        found: usize,
    },
    /// A sample that is neither black, white nor between.
    #[error("sample {position} is {found}, expected float32 in [0, 1]")]
    Range {
        /// The first such sample.
        position: usize,
        /// Its value.
        found: f32,
    },
}

impl Picture {
    /// A picture of `samples` in the order of its planes.
    ///
    /// # Errors
    /// `Count` when their number does not fit, `Range` for a float outside [0, 1].
    pub fn new(shape: Chw, samples: Samples) -> Result<Self, PictureError> {
        if samples.len() != shape.samples() {
            return Err(PictureError::Count { shape, found: samples.len() });
        }
        samples.check_range()?;
        Ok(Self { shape, samples })
    }

    /// Channels, height and width.
    pub fn shape(&self) -> Chw {
        self.shape
    }

    /// The samples, plane by plane.
    pub fn samples(&self) -> &Samples {
        &self.samples
    }

    /// Makes this a uint8 picture of `shape` and gives its samples to fill. Allocates only to grow.
    pub fn fill_u8(&mut self, shape: Chw) -> &mut [u8] {
        self.shape = shape;
        if !matches!(self.samples, Samples::U8(_)) {
            self.samples = Samples::U8(Vec::new());
        }
        match &mut self.samples {
            Samples::U8(samples) => {
                samples.resize(shape.samples(), 0);
                samples
            }
            Samples::F32(_) => &mut [],
        }
    }

    /// Makes this a float32 picture of `shape` and gives its samples to fill with [0, 1]. Allocates only to grow.
    pub fn fill_f32(&mut self, shape: Chw) -> &mut [f32] {
        self.shape = shape;
        if !matches!(self.samples, Samples::F32(_)) {
            self.samples = Samples::F32(Vec::new());
        }
        match &mut self.samples {
            Samples::F32(samples) => {
                samples.resize(shape.samples(), 0.0);
                samples
            }
            Samples::U8(_) => &mut [],
        }
    }

    pub(super) fn digest_into(&self, hasher: &mut Hasher) {
        for extent in [self.shape.channels, self.shape.height, self.shape.width] {
            hasher.update(&(extent as u64).to_le_bytes());
        }
        match &self.samples {
            Samples::U8(samples) => {
                hasher.update(&[0]);
                hasher.update(samples);
            }
            Samples::F32(samples) => {
                hasher.update(&[1]);
                for_le_bytes(samples, |bytes| hasher.update(bytes));
            }
        }
    }
}

impl PictureError {
    /// The image of `each` samples that is meant when many lie one after the other, and the error as its own.
    pub(super) fn within(self, each: usize) -> (usize, Self) {
        match self {
            Self::Range { position, found } => {
                (position / each, Self::Range { position: position % each, found })
            }
            count @ Self::Count { .. } => (0, count),
        }
    }
}

impl Default for Picture {
    /// A picture without samples, to be filled.
    fn default() -> Self {
        Self { shape: Chw::default(), samples: Samples::U8(Vec::new()) }
    }
}

impl Chw {
    /// Samples of a picture of this shape.
    pub const fn samples(self) -> usize {
        self.channels.saturating_mul(self.height).saturating_mul(self.width)
    }
}

impl fmt::Display for Chw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

impl Samples {
    /// Their number.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(samples) => samples.len(),
            Self::F32(samples) => samples.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `uint8` or `float32`.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::U8(_) => "uint8",
            Self::F32(_) => "float32",
        }
    }

    pub(super) fn check_range(&self) -> Result<(), PictureError> {
        if let Self::F32(samples) = self
            && let Some(position) = samples.iter().position(|sample| !(0.0..=1.0).contains(sample))
        {
            return Err(PictureError::Range { position, found: samples[position] });
        }
        Ok(())
    }
}

/// Gives the little-endian bytes of `samples` to `each`, many at a time.
pub(super) fn for_le_bytes(samples: &[f32], mut each: impl FnMut(&[u8])) {
    let mut bytes = [0; 4096];
    for samples in samples.chunks(bytes.len() / 4) {
        let (bytes, _) = bytes.split_at_mut(samples.len() * 4);
        for (bytes, sample) in bytes.chunks_exact_mut(4).zip(samples) {
            bytes.copy_from_slice(&sample.to_le_bytes());
        }
        each(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Chw = Chw { channels: 1, height: 2, width: 2 };

    #[test]
    fn a_picture_has_as_many_samples_as_its_shape() {
        let error = Picture::new(SHAPE, Samples::U8(vec![0; 5])).unwrap_err();
        assert_eq!(error.to_string(), "a picture of 1x2x2 needs 4 samples, got 5");
    }

    #[test]
    fn a_float_picture_lies_between_black_and_white() {
        assert!(Picture::new(SHAPE, Samples::F32(vec![0.0, 1.0, 0.5, -0.0])).is_ok());
        let error = Picture::new(SHAPE, Samples::F32(vec![0.0, 1.5, 0.5, 0.0])).unwrap_err();
        assert_eq!(error.to_string(), "sample 1 is 1.5, expected float32 in [0, 1]");
        assert!(Picture::new(SHAPE, Samples::F32(vec![f32::NAN; 4])).is_err());
    }

    #[test]
    fn a_filled_picture_forgets_its_former_shape_and_type() {
        let mut picture = Picture::default();
        picture.fill_f32(SHAPE).fill(1.0);
        picture.fill_u8(Chw { height: 1, ..SHAPE }).fill(7);
        assert_eq!(picture, Picture::new(Chw { height: 1, ..SHAPE }, Samples::U8(vec![7; 2])).unwrap());
    }
}
