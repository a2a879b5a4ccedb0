//! The part of a model between named tensors.

use rustc_hash::FxHashSet;

use crate::cut::{Cutter, Types, distinct};
use crate::error::CutError;
use crate::index::{Maker, NodeSet};
use crate::ir::Model;
use crate::names::Names;

/// Cuts out of `model` what computes `outputs` from `inputs`; both keep their order, any tensor may be either.
///
/// # Errors
/// `NoOutputs`, `Unknown`, `Twice` for names that make no sense; `Needs` when `inputs` do not suffice; `Untyped` for
/// a tensor at a cut that neither `types` nor the model knows.
pub fn extract(
    model: &Model,
    inputs: &[String],
    outputs: &[String],
    types: Types<'_>,
) -> Result<Model, CutError> {
    if outputs.is_empty() {
        return Err(CutError::NoOutputs);
    }
    distinct(inputs)?;
    distinct(outputs)?;
    let cutter = Cutter::new(model, types);
    let unknown = inputs.iter().find(|input| cutter.index.maker(input).is_none());
    if let Some(tensor) = unknown {
        return Err(CutError::Unknown { tensor: tensor.clone() });
    }
    let given: FxHashSet<&str> = inputs.iter().map(String::as_str).collect();
    let nodes: Vec<usize> = between(&cutter, &given, outputs)?.iter().collect();
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let mut piece = cutter.piece(&nodes, &inputs, &outputs)?;
    hide(&mut piece, &given);
    Ok(piece)
}

/// The nodes that `outputs` need beyond what is `given`.
fn between(cutter: &Cutter<'_>, given: &FxHashSet<&str>, outputs: &[String]) -> Result<NodeSet, CutError> {
    let mut nodes = NodeSet::default();
    for output in outputs {
        let mut waiting = vec![output.as_str()];
        while let Some(tensor) = waiting.pop() {
            if given.contains(tensor) {
                continue;
            }
            match cutter.index.maker(tensor) {
                Some(Maker::Node { node, .. }) if nodes.insert(node) => {
                    waiting.extend(cutter.index.needs(node))
                }
                Some(Maker::Node { .. } | Maker::Initializer(_)) => {}
                Some(Maker::Input(_)) => {
                    return Err(CutError::Needs { output: output.clone(), tensor: tensor.into() });
                }
                None => return Err(CutError::Unknown { tensor: tensor.into() }),
            }
        }
    }
    Ok(nodes)
}

/// Gives outputs of nodes other names where an input of the piece has theirs: such a node is there for its other
/// outputs.
fn hide(piece: &mut Model, given: &FxHashSet<&str>) {
    let mut names = Names::of(&piece.graph);
    for output in piece.graph.nodes.iter_mut().flat_map(|node| &mut node.outputs) {
        if given.contains(output.as_str()) {
            *output = names.fresh(output);
        }
    }
    piece.graph.value_info.retain(|info| !given.contains(info.name.as_str()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::ValueInfo;
    use crate::sample::{graph, model, names, node, strings};

    fn cut(inputs: &[&str], outputs: &[&str]) -> Result<Model, CutError> {
        let nodes = vec![
            node("Relu", &["x"], &["a"]),
            node("Split", &["a"], &["b", "c"]),
            node("Add", &["b", "c"], &["d"]),
            node("Mul", &["d", "y"], &["e"]),
        ];
        let whole = model(graph(&["x", "y"], nodes, &["e"]));
        extract(&whole, &strings(inputs), &strings(outputs), &|name| Some(ValueInfo::float32(name)))
    }

    #[test]
    fn what_lies_between_the_names_is_cut_out() {
        let piece = cut(&["d", "y"], &["e"]).unwrap().graph;
        assert_eq!((names(&piece.inputs), names(&piece.outputs)), (vec!["d", "y"], vec!["e"]));
        assert_eq!(piece.nodes.len(), 1);
    }

    #[test]
    fn an_output_may_be_an_input() {
        let piece = cut(&["d", "y"], &["d", "e"]).unwrap().graph;
        assert_eq!(names(&piece.outputs), ["d", "e"]);
    }

    #[test]
    fn inputs_that_do_not_suffice_are_refused_by_name() {
        let error = cut(&["d"], &["e"]).unwrap_err();
        assert_eq!(error.to_string(), "output \"e\" needs \"y\", which is not among the inputs of the cut");
    }

    #[test]
    fn a_node_needed_for_one_output_does_not_clash_with_an_input_named_as_the_other() {
        let piece = cut(&["x", "b"], &["d"]).unwrap().graph;
        assert_eq!(piece.nodes[1].outputs, ["b_1", "c"]);
        assert_eq!(piece.nodes[2].inputs, ["b", "c"]);
    }
}
