//! One model per exit: each computes what its exit needs and earlier ones have not computed.

use rustc_hash::FxHashSet;

use crate::cut::{Cutter, Types, distinct};
use crate::error::CutError;
use crate::index::{Index, Maker};
use crate::ir::Model;

/// Splits `model` at `exits`, logits tensors with the earliest first.
///
/// Every node that an exit needs is in exactly one part, the first that needs it; other nodes are in none. A part's
/// inputs are inputs of the model, in its order, then outputs of earlier parts by order of production. Its outputs
/// are its exit's logits, then by order of production exactly what later parts take. Constants are shared.
///
/// # Errors
/// `NoOutputs`, `Unknown`, `Twice`, `NotComputed`, `Order` for exits that make no sense; `Untyped` for a tensor at a
/// cut that neither `types` nor the model knows.
pub fn partition(model: &Model, exits: &[String], types: Types<'_>) -> Result<Vec<Model>, CutError> {
    let cutter = Cutter::new(model, types);
    let index = &cutter.index;
    let owners = owners(index, exits)?;
    let crossing = crossing(index, &owners);
    let part = |(part, logits): (usize, &String)| {
        let nodes: Vec<usize> = (0..owners.len()).filter(|node| owners[*node] == Some(part)).collect();
        let inputs = inputs(index, &nodes, |maker| owners[maker] != Some(part));
        let made = nodes.iter().flat_map(|node| &model.graph.nodes[*node].outputs).map(String::as_str);
        let crossing = made.filter(|name| crossing.contains(name) && name != logits);
        let outputs: Vec<&str> = std::iter::once(logits.as_str()).chain(crossing).collect();
        cutter.piece(&nodes, &inputs, &outputs)
    };
    exits.iter().enumerate().map(part).collect()
}

/// The part of every node, `None` where no exit needs it.
fn owners(index: &Index<'_>, exits: &[String]) -> Result<Vec<Option<usize>>, CutError> {
    if exits.is_empty() {
        return Err(CutError::NoOutputs);
    }
    distinct(exits)?;
    let mut owners = vec![None; index.graph().nodes.len()];
    for (part, exit) in exits.iter().enumerate() {
        let producer = match index.maker(exit) {
            Some(Maker::Node { node, .. }) => node,
            Some(_) => return Err(CutError::NotComputed { tensor: exit.clone() }),
            None => return Err(CutError::Unknown { tensor: exit.clone() }),
        };
        if let Some(earlier) = owners[producer] {
            let by: &String = &exits[earlier];
            return Err(CutError::Order { tensor: exit.clone(), by: by.clone() });
        }
        let mut waiting = vec![producer];
        while let Some(node) = waiting.pop() {
            if owners[node].is_none() {
                owners[node] = Some(part);
                waiting.extend(index.needs(node).filter_map(|need| index.producer(need)));
            }
        }
    }
    Ok(owners)
}

/// Tensors that one part gives and another takes.
fn crossing<'g>(index: &Index<'g>, owners: &[Option<usize>]) -> FxHashSet<&'g str> {
    let owned = owners.iter().enumerate().filter(|(_, owner)| owner.is_some());
    let taken = owned.flat_map(|(node, owner)| index.needs(node).map(move |need| (need, *owner)));
    let foreign =
        |&(need, owner): &(&str, _)| index.producer(need).is_some_and(|maker| owners[maker] != owner);
    taken.filter(foreign).map(|(need, _)| need).collect()
}

/// What `nodes` take from inputs of the graph and from nodes that are `outside`.
fn inputs<'g>(index: &Index<'g>, nodes: &[usize], outside: impl Fn(usize) -> bool) -> Vec<&'g str> {
    let place = |need| match index.maker(need)? {
        Maker::Input(input) => Some((0, input, 0, need)),
        Maker::Node { node, output } if outside(node) => Some((1, node, output, need)),
        Maker::Node { .. } | Maker::Initializer(_) => None,
    };
    let needs = nodes.iter().flat_map(|node| index.needs(*node));
    let mut places: Vec<_> = needs.filter_map(place).collect();
    places.sort_unstable();
    places.dedup();
    places.into_iter().map(|(.., need)| need).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Graph, ValueInfo};
    use crate::sample::{constant, graph, model, names, node, strings};

    fn floats(name: &str) -> Option<ValueInfo> {
        Some(ValueInfo::float32(name))
    }

    /// A trunk of three blocks with a residual, and a head at each.
    fn residual() -> Graph {
        let nodes = vec![
            node("Relu", &["image"], &["a"]),
            node("Mul", &["a", "w"], &["exit0"]),
            node("Abs", &["a"], &["dead"]),
            node("Mul", &["a", "v"], &["b"]),
            node("Add", &["b", "w"], &["exit1"]),
            node("Add", &["a", "b"], &["c"]),
            node("Add", &["c", "exit0"], &["d"]),
            node("Add", &["d", "image"], &["exit2"]),
        ];
        let mut graph = graph(&["image"], nodes, &["exit0", "exit1", "exit2"]);
        graph.initializers = vec![constant("w", &[2.0]), constant("v", &[3.0]), constant("unused", &[1.0])];
        graph
    }

    #[test]
    fn parts_take_and_give_exactly_what_crosses() {
        let parts = partition(&model(residual()), &strings(&["exit0", "exit1", "exit2"]), &floats).unwrap();
        let seams: Vec<_> = parts.iter().map(|p| (names(&p.graph.inputs), names(&p.graph.outputs))).collect();
        assert_eq!(
            seams,
            [
                (vec!["image"], vec!["exit0", "a"]),
                (vec!["a"], vec!["exit1", "b"]),
                (vec!["image", "a", "exit0", "b"], vec!["exit2"]),
            ]
        );
    }

    #[test]
    fn constants_are_shared_and_dead_nodes_dropped() {
        let parts = partition(&model(residual()), &strings(&["exit0", "exit1", "exit2"]), &floats).unwrap();
        let constants =
            |part: &Model| part.graph.initializers.iter().map(|i| i.name.clone()).collect::<Vec<_>>();
        assert_eq!(constants(&parts[0]), ["w"]);
        assert_eq!(constants(&parts[1]), ["w", "v"]);
        assert!(constants(&parts[2]).is_empty());
        let weights = |part: &Model| part.graph.initializers[0].tensor.data.as_ptr();
        assert_eq!(weights(&parts[0]), weights(&parts[1]));
        assert_eq!(parts.iter().map(|part| part.graph.nodes.len()).sum::<usize>(), 7);
    }

    #[test]
    fn exits_that_make_no_sense_are_refused_by_name() {
        let model = model(residual());
        let message = |exits: &[&str]| partition(&model, &strings(exits), &floats).unwrap_err().to_string();
        assert_eq!(message(&[]), "a cut needs at least one output tensor");
        assert_eq!(message(&["nope"]), "the graph has no tensor \"nope\"");
        assert_eq!(message(&["exit0", "exit0"]), "tensor \"exit0\" is named twice");
        assert_eq!(
            message(&["image"]),
            "exit \"image\" is not computed, it is an input or a constant of the graph"
        );
        assert_eq!(
            message(&["exit2", "exit0"]),
            "exit \"exit0\" is computed on the way to \"exit2\", which comes before it"
        );
    }

    #[test]
    fn a_cut_tensor_of_unknown_type_is_refused_by_name() {
        let error = partition(&model(residual()), &strings(&["exit0", "exit2"]), &|_| None).unwrap_err();
        assert_eq!(error.to_string(), "cut tensor \"a\" has no element type");
    }
}
