//! Nodes whose outputs are known become initializers.

use bytes::Bytes;
use offramp_models::DType;
use rustc_hash::FxHashSet;

use crate::ir::{Attribute, ElementType, Graph, Initializer, Node, Tensor};
use crate::shape::Shapes;

/// Turns `Constant` nodes and nodes of known whole numbers into initializers; nodes that give outputs stay.
pub(super) fn materialise(graph: &mut Graph, shapes: &Shapes) {
    let outputs: FxHashSet<&str> = graph.outputs.iter().map(|info| info.name.as_str()).collect();
    graph.nodes.retain(|node| {
        if node.outputs.iter().any(|name| outputs.contains(name.as_str())) {
            return true;
        }
        match evaluated(node, shapes) {
            Some(found) => {
                graph.initializers.extend(found);
                false
            }
            None => true,
        }
    });
}

fn evaluated(node: &Node, shapes: &Shapes) -> Option<Vec<Initializer>> {
    if !node.domain.is_empty() {
        return None;
    }
    let present = node.outputs.iter().filter(|name| !name.is_empty());
    let known = |name: &String| {
        let tensor = match node.op.as_str() {
            "Constant" => constant(node)?,
            _ => shapes.value(name)?.to_tensor()?,
        };
        Some(Initializer { name: name.clone(), tensor })
    };
    present.map(known).collect()
}

fn constant(node: &Node) -> Option<Tensor> {
    let (_, attribute) = node.attributes.iter().find(|(name, _)| name.starts_with("value"))?;
    let ints = |ints: &[i64], dims: Vec<usize>| {
        let data: Vec<u8> = ints.iter().flat_map(|int| int.to_le_bytes()).collect();
        Tensor { dtype: ElementType::Known(DType::Int64), dims, data: Bytes::from(data) }
    };
    let floats = |floats: &[f32], dims: Vec<usize>| {
        let data: Vec<u8> = floats.iter().flat_map(|float| float.to_le_bytes()).collect();
        Tensor { dtype: ElementType::Known(DType::Float32), dims, data: Bytes::from(data) }
    };
    Some(match attribute {
        Attribute::Tensor(tensor) => tensor.clone(),
        Attribute::Int(int) => ints(&[*int], Vec::new()),
        Attribute::Ints(all) => ints(all, vec![all.len()]),
        Attribute::Float(float) => floats(&[*float], Vec::new()),
        Attribute::Floats(all) => floats(all, vec![all.len()]),
        _ => return None,
    })
}
