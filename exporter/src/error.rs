//! Why a network cannot become a bundle.

use std::io;
use std::path::PathBuf;

use offramp_models::dataset::DataError;
use offramp_models::{BundleError, ManifestError, TensorSpec, Wire};
use offramp_runtime::backend::{BackendError, RunError};
use offramp_runtime::feed::FeedError;
use offramp_runtime::prepare::PrepareError;

impl ExportError {
    /// The engine's refusal, where that is what went wrong: another engine may do.
    pub fn refused_by_backend(&self) -> Option<&BackendError> {
        match self {
            Self::Backend(error) | Self::Prepare(PrepareError::Backend(error)) => Some(error),
            _ => None,
        }
    }
}

/// A network that cannot be split, or a bundle that cannot be proved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The model cannot be read.
    #[error("cannot use the model")]
    Model(#[from] offramp_graph::ReadError),
    /// The model's local functions cannot be inlined.
    #[error("cannot inline the model's functions")]
    Inline(#[from] offramp_graph::InlineError),
    /// The network contradicts itself.
    #[error("cannot fold the network")]
    Fold(#[from] offramp_graph::fold::FoldError),
    /// What the network computes cannot be counted.
    #[error("cannot count the network's arithmetic")]
    Macs(#[from] offramp_graph::macs::MacsError),
    /// The network cannot be cut.
    #[error("cannot cut the network")]
    Cut(#[from] offramp_graph::CutError),
    /// A model cannot be written.
    #[error(transparent)]
    WriteModel(#[from] offramp_graph::WriteError),
    /// A tensor's shape contradicts itself or cannot be told.
    #[error(transparent)]
    Shape(#[from] offramp_graph::shape::ShapeError),
    /// One output where several exits are expected.
    #[error("the network has one output, \"{output}\": an early-exit network has one per exit")]
    OneOutput {
        /// The output.
        output: String,
    },
    /// Several outputs where one is expected.
    #[error("a static network has one output, this one has {found}")]
    NotStatic {
        /// Outputs found.
        found: usize,
    },
    /// A tensor named as an exit is not in the graph.
    #[error("no node gives a tensor \"{tensor}\"{}", nearest.as_ref().map_or(String::new(), |n| format!("; the nearest name is \"{n}\"")))]
    UnknownExit {
        /// The name.
        tensor: String,
        /// A name in the graph that is like it.
        nearest: Option<String>,
    },
    /// Two exits are one tensor.
    #[error("\"{tensor}\" is named as an exit twice")]
    SameExit {
        /// The tensor.
        tensor: String,
    },
    /// An output that is no exit's logits.
    #[error("\"{tensor}\" is {found}, expected an exit's logits: float32 [batch, classes]")]
    NotLogits {
        /// The tensor.
        tensor: String,
        /// Its type and shape.
        found: String,
    },
    /// An output after an activation that logits cannot be recovered from.
    #[error("\"{tensor}\" comes out of {op}: its confidence is not that of a softmax over classes")]
    Activation {
        /// The tensor.
        tensor: String,
        /// The operator.
        op: String,
    },
    /// Exits that do not speak of the same classes.
    #[error("exit \"{exit}\" has {found} classes, exit \"{first}\" has {expected}")]
    Classes {
        /// An exit.
        first: String,
        /// Its classes.
        expected: usize,
        /// Another exit.
        exit: String,
        /// Its classes.
        found: usize,
    },
    /// The network does not take one image.
    #[error(
        "the network takes {found}, expected one image: float32 or uint8, [batch, channels, height, width] or [batch, height, width, channels]"
    )]
    Input {
        /// What it takes.
        found: String,
    },
    /// A tensor at a cut whose images cannot be told apart.
    #[error("\"{tensor}\" crosses the cut after exit {exit} in a form that images cannot be told apart in")]
    Boundary {
        /// The tensor.
        tensor: String,
        /// The exit.
        exit: usize,
        /// What is wrong with its form.
        source: offramp_graph::shape::ShapeError,
    },
    /// The batch appears twice in a tensor at a cut.
    #[error("{tensor} crosses the cut after exit {exit}, expected the batch in one extent at most")]
    BatchTwice {
        /// The tensor.
        tensor: TensorSpec,
        /// The exit.
        exit: usize,
    },
    /// Class names that do not fit.
    #[error("{} names {found} classes, the network has {expected}", path.display())]
    ClassNames {
        /// The file.
        path: PathBuf,
        /// The network's classes.
        expected: usize,
        /// Lines in the file.
        found: usize,
    },
    /// The target is there.
    #[error("{} exists{}", path.display(), if *replaceable { String::new() } else { format!(" and is not {kind}") })]
    Exists {
        /// The target.
        path: PathBuf,
        /// What was to be written there: `a bundle`.
        kind: &'static str,
        /// Whether what is there is one too, which may be replaced on request.
        replaceable: bool,
    },
    /// The target is a file.
    #[error("{} is a file, expected a folder to create", path.display())]
    NotAFolder {
        /// The target.
        path: PathBuf,
    },
    /// A file or folder cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was put together is not a manifest that could be read back.
    #[error("the bundle would not be readable")]
    Manifest(#[from] ManifestError),
    /// The bundle cannot be opened.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// An engine cannot take the graph.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// An engine failed on the graph.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The bundle cannot be prepared.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The composed segments are not the whole network.
    #[error(
        "exit {exit}: composed segments and the whole network differ by {difference:e}, expected at most {tolerance:e}"
    )]
    Proof {
        /// The exit that differs most.
        exit: usize,
        /// Largest difference of its logits.
        difference: f32,
        /// What was allowed.
        tolerance: f32,
    },
    /// A tail that begins where the network has no cut.
    #[error("there is no cut {cut}, the network has cuts 0 to {}", cuts.saturating_sub(1))]
    NoCut {
        /// The cut asked for.
        cut: usize,
        /// Cuts of the network.
        cuts: usize,
    },
    /// Tails without an engine that asks them.
    #[error("tails are answered by an engine before they are written, and none was given")]
    NoEngine,
    /// A bundle without the tails that are to be served.
    #[error("{} has no tails{}", dir.display(), wire.map_or(String::new(), |wire| format!(" for wire form {wire}")))]
    NoTails {
        /// The bundle.
        dir: PathBuf,
        /// The form asked for, `None` for any.
        wire: Option<Wire>,
    },
    /// Segments that should make a tail do not fit together.
    #[error("the segments cannot be put together")]
    Fuse(#[from] offramp_graph::FuseError),
    /// A graph does not give what it was written to give.
    #[error("no segment takes or gives \"{tensor}\"")]
    NoValue {
        /// The tensor.
        tensor: String,
    },
    /// A tail does not answer as the segments do.
    #[error(
        "tail {cut} ({wire}) differs from the segments by {difference:e}, expected at most {tolerance:e}"
    )]
    TailProof {
        /// Where the tail begins.
        cut: usize,
        /// Form of the tensors that it takes.
        wire: Wire,
        /// Largest difference of its logits, relative.
        difference: f32,
        /// What was allowed.
        tolerance: f32,
    },
    /// A tail that gives no numbers.
    #[error("tail {cut} ({wire}) answers with what is no number, or with too few logits")]
    TailNotFinite {
        /// Where the tail begins.
        cut: usize,
        /// Form of the tensors that it takes.
        wire: Wire,
    },
    /// An array cannot be read, or the pictures that wire forms are calibrated on.
    #[error(transparent)]
    Data(#[from] Box<DataError>),
    /// A picture does not become the network's input.
    #[error(transparent)]
    Feed(#[from] Box<FeedError>),
    /// A network that insists on more images than there are.
    #[error("the network takes {batch} images at once, the data to calibrate on has {images}")]
    FewImages {
        /// Images that the network insists on.
        batch: usize,
        /// Images in the data.
        images: usize,
    },
    /// A tensor that cannot be brought into steps.
    #[error("\"{tensor}\" holds {found} on images {first} and on, expected finite numbers")]
    Range {
        /// The tensor.
        tensor: String,
        /// NaN or an infinity.
        found: f32,
        /// First image of the batch.
        first: usize,
    },
    /// A network that gives no numbers.
    #[error("exit {exit} gives a logit of {found} on random images, expected finite numbers")]
    NotFinite {
        /// The exit.
        exit: usize,
        /// NaN or an infinity.
        found: f32,
    },
    /// The network has no gradient graphs.
    #[error("cannot derive the network's gradient")]
    Gradient(#[from] crate::gradient::GradientError),
    /// The gradient does not explain the logits.
    #[error(
        "the gradient explains the logits to {difference:.1e} between random images, expected {tolerance:.0e} at most"
    )]
    GradientProof {
        /// How far its integral and the logits are apart, relative.
        difference: f64,
        /// What was allowed.
        tolerance: f64,
    },
    /// The forward graph is not the network.
    #[error(
        "logits of the forward graph and of the whole network differ by {difference:e}, expected at most {tolerance:e}"
    )]
    ForwardProof {
        /// Largest difference, relative.
        difference: f32,
        /// What was allowed.
        tolerance: f32,
    },
    /// A gradient that gives no numbers.
    #[error("the gradient holds {found} on random images, expected finite numbers")]
    GradientNotFinite {
        /// NaN or an infinity.
        found: f32,
    },
    /// A weight that is no number.
    #[error("weight \"{tensor}\" holds NaN")]
    NanWeight {
        /// The weight.
        tensor: String,
    },
    /// The bundle and the model are different networks.
    #[error("the model's {what} is {found}, the bundle's is {expected}")]
    OtherNetwork {
        /// What differs.
        what: &'static str,
        /// The bundle's.
        expected: String,
        /// The model's.
        found: String,
    },
}
