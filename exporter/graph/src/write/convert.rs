//! From [`crate::ir`] to messages.

use std::collections::BTreeMap;

use crate::ir::{Attribute, Dim, Function, Graph, Node, Tensor, ValueInfo};
use crate::wire::{
    AttributeProto, DimensionProto, Extent, FunctionProto, GraphProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto, kind,
};

pub(super) fn node(node: &Node) -> NodeProto {
    NodeProto {
        input: node.inputs.clone(),
        output: node.outputs.clone(),
        name: node.name.clone(),
        op_type: node.op.clone(),
        attribute: attributes(&node.attributes),
        domain: node.domain.clone(),
        overload: node.overload.clone(),
    }
}

pub(super) fn function(function: &Function) -> FunctionProto {
    FunctionProto {
        name: function.name.clone(),
        input: function.inputs.clone(),
        output: function.outputs.clone(),
        attribute: function.attributes.clone(),
        node: function.nodes.iter().map(node).collect(),
        opset_import: opsets(&function.opsets),
        domain: function.domain.clone(),
        attribute_proto: attributes(&function.defaults),
        overload: function.overload.clone(),
    }
}

pub(super) fn opsets(opsets: &BTreeMap<String, i64>) -> Vec<OperatorSetIdProto> {
    let import = |(domain, version): (&String, &i64)| OperatorSetIdProto {
        domain: Some(domain.clone()),
        version: Some(*version),
    };
    opsets.iter().map(import).collect()
}

pub(super) fn entries(pairs: &[(String, String)]) -> Vec<StringStringEntryProto> {
    let entry =
        |(key, value): &(String, String)| StringStringEntryProto { key: key.clone(), value: value.clone() };
    pairs.iter().map(entry).collect()
}

pub(super) fn tensor_without_data(name: &str, tensor: &Tensor) -> TensorProto {
    TensorProto {
        name: name.into(),
        // Extents that memory holds are far below `i64::MAX`.
        dims: tensor.dims.iter().map(|dim| *dim as i64).collect(),
        data_type: Some(tensor.dtype.number()),
        ..Default::default()
    }
}

fn tensor(name: &str, tensor: &Tensor) -> TensorProto {
    TensorProto { raw_data: Some(tensor.data.clone()), ..tensor_without_data(name, tensor) }
}

fn graph(graph: &Graph) -> GraphProto {
    GraphProto {
        node: graph.nodes.iter().map(node).collect(),
        name: graph.name.clone(),
        initializer: graph.initializers.iter().map(|init| tensor(&init.name, &init.tensor)).collect(),
        input: value_infos(&graph.inputs),
        output: value_infos(&graph.outputs),
        value_info: typed_value_infos(&graph.value_info),
        ..Default::default()
    }
}

fn attributes(attributes: &[(String, Attribute)]) -> Vec<AttributeProto> {
    attributes.iter().map(|(name, value)| attribute(name, value)).collect()
}

fn attribute(name: &str, value: &Attribute) -> AttributeProto {
    let mut proto = AttributeProto { name: name.into(), ..Default::default() };
    proto.r#type = match value {
        Attribute::Float(value) => {
            proto.f = Some(*value);
            kind::FLOAT
        }
        Attribute::Int(value) => {
            proto.i = Some(*value);
            kind::INT
        }
        Attribute::String(value) => {
            proto.s = Some(value.clone());
            kind::STRING
        }
        Attribute::Tensor(value) => {
            proto.t = Some(Box::new(tensor("", value)));
            kind::TENSOR
        }
        Attribute::Graph(value) => {
            proto.g = Some(Box::new(graph(value)));
            kind::GRAPH
        }
        Attribute::Floats(values) => {
            proto.floats.clone_from(values);
            kind::FLOATS
        }
        Attribute::Ints(values) => {
            proto.ints.clone_from(values);
            kind::INTS
        }
        Attribute::Strings(values) => {
            proto.strings.clone_from(values);
            kind::STRINGS
        }
        Attribute::Tensors(values) => {
            proto.tensors = values.iter().map(|value| tensor("", value)).collect();
            kind::TENSORS
        }
        Attribute::Graphs(values) => {
            proto.graphs = values.iter().map(graph).collect();
            kind::GRAPHS
        }
        Attribute::Reference { name, kind } => {
            proto.ref_attr_name.clone_from(name);
            *kind
        }
    };
    proto
}

pub(super) fn value_infos(infos: &[ValueInfo]) -> Vec<ValueInfoProto> {
    infos.iter().map(value_info).collect()
}

/// Only those that say something: elsewhere than at inputs and outputs, a bare name is an error.
pub(super) fn typed_value_infos(infos: &[ValueInfo]) -> Vec<ValueInfoProto> {
    infos.iter().filter(|info| info.dtype.is_some()).map(value_info).collect()
}

fn value_info(info: &ValueInfo) -> ValueInfoProto {
    let dim = |dim: &Dim| DimensionProto {
        value: match dim {
            Dim::Known(extent) => Some(Extent::Value(*extent as i64)),
            Dim::Named(name) => Some(Extent::Param(name.clone())),
            Dim::Unknown => None,
        },
    };
    let tensor_type = info.dtype.map(|dtype| TensorTypeProto {
        elem_type: Some(dtype.number()),
        shape: info.dims.as_ref().map(|dims| TensorShapeProto { dim: dims.iter().map(dim).collect() }),
    });
    ValueInfoProto {
        name: info.name.clone(),
        r#type: tensor_type.map(|tensor_type| TypeProto { tensor_type: Some(tensor_type) }),
    }
}
