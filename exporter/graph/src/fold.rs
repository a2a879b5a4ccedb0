//! Evaluates what does not depend on the image, without changing a bit of the outputs.
//!
//! Whole-number arithmetic is done here; nodes that need float arithmetic on constants are only reported
//! ([`Folded::constants`]), for a backend to evaluate and [`Folded::with_constants`] to put in. Batch normalisation is
//! not fused: that rounds. Nor is `DequantizeLinear` of constants evaluated: engines run on the quantised ones.

mod bypass;
mod crop;
mod frontier;
mod known;
mod sweep;
mod target;

use std::collections::BTreeMap;

use crate::ir::{Initializer, Model, Tensor};
use crate::names::Names;
use crate::shape::{self, Extent, ShapeError, Shapes};

/// A model without shape arithmetic, and what is left to evaluate.
#[derive(Clone, Debug)]
pub struct Folded {
    /// The model: inputs and outputs as before, nodes and initializers only where needed.
    pub model: Model,
    /// Shapes of its tensors.
    pub shapes: Shapes,
    /// Tensors that are constant but take float arithmetic to evaluate, in order of production; none is an output.
    pub constants: Vec<String>,
}

/// A model that cannot be folded, or constants that do not fit it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FoldError {
    /// Shapes contradict each other.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// A value for a tensor that was not asked for.
    #[error("\"{tensor}\" is not one of the constants to evaluate")]
    NotConstant {
        /// The tensor.
        tensor: String,
    },
    /// A value of the wrong form.
    #[error("constant \"{tensor}\": expected {expected}, got {found}")]
    Form {
        /// The tensor.
        tensor: String,
        /// Element type and extents that its node gives.
        expected: String,
        /// Those of the value.
        found: String,
    },
}

/// Folds `model`.
///
/// `Constant` nodes and nodes of known whole numbers become initializers; a `Reshape` whose target holds the batch
/// gets a constant one; a `Pad` that crops becomes a `Slice` and what is left of it; `Identity`, `Dropout` of inference, and `Cast`, `Expand` and `Pad` that change nothing are
/// dropped, then what nothing needs. Names of inputs and outputs stay; a tensor that must survive under its name is
/// made an output first.
///
/// # Errors
/// [`FoldError::Shape`] as [`shape::infer`].
pub fn fold(mut model: Model) -> Result<Folded, FoldError> {
    let mut shapes = shape::infer(&model)?;
    let mut names = Names::of(&model.graph);
    target::fix(&mut model, &shapes, &mut names);
    crop::crop(&mut model, &shapes, &mut names);
    known::materialise(&mut model.graph, &shapes);
    sweep::sweep(&mut model.graph);
    bypass::bypass(&mut model, &shapes);
    sweep::sweep(&mut model.graph);
    shapes = shape::infer(&model)?;
    let constants = frontier::constants(&model.graph, &shapes);
    Ok(Folded { model, shapes, constants })
}

impl Folded {
    /// Puts in evaluated constants and folds what they make known.
    ///
    /// # Errors
    /// [`FoldError::NotConstant`] for a tensor that is not in [`Folded::constants`], [`FoldError::Form`] for a value
    /// of another element type or other extents than its node gives, [`FoldError::Shape`] as [`fold`].
    pub fn with_constants(mut self, values: BTreeMap<String, Tensor>) -> Result<Self, FoldError> {
        let graph = &mut self.model.graph;
        let mut names = Names::of(graph);
        for tensor in values.keys() {
            if !self.constants.contains(tensor) {
                return Err(FoldError::NotConstant { tensor: tensor.clone() });
            }
        }
        for name in graph.nodes.iter_mut().flat_map(|node| &mut node.outputs) {
            let Some(value) = values.get(name) else { continue };
            let found = shape::TensorShape {
                dtype: value.dtype,
                extents: value.dims.iter().copied().map(Extent::Known).collect(),
            };
            if let Some(expected) = self.shapes.get(name).filter(|expected| !expected.allows(&found)) {
                let (expected, found) = (expected.to_string(), found.to_string());
                return Err(FoldError::Form { tensor: name.clone(), expected, found });
            }
            graph.initializers.push(Initializer { name: name.clone(), tensor: value.clone() });
            *name = names.fresh(name);
        }
        fold(self.model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Attribute, Dim, Graph, Node, ValueInfo};
    use crate::sample::{constant, graph, names, node, strings};
    use crate::shape::sample::{attributes, int_tensor, list};

    fn ints(name: &str, dims: &[usize], values: &[i64]) -> Initializer {
        Initializer { name: name.into(), tensor: int_tensor(dims, values) }
    }

    fn with(node: Node, given: &[(&str, Attribute)]) -> Node {
        Node { attributes: attributes(given), ..node }
    }

    /// A model on `image` `[batch, 3, 4, 4]`.
    fn model(nodes: Vec<Node>, initializers: Vec<Initializer>, outputs: &[&str]) -> Model {
        let mut graph: Graph = graph(&["image"], nodes, outputs);
        graph.inputs[0].dims =
            Some(vec![Dim::Named("batch".into()), Dim::Known(3), Dim::Known(4), Dim::Known(4)]);
        graph.initializers = initializers;
        Model { ir_version: 8, opsets: [(String::new(), 17)].into(), graph, ..Default::default() }
    }

    fn ops(model: &Model) -> Vec<&str> {
        model.graph.nodes.iter().map(|node| node.op.as_str()).collect()
    }

    fn initializer<'m>(model: &'m Model, name: &str) -> &'m Tensor {
        &model.graph.initializers.iter().find(|initializer| initializer.name == name).unwrap().tensor
    }

    /// `Shape -> Gather -> Unsqueeze -> Concat -> Reshape`, as legacy exports flatten.
    fn flattening() -> Vec<Node> {
        let axis = [("axis", Attribute::Int(0))];
        vec![
            node("Shape", &["image"], &["shape"]),
            with(node("Gather", &["shape", "zero"], &["batch"]), &axis),
            node("Unsqueeze", &["batch", "axes"], &["vector"]),
            with(node("Concat", &["vector", "rest"], &["target"]), &axis),
            node("Reshape", &["image", "target"], &["flat"]),
        ]
    }

    #[test]
    fn a_reshape_keeps_the_batch_without_asking_for_it() {
        let initializers = vec![ints("zero", &[], &[0]), ints("axes", &[1], &[0]), ints("rest", &[1], &[48])];
        let folded = fold(model(flattening(), initializers, &["flat"])).unwrap();
        assert_eq!(ops(&folded.model), ["Reshape"]);
        let target = &folded.model.graph.nodes[0].inputs[1];
        assert_eq!(initializer(&folded.model, target), &int_tensor(&[2], &[0, 48]));
        assert_eq!(folded.model.graph.initializers.len(), 1);
        assert_eq!(folded.shapes.require("flat").unwrap().to_string(), "float32 [batch, 48]");
    }

    #[test]
    fn a_batch_that_moves_is_left_over() {
        let nodes = vec![
            with(node("Shape", &["image"], &["b"]), &[("end", Attribute::Int(1))]),
            node("Mul", &["b", "three"], &["all"]),
            with(node("Concat", &["all", "side"], &["target"]), &[("axis", Attribute::Int(0))]),
            node("Reshape", &["image", "target"], &["rows"]),
        ];
        let initializers = vec![ints("three", &[], &[3]), ints("side", &[2], &[4, 4])];
        let folded = fold(model(nodes, initializers, &["rows"])).unwrap();
        let target = &folded.model.graph.nodes[0].inputs[1];
        assert_eq!(initializer(&folded.model, target), &int_tensor(&[3], &[-1, 4, 4]));
        assert_eq!(folded.shapes.get("rows").unwrap().to_string(), "float32 [3*batch, 4, 4]");
    }

    #[test]
    fn constants_become_initializers_with_their_bits() {
        let bits = [f32::from_bits(0x7fc0_1234), -0.0];
        let value = Attribute::Tensor(constant("", &bits).tensor);
        let nodes = vec![
            with(node("Constant", &[], &["c"]), &[("value", value)]),
            with(node("Constant", &[], &["d"]), &[("value_ints", list(&[1, 2]))]),
            with(node("Cast", &["d"], &["e"]), &[("to", Attribute::Int(6))]),
            node("Mystery", &["image", "c", "d", "e"], &["y"]),
        ];
        let folded = fold(model(nodes, Vec::new(), &["y"])).unwrap();
        assert_eq!(ops(&folded.model), ["Mystery"]);
        assert_eq!(initializer(&folded.model, "c"), &constant("", &bits).tensor);
        assert_eq!(initializer(&folded.model, "d"), &int_tensor(&[2], &[1, 2]));
        assert_eq!(&initializer(&folded.model, "e").data[..], [1, 0, 0, 0, 2, 0, 0, 0]);
    }

    #[test]
    fn what_changes_nothing_is_dropped_and_outputs_keep_their_names() {
        let nodes = vec![
            node("Identity", &["image"], &["a"]),
            node("Relu", &["a"], &["b"]),
            node("Dropout", &["b"], &["c"]),
            with(node("Cast", &["c"], &["d"]), &[("to", Attribute::Int(1))]),
            node("Identity", &["d"], &["exit0"]),
            node("Identity", &["d"], &["exit1"]),
            node("Abs", &["b"], &["exit2"]),
        ];
        let folded = fold(model(nodes, Vec::new(), &["exit0", "exit1", "exit2"])).unwrap();
        assert_eq!(ops(&folded.model), ["Relu", "Identity", "Abs"]);
        let graph = &folded.model.graph;
        assert_eq!(names(&graph.outputs), ["exit0", "exit1", "exit2"]);
        assert_eq!(
            (&graph.nodes[0].inputs, &graph.nodes[0].outputs),
            (&strings(&["image"]), &strings(&["exit0"]))
        );
        assert_eq!(
            (&graph.nodes[1].inputs, &graph.nodes[1].outputs),
            (&strings(&["exit0"]), &strings(&["exit1"]))
        );
        assert_eq!(graph.nodes[2].inputs, ["exit0"]);
    }

    #[test]
    fn an_identity_between_input_and_output_stays() {
        let folded = fold(model(vec![node("Identity", &["image"], &["y"])], Vec::new(), &["y"])).unwrap();
        assert_eq!(ops(&folded.model), ["Identity"]);
    }

    #[test]
    fn a_dropout_that_trains_or_shows_its_mask_stays() {
        let on = Tensor {
            dtype: crate::ir::ElementType::Known(offramp_models::DType::Bool),
            dims: Vec::new(),
            data: bytes::Bytes::from_static(&[1]),
        };
        let training = vec![node("Dropout", &["image", "", "on"], &["y"]), node("Relu", &["y"], &["z"])];
        let constants = vec![Initializer { name: "on".into(), tensor: on }];
        assert_eq!(ops(&fold(model(training, constants, &["z"])).unwrap().model), ["Dropout", "Relu"]);
        let shown = vec![node("Dropout", &["image"], &["y", "mask"]), node("Relu", &["y"], &["z"])];
        assert_eq!(ops(&fold(model(shown, Vec::new(), &["z", "mask"])).unwrap().model), ["Dropout", "Relu"]);
    }

    #[test]
    fn names_inside_branches_follow() {
        let branch = || Attribute::Graph(Box::new(graph(&[], vec![node("Relu", &["a"], &["r"])], &["r"])));
        let choice =
            with(node("If", &["flag"], &["y"]), &[("then_branch", branch()), ("else_branch", branch())]);
        let mut model = model(vec![node("Identity", &["image"], &["a"]), choice], Vec::new(), &["y"]);
        model.graph.inputs.push(ValueInfo { name: "flag".into(), dtype: None, dims: Some(Vec::new()) });
        let folded = fold(model).unwrap();
        assert_eq!(ops(&folded.model), ["If"]);
        assert!(folded.model.graph.nodes[0].subgraphs().all(|inner| inner.nodes[0].inputs == ["image"]));
    }

    #[test]
    fn float_arithmetic_on_constants_is_left_to_a_backend() {
        let nodes = vec![
            node("Sqrt", &["w"], &["root"]),
            node("Mul", &["root", "w"], &["scaled"]),
            node("Mul", &["image", "scaled"], &["y"]),
            node("DequantizeLinear", &["w", "w"], &["kept"]),
            node("Add", &["y", "kept"], &["z"]),
        ];
        let folded = fold(model(nodes, vec![constant("w", &[4.0])], &["z"])).unwrap();
        assert_eq!(folded.constants, ["scaled"]);

        let wrong = [("root".to_owned(), constant("", &[2.0]).tensor)].into();
        let error = folded.clone().with_constants(wrong).unwrap_err();
        assert_eq!(error.to_string(), "\"root\" is not one of the constants to evaluate");
        let wrong = [("scaled".to_owned(), constant("", &[8.0, 8.0]).tensor)].into();
        let error = folded.clone().with_constants(wrong).unwrap_err();
        assert_eq!(error.to_string(), "constant \"scaled\": expected float32 [1], got float32 [2]");

        let folded =
            folded.with_constants([("scaled".to_owned(), constant("", &[8.0]).tensor)].into()).unwrap();
        assert_eq!(ops(&folded.model), ["Mul", "DequantizeLinear", "Add"]);
        assert!(folded.constants.is_empty());
        assert_eq!(initializer(&folded.model, "scaled"), &constant("", &[8.0]).tensor);
    }

    #[test]
    fn folding_twice_changes_nothing() {
        let initializers = vec![ints("zero", &[], &[0]), ints("axes", &[1], &[0]), ints("rest", &[1], &[-1])];
        let once = fold(model(flattening(), initializers, &["flat"])).unwrap();
        let twice = fold(once.model.clone()).unwrap();
        assert_eq!(once.model, twice.model);
    }
}
