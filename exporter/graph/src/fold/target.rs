//! Reshapes whose target holds the batch.

use bytes::Bytes;
use offramp_models::DType;

use crate::ir::{Attribute, ElementType, Initializer, Model, Node, Tensor};
use crate::names::Names;
use crate::shape::{Elem, Extent, Shapes};

/// Gives every such reshape a constant target, so that the arithmetic behind it dies.
pub(super) fn fix(model: &mut Model, shapes: &Shapes, names: &mut Names) {
    let graph = &mut model.graph;
    for node in &mut graph.nodes {
        let Some(target) = target(node, shapes) else { continue };
        let Some(wired) = node.inputs.get_mut(1) else { continue };
        let output = node.outputs.first().map_or("reshape", String::as_str);
        let name = names.fresh(&format!("{output}/target"));
        let data: Vec<u8> = target.iter().flat_map(|extent| extent.to_le_bytes()).collect();
        let (dtype, dims) = (ElementType::Known(DType::Int64), vec![target.len()]);
        let tensor = Tensor { dtype, dims, data: Bytes::from(data) };
        graph.initializers.push(Initializer { name: name.clone(), tensor });
        *wired = name;
    }
}

/// The target with the batch copied (0) where it stays at its axis, else left over (-1).
fn target(node: &Node, shapes: &Shapes) -> Option<Vec<i64>> {
    if node.op != "Reshape" || !node.domain.is_empty() {
        return None;
    }
    let asked = shapes.value(node.inputs.get(1)?)?.elems();
    let varies = |elem: &Elem| elem.linear().is_some_and(|linear| linear.known().is_none());
    if !asked.iter().any(varies) {
        return None;
    }
    let zero_is_zero = node
        .attributes
        .iter()
        .any(|(name, value)| name == "allowzero" && !matches!(value, Attribute::Int(0)));
    let from = shapes.get(node.inputs.first()?)?;
    let to = shapes.get(node.outputs.first()?)?;
    let mut open = false;
    let mut target = Vec::with_capacity(asked.len());
    for (axis, elem) in asked.iter().enumerate() {
        let result = *to.extents.get(axis)?;
        let stays = result != Extent::Unknown && from.extents.get(axis) == Some(&result) && !zero_is_zero;
        target.push(match elem.linear()?.known() {
            Some(-1) if stays => 0,
            Some(-1) if let Extent::Known(extent @ 1..) = result => i64::try_from(extent).ok()?,
            Some(known) if known != -1 => known,
            None if stays => 0,
            _ if open => return None,
            _ => {
                open = true;
                -1
            }
        });
    }
    Some(target)
}
