//! Shapes, folding and counts of real networks, where `OFFRAMP_SHARED` names the folder that holds them.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests fail like tests and say what they skip"
)]

use std::path::PathBuf;

use offramp_graph::index::NodeSet;
use offramp_graph::macs::{Counting, count};
use offramp_graph::{Index, Model, fold, shape};

fn shared(file: &str) -> Option<Model> {
    let Some(folder) = std::env::var_os("OFFRAMP_SHARED") else {
        eprintln!("skipped: OFFRAMP_SHARED does not name the folder with models/");
        return None;
    };
    Some(Model::read(PathBuf::from(folder).join("models").join(file)).unwrap())
}

const FILES: [&str; 3] =
    ["resnet20-sdn-joint-cifar10.onnx", "resnet56-cifar10.onnx", "resnet56-sdn-cifar10.onnx"];

#[test]
fn every_tensor_has_a_shape_before_and_after_folding() {
    for model in FILES.into_iter().filter_map(shared) {
        let before = shape::infer(&model).unwrap();
        let folded = fold::fold(model).unwrap();
        for (tensor, _) in before.iter() {
            before.require(tensor).unwrap();
        }
        for (tensor, shape) in folded.shapes.iter() {
            assert_eq!(shape, Some(folded.shapes.require(tensor).unwrap()));
            assert!(before.get(tensor).is_none_or(|before| Some(before) == shape), "{tensor}");
        }
        assert!(folded.constants.is_empty());
    }
}

#[test]
fn features_and_logits_leave_the_batch_free() {
    let Some(model) = shared("resnet56-sdn-cifar10.onnx") else { return };
    let shapes = shape::infer(&model).unwrap();
    for exit in 0..7 {
        let logits = shapes.spec(&format!("exit{exit}")).unwrap();
        assert_eq!(logits.to_string(), format!("\"exit{exit}\" float32 [batch, 10]"));
    }
}

#[test]
fn the_arithmetic_of_legacy_exports_is_gone() {
    let Some(model) = shared("resnet56-sdn-cifar10.onnx") else { return };
    let folded = fold::fold(model).unwrap();
    let nodes = &folded.model.graph.nodes;
    let gone = ["Constant", "ConstantOfShape", "Concat", "Reshape", "Transpose", "Cast", "Shape", "Gather"];
    assert!(nodes.iter().all(|node| !gone.contains(&node.op.as_str())));
    assert_eq!(nodes.iter().filter(|node| node.op == "Conv").count(), 55);
}

/// Cumulative fractions of the total at every output, in the order of the outputs.
fn fractions(model: Model, counting: Counting) -> (Vec<f64>, u64) {
    let folded = fold::fold(model).unwrap();
    let costs = count(&folded.model, &folded.shapes, counting).unwrap();
    let graph = &folded.model.graph;
    let index = Index::new(graph);
    let mut spent = NodeSet::default();
    let total = costs.total().macs;
    let cumulative = graph.outputs.iter().map(|exit| {
        for node in index.ancestors(&exit.name).iter() {
            spent.insert(node);
        }
        costs.sum(spent.iter()).macs as f64 / total as f64
    });
    (cumulative.collect(), total)
}

#[test]
fn the_published_profiler_is_reproduced() {
    let Some(model) = shared("resnet56-sdn-cifar10.onnx") else { return };
    let (fractions, total) = fractions(model, Counting::Sdn);
    let published = [0.154, 0.305, 0.446, 0.596, 0.738, 0.888, 1.0];
    assert_eq!(fractions.len(), published.len());
    for (fraction, published) in fractions.iter().zip(published) {
        assert!((fraction - published).abs() < 0.002, "{fractions:?}");
    }
    // Its shortcuts are projections and its batch normalisation is not fused: 0.6 % more.
    assert!((0.250..0.254).contains(&(total as f64 / 1e9)), "{total}");
}

#[test]
fn the_multiply_adds_of_a_resnet56_are_those_counted_by_hand() {
    let stages = [(16, 32), (32, 16), (64, 8)];
    let mut expected = 3 * 9 * 16 * 32 * 32;
    let mut channels = 16;
    for (width, side) in stages {
        // Nine blocks of two convolutions; the first of a stage takes the channels of the stage before.
        expected += channels * 9 * width * side * side + 17 * width * 9 * width * side * side;
        channels = width;
    }
    expected += 64 * 10;
    let Some(model) = shared("resnet56-cifar10.onnx") else { return };
    let folded = fold::fold(model).unwrap();
    let costs = count(&folded.model, &folded.shapes, Counting::Macs).unwrap();
    assert_eq!(costs.total().macs, expected);
}
