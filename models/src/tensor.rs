//! Names, element types and shapes of tensors that cross a seam.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Element type of a tensor, named as in ONNX's `TensorProto.DataType`, lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DType {
    /// 32-bit IEEE float.
    Float32,
    /// 16-bit IEEE float.
    Float16,
    /// 64-bit IEEE float.
    Float64,
    /// 16-bit brain float.
    BFloat16,
    /// Unsigned byte.
    Uint8,
    /// Signed byte.
    Int8,
    /// 16-bit signed integer.
    Int16,
    /// 16-bit unsigned integer.
    Uint16,
    /// 32-bit signed integer.
    Int32,
    /// 32-bit unsigned integer.
    Uint32,
    /// 64-bit signed integer.
    Int64,
    /// 64-bit unsigned integer.
    Uint64,
    /// One byte per truth value.
    Bool,
}

impl DType {
    /// Bytes that one element takes.
    pub const fn size(self) -> usize {
        match self {
            Self::Uint8 | Self::Int8 | Self::Bool => 1,
            Self::Float16 | Self::BFloat16 | Self::Int16 | Self::Uint16 => 2,
            Self::Float32 | Self::Int32 | Self::Uint32 => 4,
            Self::Float64 | Self::Int64 | Self::Uint64 => 8,
        }
    }

    /// The name that the manifest uses, `float32` say.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float16 => "float16",
            Self::Float64 => "float64",
            Self::BFloat16 => "bfloat16",
            Self::Uint8 => "uint8",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Uint16 => "uint16",
            Self::Int32 => "int32",
            Self::Uint32 => "uint32",
            Self::Int64 => "int64",
            Self::Uint64 => "uint64",
            Self::Bool => "bool",
        }
    }

    /// The name that the Open Inference Protocol uses, `FP32` say; `BF16` is Triton's.
    ///
    /// Source: "Tensor Data Types", kserve/open-inference-protocol, `specification/protocol/inference_rest.md`.
    pub const fn datatype(self) -> &'static str {
        match self {
            Self::Float32 => "FP32",
            Self::Float16 => "FP16",
            Self::Float64 => "FP64",
            Self::BFloat16 => "BF16",
            Self::Uint8 => "UINT8",
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Uint16 => "UINT16",
            Self::Int32 => "INT32",
            Self::Uint32 => "UINT32",
            Self::Int64 => "INT64",
            Self::Uint64 => "UINT64",
            Self::Bool => "BOOL",
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A tensor at a seam: its name in the graph, element type and shape, `None` standing for the batch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorSpec {
    /// The tensor's name in the ONNX graph.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Extents; `None` (JSON `null`) is the batch.
    pub shape: Vec<Option<usize>>,
}

impl TensorSpec {
    /// Extents with the batch filled in.
    pub fn shape_at(&self, batch: usize) -> Vec<usize> {
        self.shape.iter().map(|extent| extent.unwrap_or(batch)).collect()
    }

    /// Elements that one image contributes.
    pub fn elements_per_image(&self) -> usize {
        self.shape.iter().map(|extent| extent.unwrap_or(1)).product()
    }

    /// Bytes that one image contributes.
    pub fn bytes_per_image(&self) -> usize {
        self.elements_per_image() * self.dtype.size()
    }
}

impl fmt::Display for TensorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" {} {}", self.name, self.dtype, Shape(&self.shape))
    }
}

/// Prints a shape as `[batch, 3, 32, 32]`.
pub struct Shape<'a>(pub &'a [Option<usize>]);

impl fmt::Display for Shape<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (axis, extent) in self.0.iter().enumerate() {
            if axis > 0 {
                f.write_str(", ")?;
            }
            match extent {
                Some(extent) => write!(f, "{extent}")?,
                None => f.write_str("batch")?,
            }
        }
        f.write_str("]")
    }
}
