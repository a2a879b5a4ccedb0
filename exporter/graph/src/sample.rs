//! Small graphs for tests.

use offramp_models::DType;

use crate::ir::{ElementType, Graph, Initializer, Model, Node, Tensor, ValueInfo};

pub(crate) fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> Node {
    Node { op: op.into(), inputs: strings(inputs), outputs: strings(outputs), ..Default::default() }
}

pub(crate) fn graph(inputs: &[&str], nodes: Vec<Node>, outputs: &[&str]) -> Graph {
    let infos = |names: &[&str]| names.iter().map(|name| ValueInfo::float32(*name)).collect();
    Graph { name: "g".into(), nodes, inputs: infos(inputs), outputs: infos(outputs), ..Default::default() }
}

pub(crate) fn model(graph: Graph) -> Model {
    Model { ir_version: 8, opsets: [(String::new(), 17)].into(), graph, ..Default::default() }
}

pub(crate) fn constant(name: &str, values: &[f32]) -> Initializer {
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let dtype = ElementType::Known(DType::Float32);
    Initializer { name: name.into(), tensor: Tensor { dtype, dims: vec![values.len()], data: data.into() } }
}

pub(crate) fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).into()).collect()
}

pub(crate) fn names(infos: &[ValueInfo]) -> Vec<&str> {
    infos.iter().map(|info| &*info.name).collect()
}
