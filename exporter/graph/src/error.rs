//! What can be wrong with models, and with what is asked of them.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::ir::ElementType;

/// A model file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file cannot be opened or mapped.
    #[error("cannot read {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file's content cannot be used.
    #[error("cannot use {}", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ModelError,
    },
}

/// Bytes that are not a model this crate can work with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Another format altogether.
    #[error("expected an ONNX model, found {found}")]
    NotOnnx {
        /// What it looks like.
        found: Foreign,
    },
    /// The end is missing.
    #[error("truncated: the model goes on to byte {expected} at least, the file ends at byte {found}")]
    Truncated {
        /// Bytes that the part being read needs.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// The outline is ONNX, something inside is not.
    #[error("malformed ONNX model")]
    Malformed(#[source] Protobuf),
    /// No graph; the file may have been cut short.
    #[error("the model has no graph")]
    NoGraph,
    /// A graph that computes nothing.
    #[error("the graph has no {missing}")]
    EmptyGraph {
        /// `nodes` or `outputs`.
        missing: &'static str,
    },
    /// Nothing says which operators are meant; the file may have been cut short.
    #[error("the model names no version of the ai.onnx operators (opset_import)")]
    NoOpset,
    /// A weight in sparse form.
    #[error("initializer \"{tensor}\" is sparse, only dense ones are supported")]
    SparseInitializer {
        /// Its name.
        tensor: String,
    },
    /// Quantisation kept beside the graph instead of in it.
    #[error("tensor \"{tensor}\" has a quantization annotation, which cutting would lose")]
    QuantizationAnnotation {
        /// The tensor.
        tensor: String,
    },
    /// An attribute of a kind that is no number, text, dense tensor or graph.
    #[error("attribute \"{attribute}\" of {node} has the unsupported kind {kind} of ONNX")]
    Attribute {
        /// The node.
        node: String,
        /// The attribute.
        attribute: String,
        /// `AttributeProto.AttributeType`.
        kind: i32,
    },
    /// A constant whose elements have no fixed size.
    #[error("constant \"{tensor}\" has elements of unsupported {dtype}")]
    Elements {
        /// Its name.
        tensor: String,
        /// The element type.
        dtype: ElementType,
    },
    /// A constant whose shape nothing can have.
    #[error("constant \"{tensor}\" has the impossible shape {dims:?}")]
    Shape {
        /// Its name.
        tensor: String,
        /// The shape.
        dims: Vec<i64>,
    },
    /// A constant with more or less data than its shape asks for.
    #[error("constant \"{tensor}\" is {dtype} {dims:?} and takes {expected} bytes, got {found}")]
    Size {
        /// Its name.
        tensor: String,
        /// Element type.
        dtype: ElementType,
        /// Extents.
        dims: Vec<usize>,
        /// Bytes that type and extents ask for.
        expected: usize,
        /// Bytes there are.
        found: usize,
    },
    /// A constant outside the model file that cannot be had.
    #[error("constant \"{tensor}\" lies outside the model file")]
    External {
        /// Its name.
        tensor: String,
        /// What went wrong.
        source: ExternalError,
    },
    /// Nodes and tensors that do not make a graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// Nodes and tensors that do not make a graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// Two things give one tensor.
    #[error("tensor \"{tensor}\" is defined twice, the second time by {by}")]
    Duplicate {
        /// The tensor.
        tensor: String,
        /// The second of its makers.
        by: String,
    },
    /// Nothing gives a tensor.
    #[error("{user} takes \"{tensor}\", which nothing gives")]
    Undefined {
        /// The tensor.
        tensor: String,
        /// Who takes it.
        user: String,
    },
    /// A node waits for itself.
    #[error("{node} needs its own result")]
    Cycle {
        /// A node on the cycle.
        node: String,
    },
}

/// External data that cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExternalError {
    /// The model came as bytes.
    #[error("a model without a folder has no files beside it")]
    NoFolder,
    /// The model does not say where.
    #[error("no location is given")]
    NoLocation,
    /// A location that is absolute or climbs.
    #[error("location \"{location}\" leads out of the model's folder")]
    Outside {
        /// The location.
        location: String,
    },
    /// An offset or a length that is no number.
    #[error("{key} \"{value}\" is not a number of bytes")]
    NotANumber {
        /// `offset` or `length`.
        key: &'static str,
        /// What is written there.
        value: String,
    },
    /// The file cannot be opened or mapped.
    #[error("cannot read {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is too short.
    #[error("{} has {size} bytes, bytes {start} to {} are needed", path.display(), u128::from(*start) + u128::from(*length))]
    Range {
        /// The file.
        path: PathBuf,
        /// First byte.
        start: u64,
        /// Bytes needed.
        length: u64,
        /// Bytes there are.
        size: u64,
    },
}

/// What a file that is not ONNX looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Foreign {
    /// Nothing in it.
    Empty,
    /// `PyTorch` since 1.6, Keras 3, NumPy's npz and others.
    Zip,
    /// Python objects, `PyTorch` before 1.6 say.
    Pickle,
    /// Keras before 3.
    Hdf5,
    /// TensorFlow Lite.
    TfLite,
    /// ONNX Runtime's own format.
    OrtFormat,
    /// safetensors.
    Safetensors,
    /// llama.cpp's format.
    Gguf,
    /// What git leaves where a large file was not fetched.
    LfsPointer,
    /// Readable text.
    Text,
    /// Anything else, by its first bytes.
    Bytes([u8; 4]),
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "an empty file",
            Self::Zip => "a zip archive, as PyTorch and Keras save",
            Self::Pickle => "a Python pickle, as old PyTorch saves",
            Self::Hdf5 => "an HDF5 file, as old Keras saves",
            Self::TfLite => "a TensorFlow Lite model",
            Self::OrtFormat => "a model in ONNX Runtime's own format (.ort)",
            Self::Safetensors => "a safetensors file, which holds weights without a graph",
            Self::Gguf => "a GGUF file",
            Self::LfsPointer => "a Git LFS pointer, the model itself was not fetched",
            Self::Text => "text",
            Self::Bytes([a, b, c, d]) => {
                return write!(f, "a file that starts with bytes {a:02x} {b:02x} {c:02x} {d:02x}");
            }
        })
    }
}

/// The protobuf decoder's own words.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Protobuf(pub(crate) prost::DecodeError);

/// A model that cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The file cannot be created or written.
    #[error("cannot write {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// More than protobuf carries, external data set aside.
    #[error("the model takes {bytes} bytes without external data, protobuf stops at {limit}")]
    TooLarge {
        /// Bytes it takes.
        bytes: u64,
        /// The most that readers accept.
        limit: u64,
    },
    /// A path that does not end in a file's name in UTF-8, which external data needs.
    #[error("{} does not end in a UTF-8 file name", path.display())]
    FileName {
        /// The path.
        path: PathBuf,
    },
}

/// A cut that the graph does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CutError {
    /// Nowhere to cut.
    #[error("a cut needs at least one output tensor")]
    NoOutputs,
    /// A name that no tensor has.
    #[error("the graph has no tensor \"{tensor}\"")]
    Unknown {
        /// The name.
        tensor: String,
    },
    /// A tensor asked for twice.
    #[error("tensor \"{tensor}\" is named twice")]
    Twice {
        /// The tensor.
        tensor: String,
    },
    /// An exit that needs no computing.
    #[error("exit \"{tensor}\" is not computed, it is an input or a constant of the graph")]
    NotComputed {
        /// Its logits.
        tensor: String,
    },
    /// An exit that an earlier one computes on its way.
    #[error("exit \"{tensor}\" is computed on the way to \"{by}\", which comes before it")]
    Order {
        /// The later exit's logits.
        tensor: String,
        /// The earlier exit's logits.
        by: String,
    },
    /// Inputs that do not suffice.
    #[error("output \"{output}\" needs \"{tensor}\", which is not among the inputs of the cut")]
    Needs {
        /// The output.
        output: String,
        /// What it needs.
        tensor: String,
    },
    /// A tensor at the cut of which not even the element type is known.
    #[error("cut tensor \"{tensor}\" has no element type")]
    Untyped {
        /// The tensor.
        tensor: String,
    },
}

/// Parts that do not make one model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FuseError {
    /// No parts at all.
    #[error("nothing to fuse")]
    Empty,
    /// One operator domain in two versions.
    #[error("part {part} uses operator set {found} of \"{domain}\", earlier parts use {expected}")]
    Opset {
        /// The later part.
        part: usize,
        /// The domain, `""` for ai.onnx.
        domain: String,
        /// Version of the earlier parts.
        expected: i64,
        /// Version of this part.
        found: i64,
    },
    /// One function with two bodies.
    #[error("part {part} defines function \"{function}\" differently from earlier parts")]
    Function {
        /// The later part.
        part: usize,
        /// The function.
        function: String,
    },
    /// One public name with two meanings.
    #[error("part {part} takes or gives \"{tensor}\", which means something else in earlier parts")]
    Clash {
        /// The later part.
        part: usize,
        /// The tensor.
        tensor: String,
    },
    /// The parts hold together by name only.
    #[error("the fused parts are no graph")]
    Graph(#[from] GraphError),
}

/// Model-local functions that cannot be inlined.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InlineError {
    /// A function that calls itself, directly or through others.
    #[error("function \"{function}\" calls itself")]
    Recursive {
        /// The function.
        function: String,
    },
    /// Two functions of one domain, name and overload.
    #[error("function \"{function}\" is defined twice")]
    Duplicate {
        /// The function.
        function: String,
    },
    /// A call with more inputs or outputs than the function has.
    #[error("{node} has {found} {side}, its function has {expected}")]
    Arity {
        /// The call.
        node: String,
        /// `inputs` or `outputs`.
        side: &'static str,
        /// The function's.
        expected: usize,
        /// The call's.
        found: usize,
    },
    /// A body written for another operator set than the model's.
    #[error("function \"{function}\" uses operator set {found} of \"{domain}\", the model uses {expected}")]
    Opset {
        /// The function.
        function: String,
        /// The domain, `""` for ai.onnx.
        domain: String,
        /// The model's version.
        expected: i64,
        /// The function's version.
        found: i64,
    },
    /// Calls inside calls inside calls.
    #[error("functions call each other more than {limit} deep")]
    TooDeep {
        /// The most that is accepted.
        limit: usize,
    },
    /// Calls that unfold without end in sight.
    #[error("functions unfold to more than {limit} bytes")]
    TooLarge {
        /// The most that is accepted.
        limit: usize,
    },
    /// A body whose nodes do not hold together.
    #[error("function \"{function}\" is no graph")]
    Body {
        /// The function.
        function: String,
        /// What does not hold.
        source: GraphError,
    },
    /// The unfolded nodes do not hold together.
    #[error("the unfolded functions are no graph")]
    Graph(#[from] GraphError),
}
