//! Everything that no image changes becomes a constant.

use std::collections::BTreeMap;

use offramp_graph::extract;
use offramp_graph::fold::{self, Folded};
use offramp_graph::ir::{ElementType, Model, Tensor, ValueInfo};
use offramp_models::DType;
use offramp_runtime::backend::tract::TractBackend;
use offramp_runtime::backend::{Backend as _, GraphSource, Origin, RunnerOptions};

use crate::ExportError;

/// Inlines local functions, folds integer arithmetic, then has tract compute the constant float arithmetic that is left.
///
/// # Errors
/// `Inline` for functions that call themselves, `Fold` for a graph that contradicts itself, and tract's refusal of
/// constant arithmetic.
pub fn fold(mut model: Model) -> Result<Folded, ExportError> {
    model.inline()?;
    let folded = fold::fold(model)?;
    let floats = evaluate(&folded)?;
    if floats.is_empty() { Ok(folded) } else { Ok(folded.with_constants(floats)?) }
}

fn evaluate(folded: &Folded) -> Result<BTreeMap<String, Tensor>, ExportError> {
    let float32 = ElementType::Known(DType::Float32);
    let is_float = |name: &&String| folded.shapes.get(name).is_some_and(|shape| shape.dtype == float32);
    let outputs: Vec<String> = folded.constants.iter().filter(is_float).cloned().collect();
    if outputs.is_empty() {
        return Ok(BTreeMap::new());
    }
    let graph = extract(&folded.model, &[], &outputs, &|name| Some(ValueInfo::float32(name)))?;
    let bytes = graph.to_bytes()?;
    let source = GraphSource { label: "the constant part".to_owned(), origin: Origin::Bytes(&bytes) };
    let options = RunnerOptions { host_outputs: outputs, ..RunnerOptions::default() };
    let runner = TractBackend::new().prepare(&source, &options)?;
    let mut bound = runner.bind(&[], 1)?;
    bound.run()?;
    let mut values = BTreeMap::new();
    for (spec, value) in runner.outputs().iter().zip(bound.outputs()) {
        let dims = value.shape();
        let mut elements = vec![0.0_f32; dims.iter().product()];
        value.read(&mut elements)?;
        let data: Vec<u8> = elements.iter().flat_map(|element| element.to_le_bytes()).collect();
        values.insert(spec.name.clone(), Tensor { dtype: float32, dims, data: data.into() });
    }
    Ok(values)
}
