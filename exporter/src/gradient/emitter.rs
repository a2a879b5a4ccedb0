//! The backward graph while it grows.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use offramp_graph::ir::{Attribute, ElementType, Initializer, Node, Tensor};
use offramp_graph::shape::{Extent, TensorShape};
use offramp_models::DType;

/// Attributes of a node about to be emitted.
pub(super) type Attributes<'a> = &'a [(&'a str, Attribute)];

/// Nodes and constants emitted so far. All their names begin with `gradient.`, so that the backward graph can be
/// fused with the forward graph.
pub(super) struct Emitter {
    pub nodes: Vec<Node>,
    pub constants: Vec<Initializer>,
    /// Forms of emitted tensors. Engines do not follow the batch through a reshape, and fuse less where they have lost it.
    pub forms: HashMap<String, TensorShape>,
    known: HashMap<Key, String>,
    taken: HashSet<String>,
}

/// What tells two constants apart.
type Key = (i32, Vec<usize>, Bytes);

impl Emitter {
    /// An empty graph that avoids the names in `taken`.
    pub fn new(taken: HashSet<String>) -> Self {
        Self { nodes: Vec::new(), constants: Vec::new(), forms: HashMap::new(), known: HashMap::new(), taken }
    }

    /// A node with one output, named after `wish`; returns the output's name.
    pub fn node(&mut self, wish: &str, op: &str, inputs: &[&str], attributes: Attributes<'_>) -> String {
        let output = self.fresh(wish);
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        self.nodes.push(Node {
            name: output.clone(),
            op: op.to_owned(),
            inputs: inputs.iter().map(|input| (*input).to_owned()).collect(),
            outputs: vec![output.clone()],
            attributes: attributes.collect(),
            ..Node::default()
        });
        output
    }

    /// A constant; one of the same content is not stored twice.
    pub fn constant(&mut self, tensor: Tensor) -> String {
        let key = (tensor.dtype.number(), tensor.dims.clone(), tensor.data.clone());
        if let Some(name) = self.known.get(&key) {
            return name.clone();
        }
        let name = self.fresh("constant");
        self.known.insert(key, name.clone());
        self.constants.push(Initializer { name: name.clone(), tensor });
        name
    }

    /// A new name, `gradient.<wish>`.
    pub fn name(&mut self, wish: &str) -> String {
        self.fresh(wish)
    }

    /// `gradient.<wish>`, with a number where that is taken.
    fn fresh(&mut self, wish: &str) -> String {
        let plain = format!("gradient.{wish}");
        if self.taken.insert(plain.clone()) {
            return plain;
        }
        let mut number = 1_usize;
        loop {
            let name = format!("{plain}.{number}");
            if self.taken.insert(name.clone()) {
                return name;
            }
            number += 1;
        }
    }
}

/// An int64 tensor of `dims`; `elements` are as many as these say.
pub(super) fn ints(dims: &[usize], elements: &[i64]) -> Tensor {
    let data: Vec<u8> = elements.iter().flat_map(|element| element.to_le_bytes()).collect();
    Tensor { dtype: ElementType::Known(DType::Int64), dims: dims.to_vec(), data: data.into() }
}

/// The target of a `Reshape` to `extents`, at most one of which is not a number; `None` otherwise.
pub(super) fn target(extents: &[Extent]) -> Option<Vec<i64>> {
    let open = extents.iter().filter(|extent| !matches!(extent, Extent::Known(_))).count();
    let one = |extent: &Extent| match extent {
        Extent::Known(extent) => i64::try_from(*extent).ok(),
        Extent::Batch(_) | Extent::Unknown => Some(-1),
    };
    (open <= 1).then(|| extents.iter().map(one).collect()).flatten()
}
