//! One extent, or one element of a shape that is computed: a number, or so many times the batch.

use std::fmt;

/// A number that may hang on the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extent {
    /// The same for every batch.
    Known(usize),
    /// This many times the batch, at least once.
    Batch(usize),
    /// Not known.
    Unknown,
}

impl Extent {
    /// The number, where it does not hang on the batch.
    pub fn known(self) -> Option<usize> {
        match self {
            Self::Known(extent) => Some(extent),
            _ => None,
        }
    }

    /// For a batch of one image.
    pub fn per_image(self) -> Option<usize> {
        match self {
            Self::Known(extent) | Self::Batch(extent) => Some(extent),
            Self::Unknown => None,
        }
    }

    /// The product; unknown where the batch would be squared.
    pub fn times(self, other: Self) -> Self {
        match (self, other) {
            (Self::Known(0), _) | (_, Self::Known(0)) => Self::Known(0),
            (Self::Known(a), Self::Known(b)) => a.checked_mul(b).map_or(Self::Unknown, Self::Known),
            (Self::Known(a), Self::Batch(b)) | (Self::Batch(a), Self::Known(b)) => {
                a.checked_mul(b).map_or(Self::Unknown, Self::Batch)
            }
            _ => Self::Unknown,
        }
    }

    /// The quotient where it is whole.
    pub fn over(self, other: Self) -> Self {
        let whole = |a: usize, b: usize| if b > 0 && a % b == 0 { Some(a / b) } else { None };
        match (self, other) {
            (Self::Known(a), Self::Known(b)) | (Self::Batch(a), Self::Batch(b)) => {
                whole(a, b).map_or(Self::Unknown, Self::Known)
            }
            (Self::Batch(a), Self::Known(b)) => whole(a, b).map_or(Self::Unknown, Self::Batch),
            _ => Self::Unknown,
        }
    }

    /// The sum.
    pub fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Known(0), other) | (other, Self::Known(0)) => other,
            (Self::Known(a), Self::Known(b)) => a.checked_add(b).map_or(Self::Unknown, Self::Known),
            (Self::Batch(a), Self::Batch(b)) => a.checked_add(b).map_or(Self::Unknown, Self::Batch),
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(extent) => write!(f, "{extent}"),
            Self::Batch(1) => f.write_str("batch"),
            Self::Batch(times) => write!(f, "{times}*batch"),
            Self::Unknown => f.write_str("?"),
        }
    }
}
