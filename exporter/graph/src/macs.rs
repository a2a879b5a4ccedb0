//! What every node costs: multiply-adds or the Shallow-Deep Networks profiler's operations, and stored numbers.

mod params;
mod profiler;
mod work;

use rustc_hash::FxHashSet;

use crate::ir::{Model, Node};
use crate::shape::{ShapeError, Shapes};

/// How arithmetic is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Counting {
    /// One per multiply-add of convolutions, matrix products and recurrent layers; nothing else counts.
    #[default]
    Macs,
    /// As the published profiler of Shallow-Deep Networks: multiplications and additions of the layers that it knows
    /// (convolution, batch normalisation, ReLU, pools, linear), grouped convolutions times their groups, pools by the
    /// side of their window. For comparison with published fractions only.
    Sdn,
}

/// What one node, or several together, cost for one image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cost {
    /// Multiply-adds, or operations under [`Counting::Sdn`]. A fixed batch counts as one image.
    pub macs: u64,
    /// Stored numbers that the nodes compute with; one that several nodes share counts with the first.
    pub params: u64,
}

/// The cost of every node of a model's main graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MacsByNode {
    nodes: Vec<Cost>,
}

/// A node whose work cannot be counted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MacsError {
    /// A shape that the count needs is not known.
    #[error("{node} cannot be counted")]
    Shape {
        /// The node.
        node: String,
        /// Why.
        #[source]
        source: ShapeError,
    },
    /// Work inside a branch, a loop or a model-local function.
    #[error("what {node} computes inside cannot be counted")]
    Inside {
        /// The node.
        node: String,
    },
    /// More than 64 bits.
    #[error("the count of {node} overflows")]
    Overflow {
        /// The node.
        node: String,
    },
}

/// Counts every node of `model`'s main graph; `shapes` are those of `model`.
///
/// # Errors
/// [`MacsError::Shape`] if a shape that the count needs is not known, [`MacsError::Inside`] for arithmetic in
/// sub-graphs and functions, [`MacsError::Overflow`].
pub fn count(model: &Model, shapes: &Shapes, counting: Counting) -> Result<MacsByNode, MacsError> {
    let weights = params::weights(&model.graph);
    let mut seen = FxHashSet::default();
    let nodes = model.graph.nodes.iter().map(|node| {
        let is_function = model.functions.iter().any(|f| f.name == node.op && f.domain == node.domain);
        if is_function || node.subgraphs().any(computes) {
            return Err(MacsError::Inside { node: node.to_string() });
        }
        let macs = match counting {
            Counting::Macs => work::multiply_adds(node, shapes),
            Counting::Sdn => profiler::operations(node, shapes, &weights),
        };
        let macs = macs.map_err(|refusal| refusal.of(node))?;
        let params = params::params(node, &weights, &mut seen);
        Ok(Cost { macs, params: params.ok_or_else(|| MacsError::Overflow { node: node.to_string() })? })
    });
    Ok(MacsByNode { nodes: nodes.collect::<Result<_, _>>()? })
}

/// Whether a sub-graph holds anything that counts.
fn computes(graph: &crate::ir::Graph) -> bool {
    graph.nodes.iter().any(|node| work::counts(&node.op) || node.subgraphs().any(computes))
}

impl MacsByNode {
    /// The cost of a node, by its position in the graph; nothing beyond the last.
    pub fn node(&self, node: usize) -> Cost {
        self.nodes.get(node).copied().unwrap_or_default()
    }

    /// Several nodes together, by their positions in the graph; saturates.
    pub fn sum(&self, nodes: impl IntoIterator<Item = usize>) -> Cost {
        nodes.into_iter().map(|node| self.node(node)).fold(Cost::default(), |sum, cost| Cost {
            macs: sum.macs.saturating_add(cost.macs),
            params: sum.params.saturating_add(cost.params),
        })
    }

    /// All nodes together; saturates.
    pub fn total(&self) -> Cost {
        self.sum(0..self.nodes.len())
    }

    /// Costs in the order of the nodes.
    pub fn iter(&self) -> impl Iterator<Item = Cost> {
        self.nodes.iter().copied()
    }
}

/// Why one node was not counted.
enum Refusal {
    Shape(ShapeError),
    Overflow,
}

impl From<ShapeError> for Refusal {
    fn from(source: ShapeError) -> Self {
        Self::Shape(source)
    }
}

impl Refusal {
    fn of(self, node: &Node) -> MacsError {
        let node = node.to_string();
        match self {
            Self::Shape(source) => MacsError::Shape { node, source },
            Self::Overflow => MacsError::Overflow { node },
        }
    }
}

/// Extents of one of `names` for one image.
fn extents(names: &[String], at: usize, shapes: &Shapes) -> Result<Vec<u64>, Refusal> {
    let tensor = names.get(at).map_or("", String::as_str);
    let extents = shapes.require(tensor)?.at(1).ok_or(Refusal::Overflow)?;
    extents.into_iter().map(|extent| u64::try_from(extent).map_err(|_| Refusal::Overflow)).collect()
}

fn product(factors: impl IntoIterator<Item = u64>) -> Result<u64, Refusal> {
    factors.into_iter().try_fold(1u64, u64::checked_mul).ok_or(Refusal::Overflow)
}

/// Elements of output 0 for one image.
fn outputs(node: &Node, shapes: &Shapes) -> Result<u64, Refusal> {
    product(extents(&node.outputs, 0, shapes)?)
}
