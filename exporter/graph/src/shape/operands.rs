//! A node's operands and attributes, and which rule serves its operator.

use std::collections::HashMap;

use offramp_models::DType;

use super::facts::{Element, TensorShape, floats};
use super::{Extent, ShapeError, elementwise, layout, product, reduction, window};
use crate::ir::{Attribute, ElementType, Node, Tensor};

/// A node with what is known of its inputs.
pub(super) struct Operands<'a> {
    pub node: &'a Node,
    pub opset: i64,
    pub shapes: &'a HashMap<String, TensorShape>,
    pub constants: &'a HashMap<&'a str, &'a Tensor>,
}

/// Shapes of a node's outputs; what is left out is not known.
pub(super) type Results = Result<Vec<TensorShape>, ShapeError>;

impl Operands<'_> {
    /// What is known of the outputs.
    pub fn infer(&self) -> Results {
        let op = self.node.op.as_str();
        match (self.node.domain.as_str(), op) {
            ("" | "ai.onnx", _) => {}
            ("com.microsoft", "Gelu" | "FusedGelu" | "QuickGelu") => return elementwise::same(self),
            _ => return Ok(Vec::new()),
        }
        match op {
            "Conv" | "ConvTranspose" | "MaxPool" | "AveragePool" | "LpPool" | "ConvInteger" | "QLinearConv" => {
                window::infer(self)
            }
            "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => window::global(self),
            "Gemm" | "MatMul" | "MatMulInteger" | "QLinearMatMul" | "Einsum" => product::infer(self),
            "ArgMax" | "ArgMin" | "TopK" => reduction::infer(self),
            reduce if reduce.starts_with("Reduce") => reduction::infer(self),
            "Reshape" | "Flatten" | "Transpose" | "Squeeze" | "Unsqueeze" | "Concat" | "Split" | "Slice" | "Pad"
            | "Resize" | "Upsample" | "Gather" | "Expand" | "Tile" | "Shape" | "Size" | "ConstantOfShape"
            | "Constant" | "Range" | "DepthToSpace" | "SpaceToDepth" => layout::infer(self),
            _ => elementwise::infer(self),
        }
    }

    /// What is known of input `position`; nothing for one that is left out.
    pub fn input(&self, position: usize) -> Option<&TensorShape> {
        self.shapes.get(self.node.inputs.get(position)?)
    }

    pub fn has(&self, position: usize) -> bool {
        self.node.inputs.get(position).is_some_and(|name| !name.is_empty())
    }

    pub fn extents(&self, position: usize) -> Option<&[Extent]> {
        self.input(position)?.extents.as_deref()
    }

    pub fn dtype(&self, position: usize) -> Option<DType> {
        self.input(position)?.dtype
    }

    pub fn value(&self, position: usize) -> Option<&[Element]> {
        self.input(position)?.value.as_deref()
    }

    /// Whole numbers from an input, all known.
    pub fn numbers(&self, position: usize) -> Option<Vec<i64>> {
        self.value(position)?.iter().map(|element| element.number()).collect()
    }

    pub fn float_constant(&self, position: usize) -> Option<Vec<f32>> {
        floats(self.constants.get(self.node.inputs.get(position)?.as_str())?)
    }

    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.node.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    pub fn int(&self, name: &str, default: i64) -> i64 {
        match self.attribute(name) {
            Some(Attribute::Int(value)) => *value,
            _ => default,
        }
    }

    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        match self.attribute(name)? {
            Attribute::Ints(values) => Some(values),
            _ => None,
        }
    }

    pub fn text(&self, name: &str) -> Option<&[u8]> {
        match self.attribute(name)? {
            Attribute::String(text) => Some(text),
            _ => None,
        }
    }

    /// Axes from an attribute or, in newer opsets, from an input.
    pub fn axes(&self, position: usize) -> Option<Vec<i64>> {
        self.ints("axes").map(<[i64]>::to_vec).or_else(|| self.numbers(position))
    }

    pub fn element_type(&self, name: &str) -> Option<DType> {
        match ElementType::from_number(i32::try_from(self.int(name, 0)).ok()?) {
            ElementType::Known(dtype) => Some(dtype),
            ElementType::Other(_) => None,
        }
    }

    pub fn contradiction(&self, expected: impl Into<String>, found: impl Into<String>) -> ShapeError {
        let (op, node) = (self.node.op.clone(), self.node.name.clone());
        ShapeError::Contradiction { op, node, expected: expected.into(), found: found.into() }
    }
}

/// An axis counted from the front.
pub(super) fn axis(axis: i64, rank: usize) -> Option<usize> {
    let rank_i = i64::try_from(rank).ok()?;
    let axis = if axis < 0 { axis.checked_add(rank_i)? } else { axis };
    usize::try_from(axis).ok().filter(|axis| *axis < rank)
}
