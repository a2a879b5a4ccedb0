//! From messages to [`crate::ir`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use rustc_hash::FxHashSet;

use super::external::Externals;
use crate::error::ModelError;
use crate::ir::{Attribute, Dim, ElementType, Function, Graph, Initializer, Model, Node, ValueInfo};
use crate::wire::{
    AttributeProto, Extent, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    ValueInfoProto, kind,
};

/// The first IR version in which an initializer need not be listed as an input.
const INITIALIZERS_APART: i64 = 4;

pub(super) struct Converter {
    pub(super) externals: Externals,
}

impl Converter {
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self { externals: Externals::new(folder) }
    }

    pub(super) fn model(&mut self, proto: ModelProto) -> Result<Model, ModelError> {
        let ir_version = proto.ir_version.unwrap_or(0);
        let mut opsets = opsets(proto.opset_import);
        if !opsets.contains_key("") {
            // Operator sets came with IR version 3; before, there was only the first.
            if ir_version >= 3 {
                return Err(ModelError::NoOpset);
            }
            opsets.insert(String::new(), 1);
        }
        let mut graph = self.graph(proto.graph.ok_or(ModelError::NoGraph)?)?;
        if graph.nodes.is_empty() {
            return Err(ModelError::EmptyGraph { missing: "nodes" });
        }
        if graph.outputs.is_empty() {
            return Err(ModelError::EmptyGraph { missing: "outputs" });
        }
        let constants: FxHashSet<&str> = graph.initializers.iter().map(|init| &*init.name).collect();
        graph.inputs.retain(|input| !constants.contains(&*input.name));
        let functions = proto.functions.into_iter().map(|function| self.function(function));
        Ok(Model {
            ir_version: ir_version.max(INITIALIZERS_APART),
            producer: proto.producer_name,
            opsets,
            functions: functions.collect::<Result<_, _>>()?,
            metadata: proto.metadata_props.into_iter().map(|entry| (entry.key, entry.value)).collect(),
            graph,
        })
    }

    fn graph(&mut self, proto: GraphProto) -> Result<Graph, ModelError> {
        if let Some(sparse) = proto.sparse_initializer.into_iter().next() {
            let tensor = sparse.values.map(|values| values.name).unwrap_or_default();
            return Err(ModelError::SparseInitializer { tensor });
        }
        if let Some(annotation) = proto.quantization_annotation.into_iter().next() {
            return Err(ModelError::QuantizationAnnotation { tensor: annotation.tensor_name });
        }
        let nodes = proto.node.into_iter().map(|node| self.node(node)).collect::<Result<_, _>>()?;
        let mut initializers = Vec::with_capacity(proto.initializer.len());
        for mut tensor in proto.initializer {
            let name = std::mem::take(&mut tensor.name);
            initializers.push(Initializer { tensor: self.tensor(tensor, &name)?, name });
        }
        Ok(Graph {
            name: proto.name,
            nodes,
            initializers,
            inputs: proto.input.into_iter().map(value_info).collect(),
            outputs: proto.output.into_iter().map(value_info).collect(),
            value_info: proto.value_info.into_iter().map(value_info).collect(),
        })
    }

    fn node(&mut self, proto: NodeProto) -> Result<Node, ModelError> {
        let mut node = Node {
            name: proto.name,
            op: proto.op_type,
            domain: domain(proto.domain),
            overload: proto.overload,
            inputs: proto.input,
            outputs: proto.output,
            attributes: Vec::with_capacity(proto.attribute.len()),
        };
        for attribute in proto.attribute {
            let attribute = self.attribute(attribute, || node.to_string())?;
            node.attributes.push(attribute);
        }
        Ok(node)
    }

    fn attribute(
        &mut self,
        proto: AttributeProto,
        owner: impl Fn() -> String,
    ) -> Result<(String, Attribute), ModelError> {
        let kind = if proto.r#type == 0 { kind_by_field(&proto) } else { proto.r#type };
        let name = proto.name;
        if !proto.ref_attr_name.is_empty() {
            return Ok((name, Attribute::Reference { name: proto.ref_attr_name, kind }));
        }
        let refused = || ModelError::Attribute { node: owner(), attribute: name.clone(), kind };
        let value = match kind {
            kind::FLOAT => Attribute::Float(proto.f.unwrap_or_default()),
            kind::INT => Attribute::Int(proto.i.unwrap_or_default()),
            kind::STRING => Attribute::String(proto.s.unwrap_or_default()),
            kind::TENSOR => Attribute::Tensor(self.tensor(*proto.t.ok_or_else(refused)?, &name)?),
            kind::GRAPH => Attribute::Graph(Box::new(self.graph(*proto.g.ok_or_else(refused)?)?)),
            kind::FLOATS => Attribute::Floats(proto.floats),
            kind::INTS => Attribute::Ints(proto.ints),
            kind::STRINGS => Attribute::Strings(proto.strings),
            kind::TENSORS => {
                let tensors = proto.tensors.into_iter().map(|tensor| self.tensor(tensor, &name));
                Attribute::Tensors(tensors.collect::<Result<_, _>>()?)
            }
            kind::GRAPHS => {
                let graphs = proto.graphs.into_iter().map(|graph| self.graph(graph));
                Attribute::Graphs(graphs.collect::<Result<_, _>>()?)
            }
            _ => return Err(refused()),
        };
        Ok((name, value))
    }

    fn function(&mut self, proto: FunctionProto) -> Result<Function, ModelError> {
        let name = proto.name;
        let defaults = proto.attribute_proto.into_iter();
        let defaults = defaults.map(|attribute| self.attribute(attribute, || format!("function \"{name}\"")));
        let defaults = defaults.collect::<Result<_, _>>()?;
        Ok(Function {
            domain: domain(proto.domain),
            overload: proto.overload,
            inputs: proto.input,
            outputs: proto.output,
            attributes: proto.attribute,
            defaults,
            nodes: proto.node.into_iter().map(|node| self.node(node)).collect::<Result<_, _>>()?,
            opsets: opsets(proto.opset_import),
            name,
        })
    }
}

/// The kind of an attribute of IR version 1, which had only its fields to tell.
fn kind_by_field(proto: &AttributeProto) -> i32 {
    let present = [
        (proto.f.is_some(), kind::FLOAT),
        (proto.i.is_some(), kind::INT),
        (proto.s.is_some(), kind::STRING),
        (proto.t.is_some(), kind::TENSOR),
        (proto.g.is_some(), kind::GRAPH),
        (!proto.floats.is_empty(), kind::FLOATS),
        (!proto.ints.is_empty(), kind::INTS),
        (!proto.strings.is_empty(), kind::STRINGS),
        (!proto.tensors.is_empty(), kind::TENSORS),
        (!proto.graphs.is_empty(), kind::GRAPHS),
    ];
    present.into_iter().find_map(|(is, kind)| is.then_some(kind)).unwrap_or(0)
}

/// `ai.onnx` has two spellings, of which the IR keeps the empty one.
fn domain(name: String) -> String {
    if name == "ai.onnx" { String::new() } else { name }
}

fn opsets(imports: Vec<OperatorSetIdProto>) -> BTreeMap<String, i64> {
    let entry =
        |import: OperatorSetIdProto| (domain(import.domain.unwrap_or_default()), import.version.unwrap_or(1));
    imports.into_iter().map(entry).collect()
}

fn value_info(proto: ValueInfoProto) -> ValueInfo {
    let tensor = proto.r#type.and_then(|kind| kind.tensor_type);
    let number = tensor.as_ref().and_then(|tensor| tensor.elem_type).filter(|number| *number != 0);
    let dims = tensor.and_then(|tensor| tensor.shape).map(|shape| {
        let dim = |value| match value {
            Some(Extent::Value(extent)) => usize::try_from(extent).map_or(Dim::Unknown, Dim::Known),
            Some(Extent::Param(name)) if !name.is_empty() => Dim::Named(name),
            _ => Dim::Unknown,
        };
        shape.dim.into_iter().map(|proto| dim(proto.value)).collect()
    });
    ValueInfo { name: proto.name, dtype: number.map(ElementType::from_number), dims }
}
