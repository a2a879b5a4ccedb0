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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Attribute, Dim};
    use crate::sample::{constant, graph, model as small, node};
    use crate::shape::infer;
    use crate::shape::sample::{Given, floats, list, reals, single, text};

    fn cost(model: &Model, counting: Counting) -> u64 {
        count(model, &infer(model).unwrap(), counting).unwrap().total().macs
    }

    fn macs(op: &str, given: &[Given], with: &[(&str, Attribute)]) -> u64 {
        cost(&single(op, 17, given, with, 1), Counting::Macs)
    }

    fn sdn(op: &str, given: &[Given], with: &[(&str, Attribute)]) -> u64 {
        cost(&single(op, 17, given, with, 1), Counting::Sdn)
    }

    #[test]
    fn convolutions_count_one_group_per_output() {
        let same = [("pads", list(&[1, 1, 1, 1]))];
        assert_eq!(macs("Conv", &[floats("b 3 32 32"), floats("16 3 3 3")], &same), 16 * 32 * 32 * 27);
        let grouped = [("group", Attribute::Int(8))];
        assert_eq!(macs("Conv", &[floats("b 8 5 5"), floats("8 1 3 3")], &grouped), 8 * 9 * 9);
        assert_eq!(macs("ConvTranspose", &[floats("b 8 7 7"), floats("8 4 3 3")], &[]), 8 * 49 * 4 * 9);
    }

    #[test]
    fn products_count_their_inner_extent() {
        let transposed = [("transB", Attribute::Int(1))];
        assert_eq!(macs("Gemm", &[floats("b 64"), floats("10 64")], &transposed), 640);
        assert_eq!(macs("Gemm", &[floats("b 64"), floats("64 10")], &[]), 640);
        assert_eq!(macs("MatMul", &[floats("b 12 7 64"), floats("b 12 64 9")], &[]), 12 * 7 * 64 * 9);
        let equation = [("equation", text("bhid,bhjd->bhij"))];
        assert_eq!(macs("Einsum", &[floats("b 3 7 5"), floats("b 3 9 5")], &equation), 3 * 7 * 9 * 5);
        let heads = [floats("b 3 7 5"), floats("b 3 9 5"), floats("b 3 9 4")];
        assert_eq!(cost(&single("Attention", 23, &heads, &[], 1), Counting::Macs), 3 * 7 * 9 * (5 + 4));
    }

    #[test]
    fn recurrent_layers_count_every_gate_and_step() {
        let given = [floats("9 1 8"), floats("1 64 8"), floats("1 64 16")];
        assert_eq!(macs("LSTM", &given, &[("hidden_size", Attribute::Int(16))]), 9 * 4 * 16 * (8 + 16));
    }

    #[test]
    fn windows_folded_into_the_batch_still_belong_to_one_image() {
        let nodes = vec![node("Flatten", &["x"], &["rows"]), node("MatMul", &["rows", "w"], &["y"])];
        let mut graph = graph(&["x"], nodes, &["y"]);
        let axis = ("axis".to_owned(), Attribute::Int(2));
        graph.nodes[0].attributes.push(axis);
        graph.inputs[0].dims = Some([Dim::Unknown, Dim::Known(49), Dim::Known(1)].to_vec());
        graph.initializers.push(constant("w", &[2.0]));
        graph.initializers[0].tensor.dims = vec![1, 1];
        assert_eq!(cost(&small(graph), Counting::Macs), 49);
    }

    #[test]
    fn the_profiler_counts_its_own_way() {
        assert_eq!(sdn("Conv", &[floats("b 3 5 5"), floats("4 3 1 1")], &[]), 4 * 25 * (2 * 3 - 1));
        let biased = [floats("b 3 5 5"), floats("4 3 1 1"), floats("4")];
        assert_eq!(sdn("Conv", &biased, &[]), 4 * 25 * (2 * 3));
        let grouped = [("group", Attribute::Int(8))];
        assert_eq!(sdn("Conv", &[floats("b 8 5 5"), floats("8 1 3 3")], &grouped), 8 * 9 * (2 * 9 - 1) * 8);
        assert_eq!(sdn("Gemm", &[floats("b 64"), floats("64 10")], &[]), 10 * (2 * 64 - 1));
        assert_eq!(sdn("MatMul", &[floats("b 4 5"), floats("b 5 4")], &[]), 0);
        let pool = [("kernel_shape", list(&[8, 8])), ("strides", list(&[8, 8]))];
        assert_eq!(sdn("MaxPool", &[floats("b 16 32 32")], &pool), 16 * 16 * 7);
        assert_eq!(sdn("AveragePool", &[floats("b 16 32 32")], &pool), 16 * 16 * 8);
        assert_eq!(sdn("Relu", &[floats("b 16 2")], &[]), 32);
    }

    #[test]
    fn shared_weights_count_once_and_limits_do_not() {
        let nodes = vec![
            node("Mul", &["x", "w"], &["a"]),
            node("Mul", &["a", "w"], &["b"]),
            node("Clip", &["b", "low"], &["y"]),
        ];
        let mut graph = graph(&["x"], nodes, &["y"]);
        graph.initializers = vec![constant("w", &[1.0, 2.0]), constant("low", &[0.0])];
        let model = small(graph);
        let costs = count(&model, &infer(&model).unwrap(), Counting::Macs).unwrap();
        assert_eq!(costs.iter().map(|cost| cost.params).collect::<Vec<_>>(), [2, 0, 0]);
        assert_eq!(costs.sum([1, 2]).params, 0);
    }

    #[test]
    fn what_cannot_be_counted_is_named() {
        let inner = graph(&[], vec![node("MatMul", &["x", "x"], &["r"])], &["r"]);
        let mut model =
            single("If", 17, &[reals(&[0.0])], &[("then_branch", Attribute::Graph(Box::new(inner)))], 1);
        model.graph.nodes[0].op = "Loop".into();
        let error = count(&model, &infer(&model).unwrap(), Counting::Macs).unwrap_err();
        assert_eq!(error.to_string(), "what Loop of \"y0\" computes inside cannot be counted");
        let model = single("MatMul", 17, &[floats("b ?"), floats("4 5")], &[], 1);
        let shapes = infer(&model).unwrap();
        let error = count(&model, &shapes, Counting::Macs).unwrap_err();
        assert_eq!(error.to_string(), "MatMul of \"y0\" cannot be counted");
        let model =
            single("MatMul", 17, &[floats("4294967296 4294967296"), floats("4294967296 4294967296")], &[], 1);
        let error = count(&model, &infer(&model).unwrap(), Counting::Macs).unwrap_err();
        assert_eq!(error.to_string(), "the count of MatMul of \"y0\" overflows");
    }
}
