//! Everything that no image changes becomes a constant.

use offramp_graph::fold::{self, Folded};
use offramp_graph::ir::{ElementType, Initializer, Model, Tensor};
use offramp_graph::{extract, shape};
use offramp_models::DType;
use offramp_runtime::backend::tract::TractBackend;
use offramp_runtime::backend::{Backend as _, GraphSource, Origin, RunnerOptions};

use crate::ExportError;

/// Inlines local functions, folds integer arithmetic, then has tract compute the constant float arithmetic that is left.
///
/// # Errors
/// `Inline` for functions that call themselves, `Shape` for a graph that contradicts itself, and tract's refusal of
/// constant arithmetic.
pub fn fold(mut model: Model) -> Result<Model, ExportError> {
    model.inline()?;
    let Folded { mut model, constants } = fold::fold(model)?;
    if !constants.is_empty() {
        let values = evaluate(&model, &constants)?;
        fold::substitute(&mut model, values);
    }
    Ok(model)
}

fn evaluate(model: &Model, constants: &[String]) -> Result<Vec<Initializer>, ExportError> {
    let shapes = shape::infer(model)?;
    let floats = |name: &&String| shapes.get(name).is_some_and(|shape| shape.dtype == Some(DType::Float32));
    let outputs: Vec<String> = constants.iter().filter(floats).cloned().collect();
    if outputs.is_empty() {
        return Ok(Vec::new());
    }
    let graph = extract(model, &[], &outputs, &|name| Some(offramp_graph::ir::ValueInfo::float32(name)))?;
    let bytes = graph.to_bytes()?;
    let source = GraphSource { label: "the constant part".to_owned(), origin: Origin::Bytes(&bytes) };
    let options = RunnerOptions { host_outputs: outputs, ..RunnerOptions::default() };
    let runner = TractBackend::new().prepare(&source, &options)?;
    let mut bound = runner.bind(&[], 1)?;
    bound.run()?;
    let mut values = Vec::new();
    for (spec, value) in runner.outputs().iter().zip(bound.outputs()) {
        let dims = value.shape();
        let mut elements = vec![0.0_f32; dims.iter().product()];
        value.read(&mut elements)?;
        let data: Vec<u8> = elements.iter().flat_map(|element| element.to_le_bytes()).collect();
        let tensor = Tensor { dtype: ElementType::Known(DType::Float32), dims, data: data.into() };
        values.push(Initializer { name: spec.name.clone(), tensor });
    }
    Ok(values)
}
