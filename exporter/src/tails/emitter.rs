//! A graph of a few nodes while it grows.

use std::collections::HashSet;

use offramp_graph::Model;
use offramp_graph::ir::{Attribute, ElementType, Graph, Initializer, Node, Tensor, ValueInfo};
use offramp_models::DType;

/// The oldest operator set with `QuantizeLinear` and `DequantizeLinear`.
pub(super) const QUANTISING: i64 = 10;

/// Nodes and constants so far, in order.
pub(super) struct Emitter {
    nodes: Vec<Node>,
    constants: Vec<Initializer>,
    taken: HashSet<String>,
    opset: i64,
}

impl Emitter {
    /// An empty graph of the operator set `opset` that avoids the names in `taken`.
    pub(super) fn new<'n>(opset: i64, taken: impl Iterator<Item = &'n str>) -> Self {
        let taken = taken.map(str::to_owned).collect();
        Self { nodes: Vec::new(), constants: Vec::new(), taken, opset }
    }

    /// Whether the operator set has operators that quantise.
    pub(super) fn quantises(&self) -> bool {
        self.opset >= QUANTISING
    }

    /// A node whose one output is called `into`.
    pub(super) fn node(&mut self, op: &str, inputs: &[&str], into: &str) {
        self.nodes.push(Node {
            name: into.to_owned(),
            op: op.to_owned(),
            inputs: inputs.iter().map(|input| (*input).to_owned()).collect(),
            outputs: vec![into.to_owned()],
            ..Node::default()
        });
    }

    /// A node that makes float32 of `tensor`.
    pub(super) fn cast(&mut self, tensor: &str, into: &str) {
        self.node("Cast", &[tensor], into);
        let to = Attribute::Int(ElementType::Known(DType::Float32).number().into());
        if let Some(node) = self.nodes.last_mut() {
            node.attributes.push(("to".to_owned(), to));
        }
    }

    /// A constant's name.
    pub(super) fn constant(&mut self, tensor: Tensor) -> String {
        let name = self.fresh("wire.constant");
        self.constants.push(Initializer { name: name.clone(), tensor });
        name
    }

    /// `wish`, or `wish` with a number where that is taken.
    pub(super) fn fresh(&mut self, wish: &str) -> String {
        let mut name = wish.to_owned();
        let mut number = 0_usize;
        while !self.taken.insert(name.clone()) {
            number += 1;
            name = format!("{wish}.{number}");
        }
        name
    }

    /// The graph, otherwise of the making of `like`.
    pub(super) fn finish(self, like: &Model, inputs: Vec<ValueInfo>, outputs: Vec<ValueInfo>) -> Model {
        let Self { nodes, constants: initializers, opset, .. } = self;
        let graph =
            Graph { name: like.graph.name.clone(), nodes, initializers, inputs, outputs, ..Graph::default() };
        Model {
            ir_version: like.ir_version,
            producer: like.producer.clone(),
            opsets: [(String::new(), opset)].into(),
            graph,
            ..Model::default()
        }
    }
}

/// Version of the operators of `ai.onnx` that a model uses.
pub(super) fn opset_of(model: &Model) -> i64 {
    model.opsets.get("").copied().unwrap_or_default()
}
