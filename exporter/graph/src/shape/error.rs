//! What shape inference refuses.

use super::{Extent, Extents};

/// A shape that cannot be told, or a graph that contradicts itself. Nodes are named as `Conv "layer1/conv"`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// No tensor of this name.
    #[error("no tensor is called \"{tensor}\"")]
    NoTensor {
        /// The name asked for.
        tensor: String,
    },
    /// On the way to the tensor is an operator without a rule.
    #[error("the shape of \"{tensor}\" is not known: there is no shape rule for {node}")]
    NoRule {
        /// The tensor asked for.
        tensor: String,
        /// The first such node.
        node: String,
    },
    /// On the way to the tensor is a node whose output shape depends on data.
    #[error("the shape of \"{tensor}\" is not known: it depends on what {node} computes")]
    Data {
        /// The tensor asked for.
        tensor: String,
        /// The first such node.
        node: String,
    },
    /// An input of the network leaves more than the batch open.
    #[error("the shape of \"{tensor}\" is not known: input \"{input}\" leaves more than the batch open")]
    OpenInput {
        /// The tensor asked for.
        tensor: String,
        /// The input.
        input: String,
    },
    /// The tensor's form cannot cross a cut: an element type without a name, or a multiple of the batch.
    #[error("\"{tensor}\" is {found}, which a manifest cannot say")]
    Form {
        /// The tensor asked for.
        tensor: String,
        /// Element type and extents.
        found: String,
    },
    /// A node takes a tensor that nothing before it gives.
    #[error("{node} takes \"{tensor}\", which nothing before it gives")]
    Undefined {
        /// The node.
        node: String,
        /// The tensor.
        tensor: String,
    },
    /// A node cannot take what it is given.
    #[error("{node} cannot take its inputs")]
    Contradiction {
        /// The node.
        node: String,
        /// Why.
        #[source]
        source: Contradiction,
    },
}

/// Why a node cannot take what it is given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Contradiction {
    /// A required input is left out.
    #[error("input {input} is missing")]
    MissingInput {
        /// Its position.
        input: usize,
    },
    /// A required attribute is left out.
    #[error("attribute {name} is missing")]
    MissingAttribute {
        /// The attribute.
        name: &'static str,
    },
    /// An attribute of the wrong type, length or value.
    #[error("attribute {name} has a type, length or value that the operator does not allow")]
    Attribute {
        /// The attribute.
        name: &'static str,
    },
    /// A constant input of the wrong length or value.
    #[error("input {input} has a value that the operator does not allow")]
    Value {
        /// Its position.
        input: usize,
    },
    /// An input of the wrong rank.
    #[error("input {input} has rank {found}, expected {expected}")]
    Rank {
        /// Its position.
        input: usize,
        /// The rank, or the least rank, that is needed.
        expected: usize,
        /// Its rank.
        found: usize,
    },
    /// An axis that the tensor does not have.
    #[error("axis {axis} is out of range for rank {rank}")]
    Axis {
        /// The axis.
        axis: i64,
        /// The tensor's rank.
        rank: usize,
    },
    /// Two extents that must be equal are not.
    #[error("{what}: expected {expected}, got {found}")]
    Extent {
        /// What is compared, `channels` say.
        what: &'static str,
        /// What one side says.
        expected: Extent,
        /// What the other side says.
        found: Extent,
    },
    /// Shapes that do not broadcast.
    #[error("{} and {} do not broadcast", Extents(left), Extents(right))]
    Broadcast {
        /// One shape.
        left: Vec<Extent>,
        /// The other.
        right: Vec<Extent>,
    },
    /// A reshape to another number of elements.
    #[error("{} cannot become {}: the numbers of elements differ", Extents(from), Extents(to))]
    Elements {
        /// The input's shape.
        from: Vec<Extent>,
        /// The shape asked for.
        to: Vec<Extent>,
    },
    /// A window larger than the padded image.
    #[error("a window of {window} does not fit an extent of {extent} (padding included)")]
    Window {
        /// The window's extent, dilation included.
        window: usize,
        /// The image's, padding included.
        extent: usize,
    },
    /// Numbers too large for this machine.
    #[error("an extent overflows")]
    Overflow,
}
