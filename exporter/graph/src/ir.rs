//! A model in memory. Weights stay in the buffer they were read from.

use std::collections::BTreeMap;

use bytes::Bytes;
use offramp_models::DType;

/// An ONNX model. Source: onnx.proto, IR version 13 and earlier.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// `ir_version`.
    pub ir_version: i64,
    /// Program that wrote the file.
    pub producer: String,
    /// Operator set versions by domain; `""` is `ai.onnx`.
    pub opsets: BTreeMap<String, i64>,
    /// Model-local functions.
    pub functions: Vec<Function>,
    /// `metadata_props`, in order.
    pub metadata: Vec<(String, String)>,
    /// The main graph.
    pub graph: Graph,
}

/// Nodes in topological order, and what enters and leaves them.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// The graph's name.
    pub name: String,
    /// Nodes, producers before consumers.
    pub nodes: Vec<Node>,
    /// Weights and constants by unique name.
    pub initializers: Vec<Initializer>,
    /// Inputs proper: never one that an initializer also names.
    pub inputs: Vec<ValueInfo>,
    /// Outputs.
    pub outputs: Vec<ValueInfo>,
    /// What the file says about other tensors.
    pub value_info: Vec<ValueInfo>,
}

/// One operator call.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Name for people, may be empty.
    pub name: String,
    /// Operator, `Conv` say.
    pub op: String,
    /// Operator domain; `""` is `ai.onnx`.
    pub domain: String,
    /// Tensor names; `""` leaves an optional input out.
    pub inputs: Vec<String>,
    /// Tensor names; `""` leaves an optional output out.
    pub outputs: Vec<String>,
    /// Attributes in file order.
    pub attributes: Vec<(String, Attribute)>,
}

/// An attribute's value.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Attribute {
    /// A number.
    Float(f32),
    /// A whole number.
    Int(i64),
    /// Text, not necessarily UTF-8.
    String(Bytes),
    /// A constant.
    Tensor(Tensor),
    /// A sub-graph, as `If` and `Loop` have.
    Graph(Box<Graph>),
    /// Numbers.
    Floats(Vec<f32>),
    /// Whole numbers.
    Ints(Vec<i64>),
    /// Texts.
    Strings(Vec<Bytes>),
    /// Constants.
    Tensors(Vec<Tensor>),
    /// Sub-graphs.
    Graphs(Vec<Graph>),
    /// Inside a function: the caller's attribute of this name.
    Reference {
        /// The caller's attribute.
        name: String,
        /// `AttributeProto.AttributeType` of the value.
        kind: i32,
    },
}

/// A named constant.
#[derive(Clone, Debug)]
pub struct Initializer {
    /// Unique in its graph.
    pub name: String,
    /// The value.
    pub tensor: Tensor,
}

/// A constant: element type, extents, little-endian elements in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Element type.
    pub dtype: ElementType,
    /// Extents.
    pub dims: Vec<usize>,
    /// `product(dims)` elements, little-endian; strings never get here.
    pub data: Bytes,
}

/// An element type by its ONNX number (`TensorProto.DataType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// A type that the manifest can name.
    Known(DType),
    /// Any other: strings, complex and sub-byte numbers.
    Other(i32),
}

/// What is known of a tensor without computing it.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueInfo {
    /// The tensor's name.
    pub name: String,
    /// Element type, where it is a tensor and the file says so.
    pub dtype: Option<ElementType>,
    /// Extents, where the rank is known.
    pub dims: Option<Vec<Dim>>,
}

/// One extent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Dim {
    /// A number.
    Known(usize),
    /// A name that stands for the same number everywhere, `batch` say.
    Named(String),
    /// Nothing is known.
    Unknown,
}

/// A model-local function.
#[derive(Clone, Debug, Default)]
pub struct Function {
    /// Domain under which nodes call it.
    pub domain: String,
    /// Name under which nodes call it.
    pub name: String,
    /// Formal inputs.
    pub inputs: Vec<String>,
    /// Formal outputs.
    pub outputs: Vec<String>,
    /// Attributes without a default.
    pub attributes: Vec<String>,
    /// Attributes with a default.
    pub defaults: Vec<(String, Attribute)>,
    /// The body.
    pub nodes: Vec<Node>,
    /// Operator sets that the body uses.
    pub opsets: BTreeMap<String, i64>,
}
