//! From the inputs to the outputs, one node after the other, into branches where there are any.

use std::cell::Cell;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::call::{Call, Ruled};
use super::value::{Value, evaluate};
use super::{Contradiction, Extent, Fact, ShapeError, rules};
use crate::ir::{Dim, Graph, Model, Node, ValueInfo};

/// A fact, and why it is not whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub fact: Fact,
    pub cause: Option<Arc<Cause>>,
}

/// The first reason, on the way from the input, that a shape is not known.
#[derive(Debug)]
pub(super) enum Cause {
    NoRule(String),
    Data(String),
    Input(String),
}

type Facts<'m> = FxHashMap<&'m str, Known>;

/// Tensors of a graph and of those around it.
struct Scope<'s, 'm> {
    facts: Facts<'m>,
    outer: Option<&'s Scope<'s, 'm>>,
}

impl Scope<'_, '_> {
    fn find(&self, tensor: &str) -> Option<&Known> {
        self.facts.get(tensor).or_else(|| self.outer?.find(tensor))
    }
}

/// Elements followed in all values together: memory stays small whatever the graph.
const MOST_ELEMENTS: usize = 1 << 22;
/// Branches within branches beyond this are not entered.
const DEEPEST: usize = 16;

struct Walk<'m> {
    opset: i64,
    /// Name of the batch, where it has one.
    batch: Option<&'m str>,
    elements_left: Cell<usize>,
}

/// Facts of all tensors of the main graph.
pub(super) fn walk(model: &Model) -> Result<Facts<'_>, ShapeError> {
    let walk = Walk {
        opset: model.opsets.get("").copied().unwrap_or(i64::MAX),
        batch: batch_name(&model.graph),
        elements_left: Cell::new(MOST_ELEMENTS),
    };
    Ok(walk.graph(&model.graph, None, 0)?.facts)
}

fn batch_name(graph: &Graph) -> Option<&str> {
    let leading = |info: &'_ ValueInfo| info.dims.as_ref()?.first().cloned();
    let open = graph.inputs.iter().find(|info| !matches!(leading(info), None | Some(Dim::Known(1..))))?;
    match open.dims.as_ref()?.first()? {
        Dim::Named(name) => Some(name),
        Dim::Known(_) | Dim::Unknown => None,
    }
}

impl<'m> Walk<'m> {
    fn graph<'s>(
        &self,
        graph: &'m Graph,
        outer: Option<&'s Scope<'s, 'm>>,
        depth: usize,
    ) -> Result<Scope<'s, 'm>, ShapeError> {
        let mut scope = Scope { facts: Facts::default(), outer };
        for initializer in &graph.initializers {
            let extents = initializer.tensor.dims.iter().copied().map(Extent::Known).collect::<Vec<_>>();
            let mut fact = Fact::new(initializer.tensor.dtype, extents);
            fact.value = Value::of_tensor(&initializer.tensor).and_then(|value| self.keep(value));
            scope.facts.insert(&initializer.name, Known { fact, cause: None });
        }
        for input in &graph.inputs {
            let fact = self.declared(input, true);
            let cause = (!fact.is_complete()).then(|| Arc::new(Cause::Input(input.name.clone())));
            scope.facts.entry(&input.name).or_insert(Known { fact, cause });
        }
        let said: FxHashMap<&str, &ValueInfo> =
            graph.value_info.iter().chain(&graph.outputs).map(|info| (info.name.as_str(), info)).collect();
        for node in &graph.nodes {
            let outputs = self.node(node, &scope, depth)?;
            for (name, mut known) in node.outputs.iter().zip(outputs) {
                if let Some(info) = said.get(name.as_str()).filter(|_| known.cause.is_some()) {
                    known.fact = filled(known.fact, self.declared(info, false));
                    if known.fact.is_complete() {
                        known.cause = None;
                    }
                }
                scope.facts.insert(name, known);
            }
        }
        Ok(scope)
    }

    /// Facts of a node's outputs, one each.
    fn node(&self, node: &'m Node, scope: &Scope<'_, 'm>, depth: usize) -> Result<Vec<Known>, ShapeError> {
        let mut inputs = Vec::with_capacity(node.inputs.len());
        let mut cause = None;
        for tensor in &node.inputs {
            if tensor.is_empty() {
                inputs.push(None);
                continue;
            }
            let known = scope
                .find(tensor)
                .ok_or_else(|| ShapeError::Undefined { node: node.to_string(), tensor: tensor.clone() })?;
            cause = cause.or(known.cause.as_ref());
            inputs.push(Some(&known.fact));
        }
        let call = Call { node, opset: self.opset, inputs };
        let contradiction = |source| ShapeError::Contradiction { node: node.to_string(), source };
        let ruled = if node.op == "If" && node.domain.is_empty() && depth < DEEPEST {
            Some(self.branches(&call, scope, depth)?.map_err(contradiction)?)
        } else {
            rules::find(&node.domain, &node.op).map(|rule| rule(&call)).transpose().map_err(contradiction)?
        };
        let has_rule = ruled.is_some();
        let mut facts = ruled.unwrap_or_default();
        facts.resize(node.outputs.len(), Fact::default());
        let values = evaluate(&call, &facts).unwrap_or_default();
        for (fact, value) in facts.iter_mut().zip(values) {
            if let Some(value) = self.keep(value) {
                *fact = Fact::of_shared(value);
            }
        }
        let known = |fact: Fact| {
            let cause = if fact.is_complete() {
                None
            } else if !has_rule {
                Some(Arc::new(Cause::NoRule(node.to_string())))
            } else {
                Some(cause.cloned().unwrap_or_else(|| Arc::new(Cause::Data(node.to_string()))))
            };
            Known { fact, cause }
        };
        Ok(facts.into_iter().map(known).collect())
    }

    fn keep(&self, value: Value) -> Option<Arc<Value>> {
        let left = self.elements_left.get().checked_sub(value.elems().len())?;
        self.elements_left.set(left);
        Some(Arc::new(value))
    }

    /// What both branches of an `If` agree on. A branch that contradicts the shapes it would get is not taken.
    fn branches(&self, call: &Call<'m>, scope: &Scope<'_, 'm>, depth: usize) -> Result<Ruled, ShapeError> {
        let taken = call.elems(0).and_then(|elems| elems.first()?.whole());
        let names: &[&'static str] = match taken {
            Some(0) => &["else_branch"],
            Some(_) => &["then_branch"],
            None => &["then_branch", "else_branch"],
        };
        let mut agreed: Option<Vec<Fact>> = None;
        let mut refused = None;
        for name in names {
            let graph = match call.graph(name) {
                Ok(graph) => graph,
                Err(contradiction) => return Ok(Err(contradiction)),
            };
            let inner = match self.graph(graph, Some(scope), depth + 1) {
                Ok(inner) => inner,
                Err(error) => {
                    refused = Some(error);
                    continue;
                }
            };
            let outputs = graph.outputs.iter().map(|info| {
                let known = inner.find(&info.name).map(|known| known.fact.clone());
                filled(known.unwrap_or_default(), self.declared(info, false))
            });
            agreed = Some(match agreed {
                None => outputs.collect(),
                Some(before) => before.into_iter().zip(outputs).map(|(a, b)| common(a, b)).collect(),
            });
        }
        match (agreed, refused) {
            (Some(facts), _) => Ok(Ok(facts)),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(Err(Contradiction::MissingAttribute { name: "then_branch" })),
        }
    }

    /// What the file says of a tensor. Of inputs, an open leading extent is the batch.
    fn declared(&self, info: &ValueInfo, input: bool) -> Fact {
        let extents = info.dims.as_ref().map(|dims| {
            let extent = |(axis, dim): (usize, &Dim)| match dim {
                Dim::Known(extent @ 1..) => Extent::Known(*extent),
                Dim::Named(name) if self.batch == Some(name) => Extent::Batch(1),
                Dim::Known(_) | Dim::Unknown if input && axis == 0 => Extent::Batch(1),
                Dim::Known(_) | Dim::Unknown | Dim::Named(_) => Extent::Unknown,
            };
            dims.iter().enumerate().map(extent).collect::<Vec<_>>()
        });
        Fact::new(info.dtype, extents)
    }
}

/// `fact`, with what `said` knows where `fact` does not.
fn filled(fact: Fact, said: Fact) -> Fact {
    let extents = match (fact.extents, said.extents) {
        (Some(own), Some(said)) if own.len() == said.len() => {
            let known = |(own, said): (Extent, Extent)| if own == Extent::Unknown { said } else { own };
            Some(own.into_iter().zip(said).map(known).collect())
        }
        (own, said) => own.or(said),
    };
    Fact { dtype: fact.dtype.or(said.dtype), extents, value: fact.value }
}

/// What is true of both.
fn common(a: Fact, b: Fact) -> Fact {
    let extents = match (a.extents, b.extents) {
        (Some(a), Some(b)) if a.len() == b.len() => {
            Some(a.into_iter().zip(b).map(|(a, b)| if a == b { a } else { Extent::Unknown }).collect())
        }
        _ => None,
    };
    let dtype = if a.dtype == b.dtype { a.dtype } else { None };
    let value = if a.value == b.value { a.value } else { None };
    Fact { dtype, extents, value }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ir::{Attribute, Graph, Model};
    use crate::sample::{graph, node};
    use crate::shape::sample::{Given, floats, int_tensor, ints, single, typed};
    use crate::shape::{Shapes, infer};
    use offramp_models::DType;

    fn image(extents: &[Dim]) -> ValueInfo {
        ValueInfo { name: "image".into(), dtype: ValueInfo::float32("").dtype, dims: Some(extents.to_vec()) }
    }

    fn model(inputs: Vec<ValueInfo>, nodes: Vec<Node>) -> Model {
        let graph = Graph { inputs, nodes, ..Default::default() };
        Model { opsets: [(String::new(), 17)].into(), graph, ..Default::default() }
    }

    fn told(shapes: &Shapes, tensor: &str) -> String {
        shapes.get(tensor).map_or("nothing".into(), ToString::to_string)
    }

    #[test]
    fn the_batch_is_what_the_image_leaves_open() {
        for open in [Dim::Named("N".into()), Dim::Unknown, Dim::Known(0)] {
            let shapes =
                infer(&model(vec![image(&[open, Dim::Known(3)])], vec![node("Relu", &["image"], &["y"])]))
                    .unwrap();
            assert_eq!(told(&shapes, "y"), "float32 [batch, 3]");
        }
        let fixed = infer(&model(vec![image(&[Dim::Known(1), Dim::Known(3)])], Vec::new())).unwrap();
        assert_eq!(told(&fixed, "image"), "float32 [1, 3]");
    }

    #[test]
    fn one_name_is_the_batch_everywhere_and_no_other_is() {
        let mut other = image(&[Dim::Known(5), Dim::Named("N".into()), Dim::Named("M".into())]);
        other.name = "other".into();
        let shapes = infer(&model(vec![image(&[Dim::Named("N".into())]), other], Vec::new())).unwrap();
        assert_eq!(told(&shapes, "other"), "float32 [5, batch, ?]");
        assert_eq!(
            shapes.require("other").unwrap_err().to_string(),
            "the shape of \"other\" is not known: input \"other\" leaves more than the batch open"
        );
    }

    #[test]
    fn an_operator_without_a_rule_is_named_only_when_asked_for() {
        let nodes = vec![node("Mystery", &["image"], &["a"]), node("Relu", &["a"], &["b"])];
        let mut model = model(vec![image(&[Dim::Unknown, Dim::Known(3)])], nodes);
        let shapes = infer(&model).unwrap();
        assert_eq!(
            shapes.require("b").unwrap_err().to_string(),
            "the shape of \"b\" is not known: there is no shape rule for Mystery of \"a\""
        );
        assert_eq!(shapes.require("c").unwrap_err().to_string(), "no tensor is called \"c\"");
        // The file may know more.
        let mut said = image(&[Dim::Unknown, Dim::Known(7)]);
        said.name = "a".into();
        model.graph.value_info.push(said);
        assert_eq!(told(&infer(&model).unwrap(), "b"), "float32 [?, 7]");
        model.graph.value_info[0].dims = Some(vec![Dim::Known(2), Dim::Known(7)]);
        assert_eq!(told(&infer(&model).unwrap(), "b"), "float32 [2, 7]");
    }

    #[test]
    fn what_depends_on_data_is_named() {
        let nodes = vec![node("NonZero", &["image"], &["a"]), node("Transpose", &["a"], &["b"])];
        let shapes = infer(&model(vec![image(&[Dim::Unknown, Dim::Known(3)])], nodes)).unwrap();
        assert_eq!(
            shapes.require("b").unwrap_err().to_string(),
            "the shape of \"b\" is not known: it depends on what NonZero of \"a\" computes"
        );
    }

    #[test]
    fn contradictions_name_the_node_and_say_why() {
        let error = infer(&single("MatMul", 17, &[floats("b 4"), floats("5 6")], &[], 1)).unwrap_err();
        assert_eq!(error.to_string(), "MatMul of \"y0\" cannot take its inputs");
        let source = std::error::Error::source(&error).map(ToString::to_string);
        assert_eq!(source.as_deref(), Some("rows of the second matrix: expected 4, got 5"));
        let error = infer(&model(Vec::new(), vec![node("Relu", &["x"], &["y"])])).unwrap_err();
        assert_eq!(error.to_string(), "Relu of \"y\" takes \"x\", which nothing before it gives");
        let error = infer(&single("Relu", 17, &[Given::Absent], &[], 1)).unwrap_err();
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "input 0 is missing");
    }

    #[test]
    fn a_manifest_takes_numbers_and_the_batch() {
        let shapes =
            infer(&single("Flatten", 17, &[floats("b 3 4")], &[("axis", Attribute::Int(2))], 1)).unwrap();
        assert_eq!(shapes.spec("x0").unwrap().shape, [None, Some(3), Some(4)]);
        assert_eq!(
            shapes.spec("y0").unwrap_err().to_string(),
            "\"y0\" is float32 [3*batch, 4], which a manifest cannot say"
        );
    }

    fn choice(condition: Option<i64>, then: Vec<Node>, otherwise: Vec<Node>) -> Model {
        let branch = |nodes: Vec<Node>| Attribute::Graph(Box::new(graph(&[], nodes, &["r"])));
        let mut node = node("If", &["condition"], &["y"]);
        node.attributes =
            vec![("then_branch".into(), branch(then)), ("else_branch".into(), branch(otherwise))];
        let mut model = model(vec![image(&[Dim::Unknown, Dim::Known(1), Dim::Known(3)])], vec![node]);
        match condition {
            Some(value) => {
                let tensor = crate::ir::Tensor {
                    dtype: crate::ir::ElementType::Known(DType::Bool),
                    dims: Vec::new(),
                    data: bytes::Bytes::from(vec![u8::from(value != 0)]),
                };
                model.graph.initializers.push(crate::ir::Initializer { name: "condition".into(), tensor });
            }
            None => model.graph.inputs.push(ValueInfo {
                name: "condition".into(),
                dtype: Some(crate::ir::ElementType::Known(DType::Bool)),
                dims: Some(Vec::new()),
            }),
        }
        model
    }

    #[test]
    fn branches_agree_or_the_condition_decides() {
        let relu = || vec![node("Relu", &["image"], &["r"])];
        let squeeze = || vec![node("Squeeze", &["image"], &["r"])];
        let told = |model: &Model| told(&infer(model).unwrap(), "y");
        assert_eq!(told(&choice(None, relu(), relu())), "float32 [batch, 1, 3]");
        assert_eq!(told(&choice(None, relu(), squeeze())), "nothing");
        assert_eq!(told(&choice(Some(0), relu(), squeeze())), "float32 [batch, 3]");
        assert_eq!(told(&choice(Some(1), relu(), squeeze())), "float32 [batch, 1, 3]");
    }

    #[test]
    fn weights_are_not_followed() {
        let tensor = int_tensor(&[1 << 15], &vec![0; 1 << 15]);
        let shapes = infer(&single("Identity", 17, &[Given::Constant(tensor)], &[], 1)).unwrap();
        assert!(shapes.value("y0").is_none());
        assert_eq!(told(&shapes, "y0"), "int64 [32768]");
    }

    const OPERATORS: &str = "Conv ConvTranspose MaxPool AveragePool GlobalAveragePool Gemm MatMul Einsum Attention \
        Add Max Where Cast Dropout BatchNormalization LayerNormalization Concat Split Slice Pad Reshape Flatten \
        Squeeze Unsqueeze Expand Tile Transpose DepthToSpace SpaceToDepth Resize Upsample GridSample AffineGrid \
        ReduceMax ArgMax TopK CumSum Gather GatherElements GatherND ScatterND OneHot NonZero Constant \
        ConstantOfShape Range EyeLike RandomNormal Shape Size QuantizeLinear LSTM Trilu Mod Div If";

    fn extreme() -> impl Strategy<Value = i64> {
        prop_oneof![4 => -3i64..6, 1 => any::<i64>(), 1 => Just(i64::MIN), 1 => Just(i64::MAX)]
    }

    fn anything() -> impl Strategy<Value = Given> {
        let extents = prop_oneof![4 => "[b0-6]( [0-6?b]){0,4}", 1 => Just("9223372036854775807 4294967296 3".to_owned())];
        prop_oneof![
            3 => extents.prop_map(|extents| floats(&extents)),
            1 => "[b0-4]( [0-4]){0,2}".prop_map(|extents| typed(DType::Int64, &extents)),
            3 => prop::collection::vec(extreme(), 0..6).prop_map(|values| ints(&values)),
            1 => extreme().prop_map(crate::shape::sample::int),
            1 => Just(Given::Absent),
        ]
    }

    fn attribute() -> impl Strategy<Value = (&'static str, Attribute)> {
        const NUMBERS: &str = "axis keepdims group k ceil_mode allowzero blocksize to num_outputs start end \
            batch_dims transB q_num_heads kv_num_heads hidden_size layout value_int fmod upper";
        const LISTS: &str = "axes pads strides dilations kernel_shape perm split starts ends steps shape \
            output_padding output_shape value_ints";
        let number = prop::sample::select(NUMBERS.split_whitespace().collect::<Vec<_>>());
        let list = prop::sample::select(LISTS.split_whitespace().collect::<Vec<_>>());
        let texts =
            prop::sample::select(vec!["SAME_UPPER", "VALID", "ij,jk->ik", "...a,a...", "i", "bidirectional"]);
        let name = prop::sample::select(vec!["auto_pad", "equation", "direction", "mode"]);
        prop_oneof![
            (number, extreme()).prop_map(|(name, value)| (name, Attribute::Int(value))),
            (list, prop::collection::vec(extreme(), 0..9))
                .prop_map(|(name, values)| (name, Attribute::Ints(values))),
            (name, texts).prop_map(|(name, value)| (name, crate::shape::sample::text(value))),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn no_node_breaks_inference_folding_or_counting(
            op in prop::sample::select(OPERATORS.split_whitespace().collect::<Vec<_>>()),
            opset in 1i64..26,
            given in prop::collection::vec(anything(), 0..6),
            with in prop::collection::vec(attribute(), 0..4),
            outputs in 1usize..4,
        ) {
            let model = single(op, opset, &given, &with, outputs);
            if let Ok(shapes) = infer(&model) {
                for counting in [crate::macs::Counting::Macs, crate::macs::Counting::Sdn] {
                    let _ = crate::macs::count(&model, &shapes, counting);
                }
                let _ = crate::fold::fold(model);
            }
        }
    }
}
