//! How much a graph computes for one image.

use rustc_hash::FxHashSet;

use crate::ir::{Attribute, ElementType, Graph, Model, Node, Tensor};
use crate::shape::{Extent, ShapeError, Shapes};

/// How arithmetic is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counting {
    /// One per multiply-add of convolutions and matrix products; a group sees its own channels only.
    #[default]
    Macs,
    /// As the published profiler of the Shallow-Deep Networks code: multiplications and additions each one, max-pools
    /// k - 1 per element, grouped convolutions as if every group saw all channels.
    Sdn,
}

/// Cost of every node, by position.
#[derive(Clone, Debug, Default)]
pub struct MacsByNode(Vec<u64>);

impl MacsByNode {
    /// Of one node.
    pub fn of(&self, node: usize) -> u64 {
        self.0.get(node).copied().unwrap_or(0)
    }

    /// Of all nodes.
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, cost| sum.saturating_add(*cost))
    }
}

/// Counts what every node computes for one image.
///
/// # Errors
/// [`ShapeError`] when the shape of a product's operand is not known.
pub fn count(model: &Model, shapes: &Shapes, counting: Counting) -> Result<MacsByNode, ShapeError> {
    model.graph.nodes.iter().map(|node| cost(node, shapes, counting)).collect::<Result<_, _>>().map(MacsByNode)
}

/// Distinct weights that the graph's nodes read, with their numbers of elements: float constants of rank one or more.
pub fn parameters(graph: &Graph) -> impl Iterator<Item = (&str, u64)> {
    let read: FxHashSet<&str> = graph.nodes.iter().flat_map(|node| &node.inputs).map(String::as_str).collect();
    let is_weight = |tensor: &Tensor| {
        let float = match tensor.dtype {
            ElementType::Known(dtype) => dtype.name().contains("float"),
            ElementType::Other(_) => false,
        };
        float && !tensor.dims.is_empty()
    };
    graph
        .initializers
        .iter()
        .filter(move |initializer| read.contains(initializer.name.as_str()) && is_weight(&initializer.tensor))
        .map(|initializer| {
            let elements = initializer.tensor.dims.iter().fold(1u64, |p, extent| p.saturating_mul(*extent as u64));
            (initializer.name.as_str(), elements)
        })
}

fn cost(node: &Node, shapes: &Shapes, counting: Counting) -> Result<u64, ShapeError> {
    if !matches!(node.domain.as_str(), "" | "ai.onnx") {
        return Ok(0);
    }
    let products = match node.op.as_str() {
        "Conv" | "ConvInteger" => convolution(node, shapes, 1, counting)?,
        "QLinearConv" => convolution(node, shapes, 3, counting)?,
        "ConvTranspose" => {
            let weight = extents(shapes, input(node, 1))?;
            let [_, out, kernel @ ..] = weight.as_slice() else { return Ok(0) };
            volume(extents(shapes, input(node, 0))?).saturating_mul(out.saturating_mul(product(kernel)))
        }
        "Gemm" => {
            let a = extents(shapes, input(node, 0))?;
            let inner = if int(node, "transA") != 0 { a.first() } else { a.last() };
            volume(output(node, shapes)?).saturating_mul(inner.copied().unwrap_or(1))
        }
        "MatMul" | "MatMulInteger" | "QLinearMatMul" => {
            let inner = extents(shapes, input(node, 0))?.last().copied().unwrap_or(1);
            volume(output(node, shapes)?).saturating_mul(inner)
        }
        "MaxPool" if counting == Counting::Sdn => {
            let window = node.attributes.iter().find_map(|(name, value)| match (name.as_str(), value) {
                ("kernel_shape", Attribute::Ints(extents)) => {
                    Some(extents.iter().fold(1u64, |p, e| p.saturating_mul(u64::try_from(*e).unwrap_or(1))))
                }
                _ => None,
            });
            return Ok(volume(output(node, shapes)?).saturating_mul(window.unwrap_or(1).saturating_sub(1)));
        }
        _ => return Ok(0),
    };
    Ok(match counting {
        Counting::Macs => products,
        Counting::Sdn => products.saturating_mul(2),
    })
}

fn convolution(node: &Node, shapes: &Shapes, weight: usize, counting: Counting) -> Result<u64, ShapeError> {
    let per_output = product(extents(shapes, input(node, weight))?.get(1..).unwrap_or_default());
    let group = u64::try_from(int(node, "group")).unwrap_or(1).max(1);
    let times = match counting {
        Counting::Macs => 1,
        // The published profiler multiplies by the groups where it should divide the channels by them.
        Counting::Sdn => group.saturating_mul(group),
    };
    Ok(volume(output(node, shapes)?).saturating_mul(per_output).saturating_mul(times))
}

fn input(node: &Node, position: usize) -> &str {
    node.inputs.get(position).map_or("", String::as_str)
}

fn output(node: &Node, shapes: &Shapes) -> Result<Vec<u64>, ShapeError> {
    extents(shapes, node.outputs.first().map_or("", String::as_str))
}

fn int(node: &Node, name: &str) -> i64 {
    let found = node.attributes.iter().find(|(key, _)| key == name);
    match found {
        Some((_, Attribute::Int(value))) => *value,
        _ => 0,
    }
}

/// Extents for one image.
fn extents(shapes: &Shapes, tensor: &str) -> Result<Vec<u64>, ShapeError> {
    let shape = shapes.require(tensor)?;
    let extents = shape.extents.iter().flatten();
    Ok(extents.filter_map(|extent: &Extent| extent.per_image()).map(|extent| extent as u64).collect())
}

fn product(extents: &[u64]) -> u64 {
    extents.iter().fold(1, |product, extent| product.saturating_mul(*extent))
}

fn volume(extents: Vec<u64>) -> u64 {
    product(&extents)
}
