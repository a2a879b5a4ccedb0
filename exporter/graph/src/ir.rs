//! A model in memory. Weights stay in the buffer they were read from.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use offramp_models::DType;

/// An ONNX model. Source: onnx.proto, IR version 14 and earlier.
#[derive(Clone, Debug, Default, PartialEq)]
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
#[derive(Clone, Debug, Default, PartialEq)]
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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// Name for people, may be empty.
    pub name: String,
    /// Operator, `Conv` say.
    pub op: String,
    /// Operator domain; `""` is `ai.onnx`.
    pub domain: String,
    /// Tells apart model-local functions of one domain and name; empty for operators.
    pub overload: String,
    /// Tensor names; `""` leaves an optional input out.
    pub inputs: Vec<String>,
    /// Tensor names; `""` leaves an optional output out.
    pub outputs: Vec<String>,
    /// Attributes in file order.
    pub attributes: Vec<(String, Attribute)>,
}

/// An attribute's value.
#[derive(Clone, Debug, PartialEq)]
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
#[derive(Clone, Debug, PartialEq)]
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

impl Tensor {
    /// float32 elements of `dims`, as many as these say.
    pub fn float32(dims: &[usize], elements: &[f32]) -> Self {
        let data: Vec<u8> = elements.iter().flat_map(|element| element.to_le_bytes()).collect();
        Self { dtype: ElementType::Known(DType::Float32), dims: dims.to_vec(), data: data.into() }
    }

    /// uint8 elements of `dims`, as many as these say.
    pub fn uint8(dims: &[usize], elements: &[u8]) -> Self {
        let data = Bytes::copy_from_slice(elements);
        Self { dtype: ElementType::Known(DType::Uint8), dims: dims.to_vec(), data }
    }
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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Function {
    /// Domain under which nodes call it.
    pub domain: String,
    /// Name under which nodes call it.
    pub name: String,
    /// Tells it apart from others of its domain and name, mostly empty.
    pub overload: String,
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

impl Node {
    /// The sub-graphs among the attributes.
    pub fn subgraphs(&self) -> impl Iterator<Item = &Graph> {
        self.attributes.iter().flat_map(|(_, attribute)| match attribute {
            Attribute::Graph(graph) => std::slice::from_ref(&**graph),
            Attribute::Graphs(graphs) => graphs,
            _ => &[],
        })
    }

    /// The sub-graphs among the attributes, to change them.
    pub fn subgraphs_mut(&mut self) -> impl Iterator<Item = &mut Graph> {
        self.attributes.iter_mut().flat_map(|(_, attribute)| match attribute {
            Attribute::Graph(graph) => std::slice::from_mut(&mut **graph),
            Attribute::Graphs(graphs) => graphs,
            _ => &mut [],
        })
    }
}

/// Prints `Conv "layer1/conv"`, or `Conv of "relu_out"` where the node has no name.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.domain.is_empty() {
            write!(f, "{}.", self.domain)?;
        }
        match self.outputs.first() {
            Some(output) if self.name.is_empty() => write!(f, "{} of \"{output}\"", self.op),
            _ => write!(f, "{} \"{}\"", self.op, self.name),
        }
    }
}

impl ElementType {
    /// The type of a `TensorProto.DataType`.
    pub const fn from_number(number: i32) -> Self {
        Self::Known(match number {
            1 => DType::Float32,
            2 => DType::Uint8,
            3 => DType::Int8,
            4 => DType::Uint16,
            5 => DType::Int16,
            6 => DType::Int32,
            7 => DType::Int64,
            9 => DType::Bool,
            10 => DType::Float16,
            11 => DType::Float64,
            12 => DType::Uint32,
            13 => DType::Uint64,
            16 => DType::BFloat16,
            other => return Self::Other(other),
        })
    }

    /// Its `TensorProto.DataType`; 0 for a type that ONNX lacks.
    pub const fn number(self) -> i32 {
        match self {
            Self::Other(number) => number,
            Self::Known(known) => match known {
                DType::Float32 => 1,
                DType::Uint8 => 2,
                DType::Int8 => 3,
                DType::Uint16 => 4,
                DType::Int16 => 5,
                DType::Int32 => 6,
                DType::Int64 => 7,
                DType::Bool => 9,
                DType::Float16 => 10,
                DType::Float64 => 11,
                DType::Uint32 => 12,
                DType::Uint64 => 13,
                DType::BFloat16 => 16,
                _ => 0,
            },
        }
    }

    /// Bits that one element takes, `None` for strings and unknown types. Elements under a byte are packed.
    pub const fn bits(self) -> Option<usize> {
        match self {
            Self::Known(known) => Some(known.size() * 8),
            Self::Other(14) => Some(64),
            Self::Other(15) => Some(128),
            Self::Other(17..=20 | 24) => Some(8),
            Self::Other(21..=23) => Some(4),
            Self::Other(25 | 26) => Some(2),
            Self::Other(_) => None,
        }
    }
}

/// Prints the manifest's name, or `type 8 of ONNX` where it has none.
impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(known) => known.fmt(f),
            Self::Other(number) => write!(f, "type {number} of ONNX"),
        }
    }
}

impl ValueInfo {
    /// A float32 tensor of unknown shape: what may be said of a tensor that is known to be of floats.
    pub fn float32(name: impl Into<String>) -> Self {
        Self { name: name.into(), dtype: Some(ElementType::Known(DType::Float32)), dims: None }
    }
}
