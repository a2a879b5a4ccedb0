//! A graph of a few nodes while it grows.

use std::collections::HashSet;

use offramp_graph::Model;
use offramp_graph::ir::{Graph, Initializer, Node, Tensor, ValueInfo};

/// Nodes and constants so far, in order.
pub(super) struct Emitter {
    nodes: Vec<Node>,
    constants: Vec<Initializer>,
    taken: HashSet<String>,
}

impl Emitter {
    /// An empty graph that avoids the names in `taken`.
    pub(super) fn new<'n>(taken: impl Iterator<Item = &'n str>) -> Self {
        Self { nodes: Vec::new(), constants: Vec::new(), taken: taken.map(str::to_owned).collect() }
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

    /// The graph, with versions as `like` has them.
    pub(super) fn finish(self, like: &Model, inputs: Vec<ValueInfo>, outputs: Vec<ValueInfo>) -> Model {
        let Self { nodes, constants: initializers, .. } = self;
        let graph =
            Graph { name: like.graph.name.clone(), nodes, initializers, inputs, outputs, ..Graph::default() };
        let opsets = like.opsets.iter().filter(|(domain, _)| domain.is_empty());
        Model {
            ir_version: like.ir_version,
            producer: like.producer.clone(),
            opsets: opsets.map(|(domain, version)| (domain.clone(), *version)).collect(),
            graph,
            ..Model::default()
        }
    }
}
