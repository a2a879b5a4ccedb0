//! Broken and hostile bytes are errors, never panics.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use bytes::Bytes;
use offramp_graph::ir::{
    Attribute, Dim, ElementType, Function, Graph, Initializer, Model, Node, Tensor, ValueInfo,
};
use offramp_graph::{ModelError, Types, extract, fuse, partition};
use offramp_models::DType;

const FLOATS: Types<'static> = &|name| Some(ValueInfo::float32(name));

/// Mutated models per run; `OFFRAMP_FUZZ_ITERATIONS` asks for more.
const ITERATIONS: u64 = 2000;

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> Node {
    let strings = |names: &[&str]| names.iter().map(|name| (*name).into()).collect();
    Node { op: op.into(), inputs: strings(inputs), outputs: strings(outputs), ..Default::default() }
}

fn seed_model() -> Model {
    let dtype = ElementType::Known(DType::Float32);
    let tensor = Tensor { dtype, dims: vec![2, 2], data: vec![1; 16].into() };
    let inner = Graph {
        nodes: vec![node("Add", &["a", "w"], &["t"])],
        outputs: vec![ValueInfo::float32("t")],
        ..Default::default()
    };
    let mut branch = node("If", &["a"], &["y1"]);
    branch.attributes = vec![
        ("then_branch".into(), Attribute::Graph(Box::new(inner))),
        ("pads".into(), Attribute::Ints(vec![1, 1])),
        ("value".into(), Attribute::Tensor(tensor.clone())),
    ];
    let call = Node { domain: "f".into(), ..node("F", &["a"], &["y0"]) };
    let function = Function {
        domain: "f".into(),
        name: "F".into(),
        inputs: vec!["p".into()],
        outputs: vec!["q".into()],
        nodes: vec![node("Relu", &["p"], &["q"])],
        ..Default::default()
    };
    let image =
        ValueInfo { dims: Some(vec![Dim::Named("n".into()), Dim::Known(2)]), ..ValueInfo::float32("x") };
    Model {
        ir_version: 8,
        opsets: [(String::new(), 17), ("f".into(), 1)].into(),
        functions: vec![function],
        graph: Graph {
            name: "g".into(),
            nodes: vec![node("Mul", &["x", "w"], &["a"]), call, branch],
            initializers: vec![Initializer { name: "w".into(), tensor }],
            inputs: vec![image],
            outputs: vec![ValueInfo::float32("y0"), ValueInfo::float32("y1")],
            ..Default::default()
        },
        ..Default::default()
    }
}

/// Does with a model all that this crate can.
fn exercise(bytes: Bytes) {
    let Ok(mut model) = Model::from_bytes(bytes) else { return };
    if model.inline().is_err() {
        return;
    }
    let outputs: Vec<String> = model.graph.outputs.iter().map(|output| output.name.clone()).collect();
    let inputs: Vec<String> = model.graph.inputs.iter().map(|input| input.name.clone()).collect();
    let written = model.to_bytes().unwrap();
    assert_eq!(Model::from_bytes(written.clone()).unwrap().to_bytes().unwrap(), written);
    let _ = extract(&model, &inputs, &outputs, FLOATS);
    if let Ok(parts) = partition(&model, &outputs, FLOATS) {
        fuse(&parts).unwrap();
    }
}

#[test]
fn a_model_cut_short_anywhere_is_an_error() {
    let bytes = seed_model().to_bytes().unwrap();
    for end in 0..bytes.len() {
        // Functions come last and may all be missing.
        if let Ok(model) = Model::from_bytes(bytes.slice(..end)) {
            assert!(model.functions.is_empty(), "cut at byte {end} of {}", bytes.len());
        }
    }
}

#[test]
fn most_cuts_are_reported_as_truncation() {
    let bytes = seed_model().to_bytes().unwrap();
    let error = Model::from_bytes(bytes.slice(..bytes.len() / 2)).unwrap_err();
    assert!(matches!(error, ModelError::Truncated { .. }), "{error}");
}

#[test]
fn mutated_models_never_panic() {
    let iterations = std::env::var("OFFRAMP_FUZZ_ITERATIONS").ok().and_then(|text| text.parse().ok());
    let seed = seed_model().to_bytes().unwrap();
    for round in 0..iterations.unwrap_or(ITERATIONS) {
        let mut random = SplitMix(round);
        let mut bytes = seed.to_vec();
        for _ in 0..=random.below(4) {
            mutate(&mut bytes, &mut random);
        }
        exercise(bytes.into());
    }
}

#[test]
fn graphs_nested_beyond_all_reason_are_an_error() {
    let mut graph = seed_model().graph;
    for _ in 0..200 {
        let mut outer = Graph { nodes: vec![node("If", &[], &["y0"])], ..Default::default() };
        outer.outputs = vec![ValueInfo::float32("y0")];
        outer.nodes[0].attributes = vec![("then_branch".into(), Attribute::Graph(Box::new(graph)))];
        graph = outer;
    }
    let model = Model { graph, ..seed_model() };
    assert!(matches!(Model::from_bytes(model.to_bytes().unwrap()), Err(ModelError::Malformed(_))));
}

fn mutate(bytes: &mut Vec<u8>, random: &mut SplitMix) {
    let at = random.below(bytes.len());
    match random.below(5) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
        2 => bytes.insert(at, random.below(256) as u8),
        3 if bytes.len() > 1 => {
            bytes.remove(at);
        }
        // A copy of one stretch over another: names and lengths in places of others.
        _ => {
            let (from, length) = (random.below(bytes.len()), random.below(8));
            let stretch = bytes[from..usize::min(from + length, bytes.len())].to_vec();
            let end = usize::min(at + stretch.len(), bytes.len());
            bytes.splice(at..end, stretch);
        }
    }
}

/// SplitMix64. Source: Steele, Lea and Flood 2014, §4.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}
