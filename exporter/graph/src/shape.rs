//! What every tensor looks like, with the batch left free and nothing computed.
//!
//! [`infer`] walks the nodes once. Beside type and extents it follows the values of small integer tensors, so that the
//! `Shape`, `Gather`, `Concat`, `Reshape` chains of traced networks resolve although the batch is unknown.
//! Source: the ONNX operator specifications, opsets 7 to 24.

mod elementwise;
mod extent;
mod facts;
mod layout;
mod operands;
mod product;
mod reduction;
mod window;

use std::collections::HashMap;
use std::fmt;

use offramp_models::{DType, TensorSpec};

use crate::ir::{Dim, ElementType, Graph, Model, Tensor, ValueInfo};
pub use extent::Extent;
pub use facts::{Element, TensorShape};
use operands::Operands;

/// Shapes of a model's tensors by name.
#[derive(Clone, Debug, Default)]
pub struct Shapes {
    known: HashMap<String, TensorShape>,
    /// Tensors whose shape is not known, and the first node on their way that is to blame.
    blame: HashMap<String, Blame>,
}

#[derive(Clone, Debug)]
struct Blame {
    op: String,
    node: String,
}

/// A shape that cannot be told or makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// No node or input of that name.
    #[error("the graph has no tensor \"{tensor}\"")]
    Unknown {
        /// The tensor.
        tensor: String,
    },
    /// An operator on the way has no rule, and the file says nothing.
    #[error("the shape of \"{tensor}\" cannot be told: {op} (node \"{node}\") hides it")]
    Hidden {
        /// The tensor.
        tensor: String,
        /// The first operator on the way whose result is not known.
        op: String,
        /// Its node.
        node: String,
    },
    /// Operands that do not fit each other.
    #[error("{op} (node \"{node}\") expects {expected}, got {found}")]
    Contradiction {
        /// The operator.
        op: String,
        /// Its node.
        node: String,
        /// What would fit.
        expected: String,
        /// What was found.
        found: String,
    },
}

impl Shapes {
    /// What is known of a tensor.
    pub fn get(&self, tensor: &str) -> Option<&TensorShape> {
        self.known.get(tensor)
    }

    /// What is known of a tensor whose type and extents all must be known.
    ///
    /// # Errors
    /// `Unknown`, or `Hidden` with the operator to blame.
    pub fn require(&self, tensor: &str) -> Result<&TensorShape, ShapeError> {
        let shape = self.known.get(tensor).ok_or_else(|| ShapeError::Unknown { tensor: tensor.to_owned() })?;
        if shape.is_complete() {
            return Ok(shape);
        }
        let blame = self.blame.get(tensor).cloned();
        let Blame { op, node } = blame.unwrap_or_else(|| Blame { op: "the file".into(), node: String::new() });
        Err(ShapeError::Hidden { tensor: tensor.to_owned(), op, node })
    }

    /// Names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.known.keys().map(String::as_str)
    }
}

/// Infers the shapes of all tensors of the main graph.
///
/// # Errors
/// `Contradiction` names the first node whose operands do not fit.
pub fn infer(model: &Model) -> Result<Shapes, ShapeError> {
    let graph = &model.graph;
    let opset = model.opsets.get("").copied().unwrap_or(1);
    let mut shapes = Shapes::default();
    let mut constants: HashMap<&str, &Tensor> = HashMap::new();
    for initializer in &graph.initializers {
        constants.insert(&initializer.name, &initializer.tensor);
        shapes.known.insert(initializer.name.clone(), TensorShape::of_constant(&initializer.tensor));
    }
    let batch = batch_name(graph);
    for (position, input) in graph.inputs.iter().enumerate() {
        shapes.known.insert(input.name.clone(), stated(input, batch.as_deref(), position == 0));
    }
    let said: HashMap<&str, &ValueInfo> =
        graph.value_info.iter().chain(&graph.outputs).map(|info| (info.name.as_str(), info)).collect();
    for node in &graph.nodes {
        let operands = Operands { node, opset, shapes: &shapes.known, constants: &constants };
        let mut results = operands.infer()?;
        results.resize_with(node.outputs.len(), TensorShape::default);
        for (output, mut shape) in node.outputs.iter().zip(results) {
            if output.is_empty() {
                continue;
            }
            if !shape.is_complete()
                && let Some(info) = said.get(output.as_str())
            {
                shape.complete_from(&stated(info, batch.as_deref(), false));
            }
            if !shape.is_complete() {
                let earlier = node.inputs.iter().find_map(|input| shapes.blame.get(input).cloned());
                let own = || Blame { op: node.op.clone(), node: node.name.clone() };
                shapes.blame.insert(output.clone(), earlier.unwrap_or_else(own));
            }
            shapes.known.insert(output.clone(), shape);
        }
    }
    Ok(shapes)
}

fn batch_name(graph: &Graph) -> Option<String> {
    match graph.inputs.first()?.dims.as_ref()?.first()? {
        Dim::Named(name) => Some(name.clone()),
        _ => None,
    }
}

fn stated(info: &ValueInfo, batch: Option<&str>, image: bool) -> TensorShape {
    let extent = |(axis, dim): (usize, &Dim)| match dim {
        Dim::Known(extent) if image && axis == 0 && *extent == 0 => Extent::Batch(1),
        Dim::Known(extent) => Extent::Known(*extent),
        Dim::Named(name) if Some(name.as_str()) == batch => Extent::Batch(1),
        Dim::Unknown if image && axis == 0 => Extent::Batch(1),
        _ => Extent::Unknown,
    };
    let dtype = match info.dtype {
        Some(ElementType::Known(dtype)) => Some(dtype),
        _ => None,
    };
    let extents = info.dims.as_ref().map(|dims| dims.iter().enumerate().map(extent).collect());
    TensorShape { dtype, extents, value: None }
}

impl TensorShape {
    /// The tensor at a seam: type and extents known, and the batch in at most one extent, once.
    pub fn spec(&self, name: &str) -> Option<TensorSpec> {
        let extent = |extent: &Extent| match extent {
            Extent::Known(extent) => Some(Some(*extent)),
            Extent::Batch(1) => Some(None),
            _ => None,
        };
        let shape = self.extents.as_ref()?.iter().map(extent).collect::<Option<Vec<_>>>()?;
        Some(TensorSpec { name: name.to_owned(), dtype: self.dtype?, shape })
    }
}

impl fmt::Display for TensorShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.dtype.map_or("unknown type", DType::name))?;
        match &self.extents {
            None => f.write_str("of unknown rank"),
            Some(extents) => {
                let extents: Vec<_> = extents.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", extents.join(", "))
            }
        }
    }
}
