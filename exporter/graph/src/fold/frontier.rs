//! Where constants that take float arithmetic meet the image.

use rustc_hash::FxHashSet;

use crate::index::{Index, Maker};
use crate::ir::{ElementType, Graph, Node};
use crate::shape::Shapes;

/// Tensors computed from constants alone and taken by nodes that are not.
pub(super) fn constants(graph: &Graph, shapes: &Shapes) -> Vec<String> {
    let index = Index::new(graph);
    let outputs: FxHashSet<&str> = graph.outputs.iter().map(|info| info.name.as_str()).collect();
    let mut constant = vec![false; graph.nodes.len()];
    for (at, node) in graph.nodes.iter().enumerate() {
        let given = |need: &str| match index.maker(need) {
            Some(Maker::Initializer(_)) => true,
            Some(Maker::Node { node, .. }) => constant.get(node).copied().unwrap_or(false),
            Some(Maker::Input(_)) | None => false,
        };
        let is_constant = is_fixed(node)
            && node
                .outputs
                .iter()
                .all(|name| name.is_empty() || (!outputs.contains(name.as_str()) && is_plain(name, shapes)))
            && index.needs(at).all(given);
        if let Some(flag) = constant.get_mut(at) {
            *flag = is_constant;
        }
    }
    let is_constant = |node: &usize| constant.get(*node).copied().unwrap_or(false);
    let made = graph.nodes.iter().enumerate().filter(|(at, _)| is_constant(at));
    let names = made.flat_map(|(_, node)| &node.outputs);
    names.filter(|name| index.consumers(name).iter().any(|user| !is_constant(user))).cloned().collect()
}

/// Whether the node gives the same for the same inputs, and is worth evaluating.
fn is_fixed(node: &Node) -> bool {
    let drawn =
        node.op.starts_with("Random") || matches!(node.op.as_str(), "Bernoulli" | "Multinomial" | "Dropout");
    node.domain.is_empty() && !drawn && node.op != "DequantizeLinear"
}

fn is_plain(tensor: &str, shapes: &Shapes) -> bool {
    shapes.get(tensor).is_some_and(|shape| matches!(shape.dtype, ElementType::Known(_)))
}
