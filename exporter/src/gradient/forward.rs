//! What the backward walk may know of the network: constants, shapes, which tensors the image reaches.

use std::collections::{HashMap, HashSet};

use offramp_graph::ir::{ElementType, Model, Node, Tensor};
use offramp_graph::shape::{Shapes, TensorShape};
use offramp_models::DType;

/// The network, looked at from its end.
pub(super) struct Forward<'m> {
    pub model: &'m Model,
    pub shapes: Shapes,
    pub opset: i64,
    constants: HashMap<&'m str, &'m Tensor>,
    reached: HashSet<&'m str>,
}

/// Operators that hand elements on as they are: through them a gradient passes even where the elements are bytes.
const MOVEMENTS: [&str; 10] =
    ["Concat", "Expand", "Flatten", "Gather", "Identity", "Pad", "Reshape", "Slice", "Split", "Transpose"];

impl<'m> Forward<'m> {
    /// Looks at `model`, whose only input is the image.
    pub fn new(model: &'m Model, shapes: Shapes) -> Self {
        let graph = &model.graph;
        let constants = graph.initializers.iter().map(|init| (init.name.as_str(), &init.tensor)).collect();
        let mut forward = Self {
            model,
            shapes,
            opset: model.opsets.get("").copied().unwrap_or(i64::MAX),
            constants,
            reached: graph.inputs.iter().map(|input| input.name.as_str()).collect(),
        };
        for node in &graph.nodes {
            if node.inputs.iter().any(|input| forward.is_reached(input)) {
                let carries = |output: &&String| forward.carries(node, output);
                let outputs: Vec<&str> = node.outputs.iter().filter(carries).map(String::as_str).collect();
                forward.reached.extend(outputs);
            }
        }
        forward
    }

    /// Whether a change of the image changes `tensor` smoothly.
    pub fn is_reached(&self, tensor: &str) -> bool {
        self.reached.contains(tensor)
    }

    /// The constant of this name.
    pub fn constant(&self, tensor: &str) -> Option<&'m Tensor> {
        self.constants.get(tensor).copied()
    }

    /// The element type of a tensor, where it is known.
    pub fn dtype(&self, tensor: &str) -> Option<ElementType> {
        self.shapes.get(tensor).map(|shape: &TensorShape| shape.dtype)
    }

    fn carries(&self, node: &Node, output: &str) -> bool {
        use DType::{BFloat16, Float16, Float32, Float64};
        let real = match self.dtype(output) {
            Some(ElementType::Known(dtype)) => matches!(dtype, Float32 | Float16 | Float64 | BFloat16),
            // An operator without a shape rule has no gradient rule either, and is to be named.
            _ => true,
        };
        !output.is_empty() && (real || (node.domain.is_empty() && MOVEMENTS.contains(&node.op.as_str())))
    }
}
