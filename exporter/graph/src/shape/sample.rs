//! One node and what it is given, in a line each, for tests of rules.

use bytes::Bytes;
use offramp_models::DType;

use super::infer;
use crate::ir::{Attribute, Dim, ElementType, Graph, Initializer, Model, Node, Tensor, ValueInfo};

/// Something that a node takes.
#[derive(Clone, Debug)]
pub(crate) enum Given {
    Absent,
    Input(DType, Option<Vec<Dim>>),
    Constant(Tensor),
}

/// A float32 input: `"b 3 32 32"`, where names stay names and `?` is unknown.
pub(crate) fn floats(extents: &str) -> Given {
    typed(DType::Float32, extents)
}

pub(crate) fn typed(dtype: DType, extents: &str) -> Given {
    let dim = |text: &str| match text.parse() {
        Ok(extent) => Dim::Known(extent),
        Err(_) if text == "?" => Dim::Unknown,
        Err(_) => Dim::Named(text.into()),
    };
    Given::Input(dtype, Some(extents.split_whitespace().map(dim).collect()))
}

pub(crate) fn ints(values: &[i64]) -> Given {
    Given::Constant(int_tensor(&[values.len()], values))
}

pub(crate) fn int(value: i64) -> Given {
    Given::Constant(int_tensor(&[], &[value]))
}

pub(crate) fn reals(values: &[f32]) -> Given {
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let dtype = ElementType::Known(DType::Float32);
    Given::Constant(Tensor { dtype, dims: vec![values.len()], data: Bytes::from(data) })
}

pub(crate) fn int_tensor(dims: &[usize], values: &[i64]) -> Tensor {
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Tensor { dtype: ElementType::Known(DType::Int64), dims: dims.to_vec(), data: Bytes::from(data) }
}

pub(crate) fn attributes(given: &[(&str, Attribute)]) -> Vec<(String, Attribute)> {
    given.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

pub(crate) fn list(values: &[i64]) -> Attribute {
    Attribute::Ints(values.to_vec())
}

pub(crate) fn text(text: &'static str) -> Attribute {
    Attribute::String(Bytes::from_static(text.as_bytes()))
}

/// A model of one node, whose outputs are `y0`, `y1`, ..
pub(crate) fn single(
    op: &str,
    opset: i64,
    given: &[Given],
    with: &[(&str, Attribute)],
    outputs: usize,
) -> Model {
    let mut graph = Graph::default();
    let mut node = Node { op: op.into(), attributes: attributes(with), ..Default::default() };
    for (at, given) in given.iter().enumerate() {
        let name = format!("x{at}");
        node.inputs.push(if matches!(given, Given::Absent) { String::new() } else { name.clone() });
        match given.clone() {
            Given::Absent => {}
            Given::Input(dtype, dims) => {
                graph.inputs.push(ValueInfo { name, dtype: Some(ElementType::Known(dtype)), dims });
            }
            Given::Constant(tensor) => graph.initializers.push(Initializer { name, tensor }),
        }
    }
    node.outputs = (0..outputs).map(|at| format!("y{at}")).collect();
    graph.outputs =
        node.outputs.iter().map(|name| ValueInfo { name: name.clone(), dtype: None, dims: None }).collect();
    graph.nodes.push(node);
    Model { ir_version: 8, opsets: [(String::new(), opset)].into(), graph, ..Default::default() }
}

/// What is told of the outputs, or the error and its cause.
pub(crate) fn told_all(
    op: &str,
    opset: i64,
    given: &[Given],
    with: &[(&str, Attribute)],
    outputs: usize,
) -> Vec<String> {
    let model = single(op, opset, given, with, outputs);
    match infer(&model) {
        Ok(shapes) => {
            let told = |name: &String| shapes.get(name).map_or("nothing".into(), ToString::to_string);
            model.graph.nodes[0].outputs.iter().map(told).collect()
        }
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            vec![cause.unwrap_or_else(|| error.to_string())]
        }
    }
}

/// [`told_all`] of one output.
pub(crate) fn told(op: &str, opset: i64, given: &[Given], with: &[(&str, Attribute)]) -> String {
    told_all(op, opset, given, with, 1).remove(0)
}
