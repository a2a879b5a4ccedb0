//! The forms in which tensors cross a cut.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{DType, TensorSpec};

/// The form in which the tensors of a cut reach a tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wire {
    /// As segments give them.
    F32,
    /// float32 tensors as uint8, one fixed scale and zero point per tensor; others as segments give them.
    U8,
}

impl Wire {
    /// All forms.
    pub const ALL: [Self; 2] = [Self::F32, Self::U8];

    /// `f32` or `u8`, as in file names.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::U8 => "u8",
        }
    }

    /// How a tensor that a segment gives crosses.
    pub fn carries(self, spec: &TensorSpec) -> TensorSpec {
        let dtype = match (self, spec.dtype) {
            (Self::U8, DType::Float32) => DType::Uint8,
            (_, other) => other,
        };
        TensorSpec { dtype, ..spec.clone() }
    }
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that is no wire form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no wire form {found:?}, expected f32 or u8")]
pub struct NotAWire {
    found: String,
}

impl FromStr for Wire {
    type Err = NotAWire;

    fn from_str(text: &str) -> Result<Self, NotAWire> {
        let found = Self::ALL.into_iter().find(|wire| wire.as_str() == text);
        found.ok_or_else(|| NotAWire { found: text.to_owned() })
    }
}
