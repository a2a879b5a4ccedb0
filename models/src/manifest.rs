//! `manifest.json`: what a bundle says about itself (schema version 1).

mod costs;
mod cuts;
mod identity;
mod validate;

use serde::{Deserialize, Serialize};

use crate::{DType, Sha256, TensorSpec};
pub use validate::ManifestError;

/// The schema version that this build reads and writes.
pub const SCHEMA_VERSION: u32 = 1;

/// A split network: input, classes, exits and segments, earliest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The network's name, letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// Program and version that wrote the bundle.
    pub producer: String,
    /// The model that was split.
    pub source: Source,
    /// What the network takes.
    pub input: Input,
    /// What the logits stand for.
    pub classes: Classes,
    /// Exits by depth; the last is the final exit.
    pub exits: Vec<Exit>,
    /// Segments in the order in which they run.
    pub segments: Vec<Segment>,
    /// Files that do not change the identity: tails, gradients, policies.
    #[serde(default)]
    pub extras: Vec<Extra>,
}

/// Where a bundle came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// File name of the model, without its folder.
    pub file: String,
    /// Digest of that file.
    pub sha256: Sha256,
}

/// Order of an image's axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Layout {
    /// Batch, channels, rows, columns.
    Nchw,
    /// Batch, rows, columns, channels.
    Nhwc,
}

/// What the network takes, and how an image becomes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Name of the graph's input.
    pub name: String,
    /// `float32` or `uint8`.
    pub dtype: DType,
    /// Four extents, `None` for a free batch.
    pub shape: Vec<Option<usize>>,
    /// Order of the axes.
    pub layout: Layout,
    /// Values that black and white take before `mean` and `std`: `[0, 1]` or `[0, 255]`.
    pub range: [f32; 2],
    /// Per channel, in units of `range`; `None` where the network normalises by itself.
    pub mean: Option<Vec<f32>>,
    /// Per channel, in units of `range`; present exactly when `mean` is.
    pub std: Option<Vec<f32>>,
}

impl Input {
    /// The input as a tensor at a seam.
    pub fn spec(&self) -> TensorSpec {
        TensorSpec { name: self.name.clone(), dtype: self.dtype, shape: self.shape.clone() }
    }

    /// `(channels, height, width)`, zeros where the shape does not have four known extents after the batch.
    pub fn chw(&self) -> (usize, usize, usize) {
        let at = |axis: usize| self.shape.get(axis).copied().flatten().unwrap_or(0);
        match self.layout {
            Layout::Nchw => (at(1), at(2), at(3)),
            Layout::Nhwc => (at(3), at(1), at(2)),
        }
    }

    /// The batch that the network insists on, `None` where it is free.
    pub fn fixed_batch(&self) -> Option<usize> {
        self.shape.first().copied().flatten()
    }
}

/// What the logits stand for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classes {
    /// Logits per exit.
    pub count: usize,
    /// One name per class, or none at all.
    pub names: Option<Vec<String>>,
}

/// A place where inference may stop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exit {
    /// Zero-based, by depth.
    pub index: usize,
    /// Name for people, the model's output name where there is one.
    pub name: String,
    /// Name of the logits tensor, shape `[batch, classes]`.
    pub logits: String,
    /// The segment that computes it.
    pub segment: usize,
    /// Multiply-adds from the image to this exit, earlier heads included.
    pub macs: u64,
    /// `macs` over the final exit's `macs`, in [0, 1].
    pub macs_fraction: f64,
    /// Parameters from the image to this exit, earlier heads included.
    pub params: u64,
}

/// A subgraph between two cuts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// Zero-based, in the order of running.
    pub index: usize,
    /// Path inside the bundle, `segments/0.onnx`.
    pub file: String,
    /// Digest of that file.
    pub sha256: Sha256,
    /// Weights kept outside `file` because protobuf stops at 2 GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataFile>,
    /// The network's input or outputs of earlier segments.
    pub inputs: Vec<TensorSpec>,
    /// The exit's logits first, then what later segments need.
    pub outputs: Vec<TensorSpec>,
    /// Multiply-adds of this segment alone.
    pub macs: u64,
    /// Parameters of this segment alone.
    pub params: u64,
    /// Bytes per image that cross the cut after this segment: everything that later segments still need.
    pub boundary_bytes: u64,
}

/// A file of external tensor data beside a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataFile {
    /// Path inside the bundle, `segments/0.onnx.data`.
    pub file: String,
    /// Digest of that file.
    pub sha256: Sha256,
}

/// A file that does not change the bundle's identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extra {
    /// Path inside the bundle.
    pub file: String,
    /// Digest of that file.
    pub sha256: Sha256,
    /// What it is: `policy`, or one of the constants of this type.
    pub kind: String,
}

impl Extra {
    /// Image to logits and residuals.
    pub const GRADIENT_FORWARD: &str = "gradient_forward";
    /// Cotangents of the logits and residuals to the image's gradient.
    pub const GRADIENT_BACKWARD: &str = "gradient_backward";
    /// Weights kept outside a gradient graph because protobuf stops at 2 GiB.
    pub const GRADIENT_DATA: &str = "gradient_data";
    /// The rest of the network from a cut on, for a server: see [`crate::tail`].
    pub const TAIL: &str = "tail";
    /// Weights kept outside a tail because protobuf stops at 2 GiB.
    pub const TAIL_DATA: &str = "tail_data";
    /// What the device runs to bring a cut into a tail's wire form.
    pub const WIRE: &str = "wire";
    /// A question to a tail, and its answer.
    pub const CANARY: &str = "canary";
}

impl Manifest {
    /// The first extra of this kind.
    pub fn extra(&self, kind: &str) -> Option<&Extra> {
        self.extras.iter().find(|extra| extra.kind == kind)
    }
}
