//! A graph as the engine makes it when it sees all of it.

use std::path::Path;

use offramp_graph::Model;
use offramp_graph::ir::{ElementType, ValueInfo};
use offramp_models::DType;

use crate::backend::{Backend, EngineError, GraphSource, Origin, RunnerOptions};

/// Lets the engine optimise `whole` and reads back what it saved as `optimised.onnx` in `scratch`, whose file the model
/// is read from as long as it lives.
pub(super) fn optimised(
    whole: &Model,
    label: &str,
    scratch: &Path,
    backend: &dyn Backend,
    threads: Option<usize>,
) -> Result<Model, EngineError> {
    let (fused, saved) = (scratch.join("fused.onnx"), scratch.join(FILE));
    let written = whole.write(&fused)?;
    let graph = GraphSource { label: label.to_owned(), origin: Origin::File(&fused) };
    let saving = RunnerOptions { threads, save_optimised: Some(saved.clone()), ..RunnerOptions::default() };
    drop(backend.prepare(&graph, &saving)?);
    let files = std::iter::once(fused).chain(written.data.map(|data| data.path));
    files.into_iter().try_for_each(std::fs::remove_file)?;
    Ok(Model::read(&saved)?)
}

/// Name of the file that an optimised graph is read from.
pub(super) const FILE: &str = "optimised.onnx";

/// What is known of a tensor of an optimised graph where it is cut, `None` where the file says it.
///
/// Operators of the engine's own carry types that the file does not always state. Comparisons give booleans, everything
/// else at cuts is floats; a wrong guess is an error when the part is loaded.
pub(super) fn guess(model: &Model, tensor: &str) -> Option<ValueInfo> {
    let graph = &model.graph;
    let mut infos = graph.inputs.iter().chain(&graph.outputs).chain(&graph.value_info);
    if infos.any(|info| info.name == tensor && info.dtype.is_some()) {
        return None;
    }
    let maker = graph.nodes.iter().find(|node| node.outputs.iter().any(|output| output == tensor));
    let mut info = ValueInfo::float32(tensor);
    if maker.is_some_and(|node| TRUTHS.contains(&node.op.as_str())) {
        info.dtype = Some(ElementType::Known(DType::Bool));
    }
    Some(info)
}

/// Operators that give booleans.
const TRUTHS: [&str; 11] = [
    "And",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "IsInf",
    "IsNaN",
    "Less",
    "LessOrEqual",
    "Not",
    "Or",
    "Xor",
];
