//! From ONNX to a plan for one image.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use offramp_models::TensorSpec;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::type_proto::Value;
use tract_onnx::pb::{ModelProto, ValueInfoProto};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::{DimLike, SymbolValues};
use tract_onnx::tract_hir::tract_core::ops::cast::cast;

use super::super::{BackendError, EngineError, GraphSource, Origin};
use super::{direct, element};

/// A plan, and what goes in and comes out of it.
pub(super) struct Loaded {
    pub(super) plan: Arc<TypedRunnableModel>,
    pub(super) inputs: Vec<Edge>,
    pub(super) outputs: Vec<Edge>,
    /// The batch that the graph insists on; the plan is for that, or for one image.
    pub(super) fixed: Option<usize>,
}

/// A tensor at the edge of a plan.
#[derive(Clone)]
pub(super) struct Edge {
    /// As the graph states it.
    pub(super) spec: TensorSpec,
    /// Shape in one run of the plan.
    pub(super) row: Vec<usize>,
}

impl Edge {
    /// The axis along which images lie.
    pub(super) fn batch_axis(&self) -> usize {
        self.spec.shape.iter().position(Option::is_none).unwrap_or(0)
    }
}

/// Reads and optimises a graph.
pub(super) fn load(graph: &GraphSource<'_>) -> Result<Loaded, BackendError> {
    let refuse = |source: TractError| BackendError::Prepare {
        backend: "tract",
        graph: graph.label.clone(),
        source: source.into(),
    };
    let proto = read(graph).map_err(refuse)?;
    let mut model = parse(graph, &proto).map_err(refuse)?;
    operators(graph, &model)?;
    let inputs = concretise(graph, &mut model)?;
    let model = optimise(model).map_err(refuse)?;
    let free = inputs.iter().any(|edge| edge.spec.shape.contains(&None));
    let batch = inputs.first().and_then(|edge| edge.row.first().copied());
    let fixed = batch.filter(|_| !free);
    let outputs = outputs(graph, &proto, &model, free)?;
    let plan = model.into_runnable().map_err(refuse)?;
    Ok(Loaded { plan, inputs, outputs, fixed })
}

fn read(graph: &GraphSource<'_>) -> TractResult<ModelProto> {
    match graph.origin {
        Origin::File(path) => tract_onnx::onnx().proto_model_for_path(path),
        Origin::Bytes(mut bytes) => tract_onnx::onnx().proto_model_for_read(&mut bytes),
    }
}

fn parse(graph: &GraphSource<'_>, proto: &ModelProto) -> TractResult<InferenceModel> {
    produced(proto)?;
    let folder = match graph.origin {
        Origin::File(path) => path.parent().and_then(Path::to_str),
        Origin::Bytes(_) => None,
    };
    // What the file says of other tensors speaks of a symbolic batch; the plan has none.
    let onnx = tract_onnx::onnx().with_ignore_output_shapes(true).with_ignore_value_info(true);
    let parsed = onnx.parse(proto, folder)?;
    match parsed.unresolved_inputs.first() {
        Some(tensor) => Err(TractError::msg(format!("nothing gives \"{tensor}\""))),
        None => Ok(parsed.model),
    }
}

/// Refuses outputs that no node gives: tract would panic.
fn produced(proto: &ModelProto) -> TractResult<()> {
    let Some(graph) = &proto.graph else { return Ok(()) };
    let mut names: BTreeSet<&str> = graph.input.iter().map(|input| &*input.name).collect();
    names.extend(graph.initializer.iter().map(|initializer| &*initializer.name));
    names.extend(graph.node.iter().flat_map(|node| &node.output).map(|output| &**output));
    names.extend(graph.node.iter().flat_map(|node| &node.input).map(|input| &**input));
    match graph.output.iter().find(|output| !names.contains(&*output.name)) {
        Some(output) => Err(TractError::msg(format!("nothing gives the output \"{}\"", output.name))),
        None => Ok(()),
    }
}

/// Refuses operators that tract does not know; it would do so later, without naming them.
fn operators(graph: &GraphSource<'_>, model: &InferenceModel) -> Result<(), BackendError> {
    for node in model.nodes() {
        let name = node.op().name();
        if let Some(op) = name.strip_prefix("Unimplemented(").and_then(|name| name.strip_suffix(')')) {
            return Err(BackendError::Operator {
                backend: "tract",
                op: op.to_owned(),
                node: node.name.clone(),
                graph: graph.label.clone(),
            });
        }
    }
    Ok(())
}

/// Sets every input to one image, or to the batch that the graph states, and says what the graph stated.
fn concretise(graph: &GraphSource<'_>, model: &mut InferenceModel) -> Result<Vec<Edge>, BackendError> {
    let outlets = model.inputs.clone();
    let mut edges = Vec::with_capacity(outlets.len());
    for (index, outlet) in outlets.into_iter().enumerate() {
        let name = model.nodes().get(outlet.node).map(|node| node.name.clone()).unwrap_or_default();
        let refused = || BackendError::Tensor { graph: graph.label.clone(), tensor: format!("\"{name}\"") };
        let fact = model.input_fact(index).map_err(|_| refused())?;
        let datum = fact.datum_type.concretize().ok_or_else(refused)?;
        let dtype = element::dtype(datum).ok_or_else(refused)?;
        if fact.shape.is_open() {
            return Err(refused());
        }
        let (mut shape, mut row) = (Vec::new(), Vec::new());
        for (axis, dim) in fact.shape.dims().enumerate() {
            let dim = dim.concretize();
            let stated = dim.as_ref().and_then(|dim| dim.to_usize().ok());
            let single = match (stated, &dim) {
                (Some(extent), _) => extent,
                (None, Some(dim)) => at_one(dim).ok_or_else(refused)?,
                (None, None) if axis == 0 => 1,
                (None, None) => return Err(refused()),
            };
            shape.push(stated);
            row.push(single);
        }
        model.set_input_fact(index, InferenceFact::dt_shape(datum, &row)).map_err(|source| {
            BackendError::Prepare {
                backend: "tract",
                graph: graph.label.clone(),
                source: EngineError::from(source),
            }
        })?;
        edges.push(Edge { spec: TensorSpec { name, dtype, shape }, row });
    }
    Ok(edges)
}

/// A dimension with the batch, and whatever else it depends on, at one.
fn at_one(dim: &TDim) -> Option<usize> {
    let ones = dim.symbols().into_iter().fold(SymbolValues::default(), |ones, symbol| ones.with(&symbol, 1));
    dim.eval(&ones).to_usize().ok()
}

fn optimise(model: InferenceModel) -> TractResult<TypedModel> {
    let mut model = plain_integers(model)?.into_decluttered()?;
    direct::replace(&mut model)?;
    model.into_optimized()
}

/// Outputs that tract made dimensions of, as the 64-bit integers that the file means.
fn plain_integers(model: InferenceModel) -> TractResult<TypedModel> {
    let mut model = model.into_typed()?;
    let mut outputs = model.outputs.clone();
    for outlet in &mut outputs {
        if model.outlet_fact(*outlet)?.datum_type == TDim::datum_type() {
            let name = format!("{}.int64", model.node(outlet.node).name);
            let wires = model.wire_node(name, cast(i64::datum_type()), &[*outlet])?;
            *outlet = wires.first().copied().unwrap_or(*outlet);
        }
    }
    model.select_output_outlets(&outputs)?;
    Ok(model)
}

/// Outputs as the plan gives them; an axis is the batch where the file leaves it open and one image has extent one.
fn outputs(
    graph: &GraphSource<'_>,
    proto: &ModelProto,
    model: &TypedModel,
    free: bool,
) -> Result<Vec<Edge>, BackendError> {
    let infos = proto.graph.iter().flat_map(|graph| &graph.output);
    let edge = |(index, info): (usize, &ValueInfoProto)| {
        let refused =
            || BackendError::Tensor { graph: graph.label.clone(), tensor: format!("\"{}\"", info.name) };
        let fact = model.output_fact(index).map_err(|_| refused())?;
        let dtype = element::dtype(fact.datum_type).ok_or_else(refused)?;
        let row = fact.shape.as_concrete().ok_or_else(refused)?.to_vec();
        let open = |axis: usize| stated(info).map_or(axis == 0, |axes| axes.get(axis) == Some(&false));
        let batch = (0..row.len()).find(|axis| free && row.get(*axis) == Some(&1) && open(*axis));
        let extent = |(axis, extent): (usize, &usize)| Some(*extent).filter(|_| batch != Some(axis));
        let shape = row.iter().enumerate().map(extent).collect();
        Ok(Edge { spec: TensorSpec { name: info.name.clone(), dtype, shape }, row })
    };
    infos.enumerate().map(edge).collect()
}

/// Per axis, whether the file states a number; `None` if it does not state the rank.
fn stated(info: &ValueInfoProto) -> Option<Vec<bool>> {
    let Value::TensorType(tensor) = info.r#type.as_ref()?.value.as_ref()?;
    let number = |dim: &Dimension| matches!(dim.value, Some(dimension::Value::DimValue(_)));
    Some(tensor.shape.as_ref()?.dim.iter().map(number).collect())
}
