//! Gradient graphs: what crosses between them, what they compute, and that a wrong one is found out.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use offramp_exporter::ExportError;
use offramp_exporter::gradient::{self, GradientError, Gradients, derive_from, proof};
use offramp_exporter::plan::PlanOptions;
use offramp_exporter::split::{SplitOptions, split};
use offramp_exporter::verify::VerifyOptions;
use offramp_graph::ir::{Attribute, Dim, ElementType, Graph, Initializer, Model, Node, Tensor, ValueInfo};
use offramp_models::DType;
use offramp_models::manifest::Extra;
use offramp_runtime::backend::tract::TractBackend;
use offramp_runtime::backend::{Backend, GraphSource, HostTensor, Origin, RunnerOptions};
use proptest::prelude::*;

mod engines;

fn networks() -> Vec<PathBuf> {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance/networks");
    let mut found: Vec<_> = std::fs::read_dir(suite)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "onnx"))
        .collect();
    found.sort();
    assert!(found.len() > 10);
    found
}

fn options() -> SplitOptions {
    SplitOptions {
        plan: PlanOptions::default(),
        name: None,
        force: false,
        gradients: true,
        tails: None,
        verify: VerifyOptions::default(),
    }
}

fn proved(backend: &dyn Backend) {
    for model in networks() {
        let folder = tempfile::tempdir().unwrap();
        let written = split(&model, &folder.path().join("bundle"), &options(), &[backend])
            .unwrap_or_else(|error| panic!("{}: {error}", model.display()));
        let proof = written.gradient_verification.unwrap();
        assert!(proof.difference > 0.0 && proof.difference <= proof.tolerance, "{}", model.display());
    }
}

#[test]
fn gradients_add_up_to_the_logits_of_every_network_on_tract() {
    proved(&TractBackend::new());
}

#[test]
fn gradients_add_up_to_the_logits_of_every_network_on_onnx_runtime() {
    let Some(ort) = engines::ort() else { return };
    proved(&ort);
}

#[test]
fn a_bundle_lists_its_gradient_graphs_and_keeps_its_identity() {
    let folder = tempfile::tempdir().unwrap();
    let model = networks().into_iter().find(|path| path.ends_with("residual.onnx")).unwrap();
    let with = split(&model, &folder.path().join("with"), &options(), &[]).unwrap();
    let plain = SplitOptions { gradients: false, ..options() };
    let without = split(&model, &folder.path().join("without"), &plain, &[]).unwrap();
    assert_eq!(with.bundle.identity(), without.bundle.identity());
    let files = |kind| with.bundle.manifest().extra(kind).map(|extra| extra.file.as_str());
    assert_eq!(files(Extra::GRADIENT_FORWARD), Some(gradient::FORWARD));
    assert_eq!(files(Extra::GRADIENT_BACKWARD), Some(gradient::BACKWARD));
    with.bundle.check().unwrap();
    assert!(without.bundle.manifest().extras.is_empty());
}

#[test]
fn a_wrong_gradient_is_not_proved() {
    let folder = tempfile::tempdir().unwrap();
    let network = networks().into_iter().find(|path| path.ends_with("residual.onnx")).unwrap();
    let written = split(&network, &folder.path().join("bundle"), &options(), &[]).unwrap();
    let [forward, backward] =
        [gradient::FORWARD, gradient::BACKWARD].map(|file| written.bundle.dir().join(file));
    // One mask of seven left out.
    let mut model = Model::read(&backward).unwrap();
    let mask = model.graph.nodes.iter_mut().rfind(|node| node.op == "HardSigmoid").unwrap();
    mask.attributes = vec![("alpha".into(), Attribute::Float(0.0)), ("beta".into(), Attribute::Float(1.0))];
    let wrong = folder.path().join("wrong.onnx");
    model.write(&wrong).unwrap();
    let verify = |backward: &Path| {
        let (manifest, options) = (written.bundle.manifest(), VerifyOptions::default());
        let tract = TractBackend::new();
        proof::verify([&forward, backward], manifest, &network, &tract, &options).unwrap().require()
    };
    verify(&backward).unwrap();
    assert!(matches!(verify(&wrong), Err(ExportError::GradientProof { .. })));
}

fn node(op: &str, inputs: &[&str], output: &str, attributes: &[(&str, Attribute)]) -> Node {
    Node {
        op: op.into(),
        inputs: inputs.iter().map(|input| (*input).into()).collect(),
        outputs: vec![output.into()],
        attributes: attributes.iter().map(|(name, value)| ((*name).into(), value.clone())).collect(),
        ..Node::default()
    }
}

fn ints(values: &[i64]) -> Attribute {
    Attribute::Ints(values.to_vec())
}

fn weights(name: &str, dims: &[usize], values: &[f32]) -> Initializer {
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let tensor = Tensor { dtype: ElementType::Known(DType::Float32), dims: dims.to_vec(), data: data.into() };
    Initializer { name: name.into(), tensor }
}

/// A network on `x` `[batch, extents..]` with outputs of any shape.
fn network(extents: &[usize], nodes: Vec<Node>, initializers: Vec<Initializer>, outputs: &[&str]) -> Model {
    let mut input = ValueInfo::float32("x");
    let extents = extents.iter().map(|extent| Dim::Known(*extent));
    input.dims = Some([Dim::Named("batch".into())].into_iter().chain(extents).collect());
    let outputs = outputs.iter().map(|output| ValueInfo::float32(*output)).collect();
    let graph = Graph { inputs: vec![input], nodes, initializers, outputs, ..Graph::default() };
    Model { ir_version: 8, opsets: [(String::new(), 17)].into(), graph, ..Model::default() }
}

fn derived(model: &Model) -> Result<Gradients, GradientError> {
    let outputs: Vec<String> = model.graph.outputs.iter().map(|output| output.name.clone()).collect();
    derive_from(model, "x", &outputs)
}

fn names(infos: &[ValueInfo]) -> Vec<&str> {
    infos.iter().map(|info| info.name.as_str()).collect()
}

/// Tensors by name that a model gives for tensors by name, on tract.
fn run(model: &Model, given: &BTreeMap<String, Vec<f32>>, batch: usize) -> BTreeMap<String, Vec<f32>> {
    let bytes = model.to_bytes().unwrap();
    let source = GraphSource { label: "the graph".into(), origin: Origin::Bytes(&bytes) };
    let runner = TractBackend::new().prepare(&source, &RunnerOptions::default()).unwrap();
    let fill = |(at, spec): (usize, &offramp_models::TensorSpec)| {
        let value = runner.allocate(at, batch).unwrap();
        value.write(HostTensor::Float32(&given[&spec.name])).unwrap();
        value
    };
    let inputs: Vec<_> = runner.inputs().iter().enumerate().map(fill).collect();
    let mut bound = runner.bind(&inputs, batch).unwrap();
    bound.run().unwrap();
    let read = |(spec, value): (&offramp_models::TensorSpec, &offramp_runtime::backend::Value)| {
        let mut elements = vec![0.0; value.shape().iter().product()];
        value.read(&mut elements).unwrap();
        (spec.name.clone(), elements)
    };
    runner.outputs().iter().zip(bound.outputs()).map(read).collect()
}

/// Logits, and the gradient for these cotangents.
fn gradient_of(model: &Model, image: &[f32], batch: usize, cotangents: &[(&str, Vec<f32>)]) -> Vec<f32> {
    let gradients = derived(model).unwrap();
    let mut values = run(&gradients.forward, &[("x".to_owned(), image.to_vec())].into(), batch);
    values.extend(cotangents.iter().map(|(name, value)| (gradient::cotangent_name(name), value.clone())));
    run(&gradients.backward, &values, batch)[&gradient::gradient_name("x")].clone()
}

#[test]
fn cotangents_come_first_in_exit_order_and_residuals_under_their_own_names() {
    let nodes = vec![
        node("Sigmoid", &["x"], "a", &[]),
        node("Tanh", &["a"], "late", &[]),
        node("Exp", &["a"], "early", &[]),
    ];
    let gradients = derived(&network(&[4], nodes, Vec::new(), &["late", "early"])).unwrap();
    // Logits that are residuals too appear once.
    assert_eq!(names(&gradients.forward.graph.outputs), ["late", "early", "a"]);
    let inputs = names(&gradients.backward.graph.inputs);
    assert_eq!(inputs[..2], ["cotangent.late", "cotangent.early"]);
    assert_eq!(inputs[2..].iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
    assert_eq!(names(&gradients.backward.graph.outputs), ["gradient.x"]);
    let own = gradients.backward.graph.nodes.iter().flat_map(|node| &node.outputs);
    assert!(own.clone().count() > 0 && own.clone().all(|name| name.starts_with("gradient.")));
}

#[test]
fn what_the_gradient_does_not_need_does_not_cross() {
    let nodes = vec![
        node("Mul", &["x", "two"], "a", &[]),
        node("Sin", &["x"], "unused", &[]),
        node("Add", &["a", "two"], "y", &[]),
    ];
    let gradients = derived(&network(&[3], nodes, vec![weights("two", &[1], &[2.0])], &["y"])).unwrap();
    assert_eq!(names(&gradients.forward.graph.outputs), ["y"]);
    assert_eq!(names(&gradients.backward.graph.inputs), ["cotangent.y"]);
    assert_eq!(gradients.forward.graph.nodes.len(), 2);
}

#[test]
fn a_tensor_used_several_times_gets_the_sum() {
    let nodes = vec![node("Mul", &["x", "x"], "s", &[]), node("Add", &["s", "x"], "y", &[])];
    let model = network(&[3], nodes, Vec::new(), &["y"]);
    let found = gradient_of(&model, &[1.0, -2.0, 3.0], 1, &[("y", vec![1.0, 1.0, 2.0])]);
    assert_eq!(found, [3.0, -3.0, 14.0]);
}

#[test]
fn every_exit_has_its_share() {
    let nodes = vec![
        node("Mul", &["x", "two"], "a", &[]),
        node("Neg", &["a"], "y0", &[]),
        node("Mul", &["a", "a"], "y1", &[]),
    ];
    let model = network(&[2], nodes, vec![weights("two", &[1], &[2.0])], &["y0", "y1"]);
    let found = gradient_of(&model, &[1.0, 3.0], 1, &[("y0", vec![1.0, 0.0]), ("y1", vec![1.0, 1.0])]);
    assert_eq!(found, [-2.0 + 8.0, 24.0]);
}

#[test]
fn a_dead_relu_lets_nothing_through_even_at_zero() {
    let model = network(&[3], vec![node("Relu", &["x"], "y", &[])], Vec::new(), &["y"]);
    assert_eq!(gradient_of(&model, &[-1.0, 0.0, 1e-30], 1, &[("y", vec![5.0; 3])]), [0.0, 0.0, 5.0]);
}

#[test]
fn ties_of_a_pool_go_to_the_first_element_of_the_window() {
    let side_by_side = [("kernel_shape", ints(&[2, 2])), ("strides", ints(&[2, 2]))];
    let model = network(&[1, 2, 4], vec![node("MaxPool", &["x"], "y", &side_by_side)], Vec::new(), &["y"]);
    let image = [1.0, 7.0, 3.0, 3.0, 7.0, 1.0, 3.0, 3.0];
    let found = gradient_of(&model, &image, 1, &[("y", vec![1.0, 2.0])]);
    assert_eq!(found, [0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0]);

    let overlapping = [("kernel_shape", ints(&[3])), ("strides", ints(&[2])), ("pads", ints(&[1, 1]))];
    let model = network(&[1, 5], vec![node("MaxPool", &["x"], "y", &overlapping)], Vec::new(), &["y"]);
    let found = gradient_of(&model, &[4.0, 4.0, -1.0, 4.0, 4.0], 1, &[("y", vec![1.0, 2.0, 4.0])]);
    assert_eq!(found, [1.0, 2.0, 0.0, 4.0, 0.0]);
}

#[test]
fn stretched_operands_get_sums_and_the_batch_stays_apart() {
    let nodes = vec![
        node("ReduceMean", &["x"], "m", &[("axes", ints(&[1])), ("keepdims", Attribute::Int(1))]),
        node("Sub", &["x", "m"], "y", &[]),
    ];
    let model = network(&[2], nodes, Vec::new(), &["y"]);
    let found = gradient_of(&model, &[1.0, 2.0, 3.0, 4.0], 2, &[("y", vec![1.0, 3.0, 0.0, 8.0])]);
    assert_eq!(found, [-1.0, 1.0, -4.0, 4.0]);
}

#[test]
fn a_batch_folded_into_heads_crosses_as_a_batch() {
    let shape = |name: &str, target: &[i64]| {
        let data: Vec<u8> = target.iter().flat_map(|extent| extent.to_le_bytes()).collect();
        let (dtype, dims) = (ElementType::Known(DType::Int64), vec![target.len()]);
        Initializer { name: name.into(), tensor: Tensor { dtype, dims, data: data.into() } }
    };
    let nodes = vec![
        node("Reshape", &["x", "apart"], "heads", &[]),
        node("Mul", &["heads", "heads"], "squares", &[]),
        node("Reshape", &["squares", "together"], "y", &[]),
    ];
    let constants = vec![shape("apart", &[-1, 2]), shape("together", &[-1, 4])];
    let model = network(&[4], nodes, constants, &["y"]);
    let crossing = &derived(&model).unwrap().backward.graph.inputs[1];
    assert_eq!(crossing.dims, Some(vec![Dim::Named("batch".into()), Dim::Known(2), Dim::Known(2)]));
    let image = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
    let found = gradient_of(&model, &image, 2, &[("y", vec![1.0; 8])]);
    assert_eq!(found, image.map(|pixel| 2.0 * pixel));
}

#[test]
fn an_image_that_is_needed_crosses_as_a_copy() {
    let model = network(&[2], vec![node("Abs", &["x"], "y", &[])], Vec::new(), &["y"]);
    let gradients = derived(&model).unwrap();
    assert_eq!(names(&gradients.forward.graph.outputs), ["y", "gradient.residual.x"]);
    assert_eq!(gradient_of(&model, &[-3.0, 2.0], 1, &[("y", vec![1.0, 1.0])]), [-1.0, 1.0]);
}

#[test]
fn batch_normalisation_is_absorbed_where_nothing_else_needs_the_convolution() {
    let norm = |input, output| node("BatchNormalization", &[input, "s", "b", "m", "v"], output, &[]);
    let conv = node("Conv", &["x", "w"], "c", &[]);
    let constants = || {
        let one = |name, value| weights(name, &[1], &[value]);
        vec![weights("w", &[1, 1, 1], &[3.0]), one("s", 2.0), one("b", 1.0), one("m", 0.5), one("v", 4.0)]
    };
    let ops = |model: &Model| {
        let gradients = derived(model).unwrap();
        gradients.forward.graph.nodes.iter().map(|node| node.op.clone()).collect::<Vec<_>>()
    };
    let alone = network(&[1, 2], vec![conv.clone(), norm("c", "y")], constants(), &["y"]);
    assert_eq!(ops(&alone), ["Conv"]);
    let found = gradient_of(&alone, &[1.0, 2.0], 1, &[("y", vec![1.0, 2.0])]);
    assert!((found[0] - 3.0).abs() < 1e-4 && (found[1] - 6.0).abs() < 1e-4, "{found:?}");
    let shared = network(&[1, 2], vec![conv, norm("c", "y")], constants(), &["y", "c"]);
    assert_eq!(ops(&shared), ["Conv", "BatchNormalization"]);
}

#[test]
fn means_spread_next_to_matrix_products_on_tract_too() {
    let pool = [("kernel_shape", ints(&[2, 2])), ("strides", ints(&[2, 2]))];
    let nodes = vec![
        node("Conv", &["x", "w"], "c", &[]),
        node("AveragePool", &["c"], "p", &pool),
        node("Flatten", &["p"], "f", &[]),
        node("MatMul", &["f", "v"], "y", &[]),
    ];
    let constants = vec![weights("w", &[1, 1, 1, 1], &[2.0]), weights("v", &[2, 1], &[1.0, 3.0])];
    let model = network(&[1, 2, 4], nodes, constants, &["y"]);
    let found = gradient_of(&model, &[0.0; 8], 1, &[("y", vec![4.0])]);
    assert_eq!(found, [2.0, 2.0, 6.0, 6.0, 2.0, 2.0, 6.0, 6.0]);
}

#[test]
fn what_stands_in_the_way_is_named() {
    let refused = |nodes, constants, outputs: &[&str]| {
        derived(&network(&[4], nodes, constants, outputs)).unwrap_err().to_string()
    };
    let mystery = node("Sin", &["x"], "y", &[]);
    assert_eq!(refused(vec![mystery], Vec::new(), &["y"]), "no gradient rule for Sin (node of \"y\")");
    let named = Node { name: "wave".into(), ..node("Sin", &["x"], "y", &[]) };
    assert_eq!(refused(vec![named], Vec::new(), &["y"]), "no gradient rule for Sin (node \"wave\")");
    let taken = node("Neg", &["x"], "cotangent.y", &[]);
    let nodes = vec![taken, node("Neg", &["cotangent.y"], "y", &[])];
    assert_eq!(
        refused(nodes, Vec::new(), &["y"]),
        "the network has a tensor \"cotangent.y\", a name that its gradient graphs give another meaning"
    );
    let constant = node("Neg", &["c"], "y", &[]);
    assert_eq!(
        refused(vec![constant], vec![weights("c", &[1], &[1.0])], &["y"]),
        "no exit depends on the input \"x\""
    );
    let mut old = network(&[4], vec![node("Neg", &["x"], "y", &[])], Vec::new(), &["y"]);
    old.opsets = [(String::new(), 8)].into();
    assert_eq!(
        derived(&old).unwrap_err().to_string(),
        "the network uses operator set 8, gradient graphs need 9 or newer"
    );
}

#[test]
fn operators_are_listed_once_and_in_order() {
    let operators: Vec<_> = Gradients::operators().collect();
    assert!(operators.is_sorted_by(|a, b| a < b), "{operators:?}");
}

/// A smooth step of a random network on `[batch, 2, 3, 3]`; each makes `t<at + 1>` of `t<at>` and maybe of an earlier
/// tensor.
fn smooth_step(kind: usize, at: usize, other: usize) -> Vec<Node> {
    let (from, to) = (format!("t{at}"), format!("t{}", at + 1));
    let (earlier, inner) = (format!("t{}", other % (at + 1)), format!("i{at}"));
    let one = |op: &str, inputs: &[&str]| vec![node(op, inputs, &to, &[])];
    match kind {
        0 => one("Tanh", &[&from]),
        1 => one("Sigmoid", &[&from]),
        2 => one("Add", &[&from, &earlier]),
        3 => {
            vec![node("Mul", &[&from, &earlier], &inner, &[]), node("Tanh", &[&inner], &to, &[])]
        }
        4 => vec![node("Conv", &[&from, "kernels"], &to, &[("pads", ints(&[1, 1, 1, 1]))])],
        5 => vec![node("Softmax", &[&from], &to, &[("axis", Attribute::Int(3))])],
        6 => vec![node("Transpose", &[&from], &to, &[("perm", ints(&[0, 1, 3, 2]))])],
        _ => vec![node("GlobalAveragePool", &[&from], &inner, &[]), node("Sub", &[&from, &inner], &to, &[])],
    }
}

fn smooth(steps: &[(usize, usize)], kernels: &[f32]) -> Model {
    let mut nodes = vec![node("Identity", &["x"], "t0", &[])];
    nodes.extend(steps.iter().enumerate().flat_map(|(at, (kind, other))| smooth_step(*kind, at, *other)));
    let last = format!("t{}", steps.len());
    network(&[2, 3, 3], nodes, vec![weights("kernels", &[2, 2, 3, 3], kernels)], &[&last])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// `g(a u + b v) = a g(u) + b g(v)`, and along a direction it is what the logits do.
    #[test]
    fn random_networks_have_linear_gradients_that_agree_with_differences(
        steps in prop::collection::vec((0usize..8, 0usize..8), 1..6),
        kernels in prop::collection::vec(-0.5f32..0.5, 36),
        image in prop::collection::vec(-1.0f32..1.0, 36),
        direction in prop::collection::vec(-1.0f32..1.0, 36),
        u in prop::collection::vec(-1.0f32..1.0, 36),
        v in prop::collection::vec(-1.0f32..1.0, 36),
    ) {
        let model = smooth(&steps, &kernels);
        let logits = model.graph.outputs[0].name.clone();
        let gradient = |cotangent: Vec<f32>| gradient_of(&model, &image, 2, &[(&logits, cotangent)]);
        let (gu, gv) = (gradient(u.clone()), gradient(v.clone()));
        let both = gradient(u.iter().zip(&v).map(|(u, v)| 2.0 * u - 0.5 * v).collect());
        for ((both, u), v) in both.iter().zip(&gu).zip(&gv) {
            prop_assert!((both - (2.0 * u - 0.5 * v)).abs() <= 1e-4 * (1.0 + u.abs() + v.abs()));
        }
        let loss = |scale: f32| -> f64 {
            let moved = image.iter().zip(&direction).map(|(pixel, step)| pixel + scale * step).collect();
            let found = &run(&derived(&model).unwrap().forward, &[("x".to_owned(), moved)].into(), 2)[&logits];
            found.iter().zip(&u).map(|(logit, weight)| f64::from(*logit) * f64::from(*weight)).sum()
        };
        let expected: f64 = gu.iter().zip(&direction).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        let scale: f64 = 1e-2 + gu.iter().map(|a| f64::from(a.abs())).sum::<f64>();
        // Float32 rounds short steps away, curvature spoils long ones: the best of three.
        let apart = [3e-2f32, 1e-2, 3e-3].map(|step| {
            let found = (loss(step) - loss(-step)) / (2.0 * f64::from(step));
            (found - expected).abs() / scale
        });
        prop_assert!(apart.iter().any(|apart| *apart < 1e-3), "{apart:?}, {expected}");
    }
}
