//! Why a network has no gradient graphs.

use offramp_graph::shape::ShapeError;
use offramp_graph::{CutError, WriteError};

/// A network whose gradient cannot be written down.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GradientError {
    /// An operator between the image and a logit that has no rule.
    #[error("no gradient rule for {op} (node {node})")]
    NoRule {
        /// The operator, with its domain if it is not ai.onnx.
        op: String,
        /// The node as errors call it.
        node: String,
    },
    /// A form of an operator that its rule does not cover.
    #[error("no gradient rule for {node} with {what}")]
    Unsupported {
        /// The node as errors call it.
        node: String,
        /// What is not covered.
        what: &'static str,
    },
    /// An attribute that contradicts the operator.
    #[error("attribute \"{name}\" of {node} has a value that the operator does not allow")]
    Attribute {
        /// The node as errors call it.
        node: String,
        /// The attribute.
        name: &'static str,
    },
    /// An input that the operator needs and the node lacks.
    #[error("{node} has no input {input}")]
    MissingInput {
        /// The node as errors call it.
        node: String,
        /// Position of the input.
        input: usize,
    },
    /// Arithmetic between the image and a logit that is not float32.
    #[error("\"{tensor}\" is {found}, expected float32: it lies between the image and an exit")]
    ElementType {
        /// The tensor.
        tensor: String,
        /// Its type and shape.
        found: String,
    },
    /// A tensor of which more than the batch is open.
    #[error("\"{tensor}\" is {found}, expected one extent to depend on the batch at most")]
    Open {
        /// The tensor.
        tensor: String,
        /// Its type and shape.
        found: String,
    },
    /// A name that the gradient graphs need for themselves.
    #[error("the network has a tensor \"{tensor}\", a name that its gradient graphs give another meaning")]
    Taken {
        /// The name.
        tensor: String,
    },
    /// No exit depends on the image.
    #[error("no exit depends on the input \"{input}\"")]
    Unreached {
        /// The network's input.
        input: String,
    },
    /// An operator set older than what the backward graph is written in.
    #[error("the network uses operator set {found}, gradient graphs need 9 or newer")]
    OperatorSet {
        /// The network's.
        found: i64,
    },
    /// A shape that contradicts itself or cannot be told.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// The forward graph cannot be cut out of the network.
    #[error("cannot cut the forward graph")]
    Cut(#[from] CutError),
    /// A gradient graph cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}
