//! What can be computed before some inputs are known, and the rest.

use rustc_hash::FxHashSet;

use crate::cut::{Cutter, Types};
use crate::error::CutError;
use crate::index::Maker;
use crate::ir::Model;

/// Cuts `model` in two: the first part computes everything that does not depend on the inputs named `late`, the second
/// the rest.
///
/// The first part's outputs are the model's outputs that it computes, in their order, then by order of production what
/// the second part takes. The second part's inputs are inputs of the model, in its order, then what it takes of the
/// first; its outputs are the model's other ones.
///
/// # Errors
/// `Unknown` for a late input that the model lacks, `NoOutputs` when either part would have none, `Untyped` for a
/// tensor at the cut that neither `types` nor the model knows.
pub fn stage(model: &Model, late: &[String], types: Types<'_>) -> Result<[Model; 2], CutError> {
    let cutter = Cutter::new(model, types);
    let (graph, index) = (&model.graph, &cutter.index);
    if let Some(unknown) = late.iter().find(|name| !matches!(index.maker(name), Some(Maker::Input(_)))) {
        return Err(CutError::Unknown { tensor: unknown.clone() });
    }
    let mut waiting: FxHashSet<&str> = late.iter().map(String::as_str).collect();
    let (mut early_nodes, mut late_nodes) = (Vec::new(), Vec::new());
    for (at, node) in graph.nodes.iter().enumerate() {
        if index.needs(at).any(|need| waiting.contains(need)) {
            waiting.extend(node.outputs.iter().map(String::as_str));
            late_nodes.push(at);
        } else {
            early_nodes.push(at);
        }
    }
    let taken: FxHashSet<&str> = late_nodes.iter().flat_map(|node| index.needs(*node)).collect();
    let (mut first, second): (Vec<&str>, Vec<&str>) =
        graph.outputs.iter().map(|output| output.name.as_str()).partition(|name| !waiting.contains(name));
    if first.is_empty() || second.is_empty() {
        return Err(CutError::NoOutputs);
    }
    let made = early_nodes.iter().flat_map(|node| &graph.nodes[*node].outputs).map(String::as_str);
    let crossing: Vec<&str> = made.filter(|name| taken.contains(name)).collect();
    let inputs = graph.inputs.iter().map(|input| input.name.as_str());
    let (early_inputs, late_inputs): (Vec<&str>, Vec<&str>) = (
        inputs.clone().filter(|name| !waiting.contains(name)).collect(),
        inputs.filter(|name| taken.contains(name)).chain(crossing.iter().copied()).collect(),
    );
    let outputs: FxHashSet<&str> = first.iter().copied().collect();
    first.extend(crossing.into_iter().filter(|name| !outputs.contains(name)));
    Ok([
        cutter.piece(&early_nodes, &early_inputs, &first)?,
        cutter.piece(&late_nodes, &late_inputs, &second)?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::ValueInfo;
    use crate::sample::{constant, graph, model, names, node, strings};

    #[test]
    fn the_first_part_is_all_that_does_not_wait() {
        let nodes = vec![
            node("Relu", &["image"], &["a"]),
            node("Sign", &["a"], &["mask"]),
            node("Mul", &["a", "w"], &["logits"]),
            node("Mul", &["late", "w"], &["b"]),
            node("Mul", &["b", "mask"], &["c"]),
            node("Add", &["c", "image"], &["gradient"]),
        ];
        let mut graph = graph(&["image", "late"], nodes, &["logits", "gradient"]);
        graph.initializers = vec![constant("w", &[2.0])];
        let floats = |name: &str| Some(ValueInfo::float32(name));
        let [first, second] = stage(&model(graph), &strings(&["late"]), &floats).unwrap();
        assert_eq!(names(&first.graph.inputs), ["image"]);
        assert_eq!(names(&first.graph.outputs), ["logits", "mask"]);
        assert_eq!(names(&second.graph.inputs), ["image", "late", "mask"]);
        assert_eq!(names(&second.graph.outputs), ["gradient"]);
        assert_eq!((first.graph.nodes.len(), second.graph.nodes.len()), (3, 3));
        assert_eq!(second.graph.initializers.len(), 1, "constants are in both");
    }

    #[test]
    fn a_model_without_the_late_input_is_refused() {
        let graph = graph(&["image"], vec![node("Relu", &["image"], &["a"])], &["a"]);
        let floats = |name: &str| Some(ValueInfo::float32(name));
        let error = stage(&model(graph), &strings(&["late"]), &floats).unwrap_err();
        assert!(matches!(error, CutError::Unknown { tensor } if tensor == "late"));
    }
}
