//! Nodes that change nothing.

use rustc_hash::FxHashSet;

use crate::index::Index;
use crate::ir::{Attribute, Model, Node};
use crate::names::{Renames, rename};
use crate::shape::{Shapes, TensorShape};

/// Drops nodes that give what they take. Outputs of the graph keep their names: the producer takes them over.
pub(super) fn bypass(model: &mut Model, shapes: &Shapes) {
    let opset = model.opsets.get("").copied().unwrap_or(i64::MAX);
    let graph = &mut model.graph;
    let outputs: FxHashSet<String> = graph.outputs.iter().map(|info| info.name.clone()).collect();
    let index = Index::new(graph);
    let unused =
        |name: &String| name.is_empty() || (index.consumers(name).is_empty() && !outputs.contains(name));
    let idle = graph.nodes.iter().filter(|node| node.outputs.iter().skip(1).all(unused));
    let idle: FxHashSet<String> = idle
        .filter(|node| changes_nothing(node, opset, shapes))
        .filter_map(|node| node.outputs.first().cloned())
        .collect();

    // Inner names: their users take what the node takes.
    let mut stands_for = Renames::default();
    graph.nodes.retain(|node| match (node.inputs.first(), node.outputs.first()) {
        (Some(from), Some(to)) if idle.contains(to) && !outputs.contains(to) => {
            let from = stands_for.get(from).unwrap_or(from).clone();
            stands_for.insert(to.clone(), from);
            false
        }
        _ => true,
    });
    graph.nodes.iter_mut().for_each(|node| rename(node, &stands_for));

    let computed: FxHashSet<&String> =
        graph.nodes.iter().flat_map(|node| &node.outputs).filter(|name| !outputs.contains(*name)).collect();
    let mut taken_over = Renames::default();
    for node in &graph.nodes {
        if let (Some(from), Some(to)) = (node.inputs.first(), node.outputs.first())
            && idle.contains(to)
            && computed.contains(from)
        {
            taken_over.entry(from.clone()).or_insert_with(|| to.clone());
        }
    }
    // What would now give what it takes is gone.
    let dropped: FxHashSet<&String> = taken_over.values().collect();
    graph.nodes.retain(|node| match (node.inputs.first(), node.outputs.first()) {
        (Some(from), Some(to)) => !(dropped.contains(to) && taken_over.get(from) == Some(to)),
        _ => true,
    });
    graph.nodes.iter_mut().for_each(|node| rename(node, &taken_over));
}

fn changes_nothing(node: &Node, opset: i64, shapes: &Shapes) -> bool {
    if !node.domain.is_empty() {
        return false;
    }
    let form = |names: &[String], at: usize| {
        let shape = names.get(at).and_then(|name| shapes.get(name));
        shape.filter(|shape: &&TensorShape| shape.is_complete())
    };
    let dtype = |names: &[String]| shapes.get(names.first()?).map(|shape| shape.dtype);
    match node.op.as_str() {
        "Identity" => true,
        "Dropout" => infers(node, opset, shapes),
        "Cast" | "CastLike" => dtype(&node.inputs).is_some() && dtype(&node.inputs) == dtype(&node.outputs),
        "Expand" => form(&node.inputs, 0).is_some() && form(&node.inputs, 0) == form(&node.outputs, 0),
        "Pad" => adds_nothing(node, shapes),
        _ => false,
    }
}

/// Whether a `Dropout` is one of inference. Source: Dropout-1, -7 and -12.
fn infers(node: &Node, opset: i64, shapes: &Shapes) -> bool {
    if opset < 7 {
        return node
            .attributes
            .iter()
            .any(|(name, value)| name == "is_test" && matches!(value, Attribute::Int(1)));
    }
    match node.inputs.get(2).filter(|name| !name.is_empty()) {
        Some(training) if opset >= 12 => {
            let elem = shapes.value(training).and_then(|value| value.elems().first()?.whole());
            elem == Some(0)
        }
        _ => true,
    }
}

fn adds_nothing(node: &Node, shapes: &Shapes) -> bool {
    let stated = node.attributes.iter().find(|(name, _)| name == "pads" || name == "paddings");
    match (stated, node.inputs.get(1).and_then(|name| shapes.value(name))) {
        (Some((_, Attribute::Ints(pads))), _) => pads.iter().all(|pad| *pad == 0),
        (None, Some(pads)) => pads.elems().iter().all(|elem| elem.whole() == Some(0)),
        _ => false,
    }
}
