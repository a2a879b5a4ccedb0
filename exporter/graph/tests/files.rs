//! Models on disk: what is written is what was read, wherever the weights lie.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

use std::fs;
use std::path::{Path, PathBuf};

use offramp_graph::ir::{
    Attribute, Dim, ElementType, Function, Graph, Initializer, Model, Node, Tensor, ValueInfo,
};
use offramp_graph::{ModelError, ReadError};
use offramp_models::{DType, Sha256};

const FLOAT32: ElementType = ElementType::Known(DType::Float32);

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> Node {
    let strings = |names: &[&str]| names.iter().map(|name| (*name).into()).collect();
    Node { op: op.into(), inputs: strings(inputs), outputs: strings(outputs), ..Default::default() }
}

fn weight(name: &str, elements: usize) -> Initializer {
    let data: Vec<u8> = (0..elements).flat_map(|at| (at as f32).to_le_bytes()).collect();
    Initializer {
        name: name.into(),
        tensor: Tensor { dtype: FLOAT32, dims: vec![elements], data: data.into() },
    }
}

/// A model with one of everything.
fn model() -> Model {
    let branch = |op: &str| Graph {
        name: op.into(),
        nodes: vec![node(op, &["a", "w"], &["t"])],
        outputs: vec![ValueInfo::float32("t")],
        ..Default::default()
    };
    let mut choice = node("If", &["flag"], &["y"]);
    choice.attributes = vec![
        ("then_branch".into(), Attribute::Graph(Box::new(branch("Add")))),
        ("else_branch".into(), Attribute::Graph(Box::new(branch("Mul")))),
    ];
    let mut first = node("First", &["x", ""], &["a"]);
    first.name = "first".into();
    first.domain = "local".into();
    first.attributes = vec![
        ("float".into(), Attribute::Float(0.0)),
        ("int".into(), Attribute::Int(0)),
        ("string".into(), Attribute::String("é".into())),
        ("tensor".into(), Attribute::Tensor(weight("", 3).tensor)),
        ("floats".into(), Attribute::Floats(vec![1.0, -0.0])),
        ("ints".into(), Attribute::Ints(vec![-1, i64::MAX])),
        ("strings".into(), Attribute::Strings(vec!["".into(), "b".into()])),
        ("tensors".into(), Attribute::Tensors(vec![weight("", 1).tensor])),
        ("graphs".into(), Attribute::Graphs(vec![Graph::default()])),
    ];
    let mut body = node("LeakyRelu", &["in"], &["out"]);
    body.attributes = vec![("alpha".into(), Attribute::Reference { name: "float".into(), kind: 1 })];
    let function = Function {
        domain: "local".into(),
        name: "First".into(),
        inputs: vec!["in".into(), "left_out".into()],
        outputs: vec!["out".into()],
        attributes: vec!["float".into()],
        defaults: vec![("slope".into(), Attribute::Float(0.5))],
        nodes: vec![body],
        opsets: [(String::new(), 17)].into(),
        ..Default::default()
    };
    let dims = vec![Dim::Named("batch".into()), Dim::Known(4), Dim::Unknown];
    let flag =
        ValueInfo { name: "flag".into(), dtype: Some(ElementType::Known(DType::Bool)), dims: Some(vec![]) };
    Model {
        ir_version: 8,
        producer: "test".into(),
        opsets: [(String::new(), 17), ("local".into(), 1)].into(),
        functions: vec![function],
        metadata: vec![("k".into(), "v".into())],
        graph: Graph {
            name: "g".into(),
            nodes: vec![first, choice],
            initializers: vec![weight("w", 1000), weight("v", 5000), weight("small", 2)],
            inputs: vec![ValueInfo { dims: Some(dims), ..ValueInfo::float32("x") }, flag],
            outputs: vec![ValueInfo::float32("y")],
            value_info: vec![ValueInfo::float32("a")],
        },
    }
}

#[test]
fn bytes_round_trip() {
    let model = model();
    assert_eq!(Model::from_bytes(model.to_bytes().unwrap()).unwrap(), model);
}

#[test]
fn a_written_file_is_read_back_and_has_the_digest_that_was_returned() {
    let dir = tempfile::tempdir().unwrap();
    let written = model().write(dir.path().join("m.onnx")).unwrap();
    assert_eq!(written.sha256, Sha256::of_file(&written.path).unwrap());
    assert_eq!(written.bytes, fs::metadata(&written.path).unwrap().len());
    assert_eq!(written.data, None);
    assert_eq!(fs::read(&written.path).unwrap(), model().to_bytes().unwrap());
    assert_eq!(Model::read(&written.path).unwrap(), model());
}

#[test]
fn large_weights_go_to_a_file_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let written = model().write_with_limit(dir.path().join("m.onnx"), 10_000).unwrap();
    let data = written.data.unwrap();
    assert_eq!(data.path, dir.path().join("m.onnx.data"));
    assert_eq!(data.sha256, Sha256::of_file(&data.path).unwrap());
    // 4000 bytes, then 20000 from the next page on.
    assert_eq!((data.bytes, fs::metadata(&data.path).unwrap().len()), (24_096, 24_096));
    assert_eq!(Model::read(&written.path).unwrap(), model());
}

fn external(change: impl Fn(&Path)) -> String {
    let dir = tempfile::tempdir().unwrap();
    let written = model().write_with_limit(dir.path().join("m.onnx"), 0).unwrap();
    change(dir.path());
    let ReadError::Model { source: ModelError::External { source, .. }, .. } =
        Model::read(&written.path).unwrap_err()
    else {
        panic!("not an external error")
    };
    source.to_string().replace(&dir.path().display().to_string(), "DIR")
}

#[test]
fn external_data_that_is_missing_short_or_elsewhere_is_named() {
    let missing = external(|dir| fs::remove_file(dir.join("m.onnx.data")).unwrap());
    assert_eq!(missing, "cannot read DIR/m.onnx.data");
    let short = external(|dir| fs::write(dir.join("m.onnx.data"), [0; 5000]).unwrap());
    assert_eq!(short, "DIR/m.onnx.data has 5000 bytes, bytes 4096 to 24096 are needed");
    let relocated = |location: &'static [u8; 11]| {
        external(move |dir| {
            let mut bytes = fs::read(dir.join("m.onnx")).unwrap();
            while let Some(at) = bytes.windows(11).position(|window| window == b"m.onnx.data") {
                bytes[at..at + 11].copy_from_slice(location);
            }
            fs::write(dir.join("m.onnx"), bytes).unwrap();
        })
    };
    assert_eq!(relocated(b"../etc/pass"), "location \"../etc/pass\" leads out of the model's folder");
    assert_eq!(relocated(b"/etc/passwd"), "location \"/etc/passwd\" leads out of the model's folder");
    assert_eq!(relocated(b"./././././."), "cannot read DIR/./././././.");
}

#[test]
fn files_that_cannot_be_had_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let absent = dir.path().join("absent.onnx");
    assert!(matches!(Model::read(&absent), Err(ReadError::Open { path, .. }) if path == absent));
    assert!(matches!(Model::read(dir.path()), Err(ReadError::Open { .. })));
    let nowhere = dir.path().join("no/such/folder.onnx");
    let error = model().write(&nowhere).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot write {}", nowhere.display()));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_that_names_the_file() {
    let error = model().write("/dev/full").unwrap_err();
    assert_eq!(error.to_string(), "cannot write /dev/full");
    let source = std::error::Error::source(&error).unwrap();
    let source = source.downcast_ref::<std::io::Error>().unwrap();
    assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
}

#[test]
fn weights_of_a_read_model_are_slices_of_the_file() {
    let bytes = model().to_bytes().unwrap();
    let model = Model::from_bytes(bytes.clone()).unwrap();
    let data = &model.graph.initializers[1].tensor.data;
    assert!(bytes.as_ptr_range().contains(&data.as_ptr()));
}

#[test]
fn graphs_that_do_not_hold_together_are_refused_by_name() {
    let message = |change: &dyn Fn(&mut Model)| {
        let mut model = model();
        change(&mut model);
        Model::from_bytes(model.to_bytes().unwrap()).unwrap_err().to_string()
    };
    assert_eq!(
        message(&|model| model.graph.nodes[1].inputs[0] = "nothing".into()),
        "If of \"y\" takes \"nothing\", which nothing gives"
    );
    assert_eq!(
        message(&|model| model.graph.nodes.push(node("Relu", &["x"], &["a"]))),
        "tensor \"a\" is defined twice, the second time by Relu of \"a\""
    );
    assert_eq!(
        message(&|model| model.graph.initializers.push(weight("w", 1))),
        "tensor \"w\" is defined twice, the second time by an initializer"
    );
    assert_eq!(
        message(&|model| model.graph.nodes[0].inputs[0] = "y".into()),
        "local.First \"first\" needs its own result"
    );
    assert_eq!(
        message(&|model| model.graph.outputs[0].name = "z".into()),
        "output \"z\" takes \"z\", which nothing gives"
    );
    assert_eq!(message(&|model| model.graph.nodes.clear()), "the graph has no nodes");
    assert_eq!(message(&|model| model.graph.outputs.clear()), "the graph has no outputs");
    assert_eq!(
        message(&|model| model.opsets.clear()),
        "the model names no version of the ai.onnx operators (opset_import)"
    );
}

#[test]
fn initializers_that_are_listed_as_inputs_are_inputs_no_more() {
    let mut old = model();
    old.ir_version = 3;
    old.graph.inputs.push(ValueInfo::float32("w"));
    let read = Model::from_bytes(old.to_bytes().unwrap()).unwrap();
    assert_eq!(read.graph.inputs, model().graph.inputs);
    assert_eq!(read.ir_version, 4);
}

#[test]
fn inlined_functions_leave_operators_only() {
    let mut model = model();
    model.inline().unwrap();
    let first = &model.graph.nodes[0];
    assert_eq!((&*first.op, &*first.domain), ("LeakyRelu", ""));
    assert_eq!(first.attributes, [("alpha".into(), Attribute::Float(0.0))]);
}

#[test]
fn shared_models_round_trip() {
    let Some(models) = shared_models() else { return };
    for path in models {
        let dir = tempfile::tempdir().unwrap();
        let model = Model::read(&path).unwrap();
        let written = model.write(dir.path().join("again.onnx")).unwrap();
        assert_eq!(Model::read(&written.path).unwrap(), model, "{}", path.display());
        let apart = model.write_with_limit(dir.path().join("apart.onnx"), 0).unwrap();
        assert_eq!(Model::read(&apart.path).unwrap(), model, "{}", path.display());
    }
}

#[expect(clippy::print_stderr, reason = "a test says why it is skipped")]
fn shared_models() -> Option<Vec<PathBuf>> {
    let Some(shared) = std::env::var_os("OFFRAMP_SHARED") else {
        eprintln!("skipped: OFFRAMP_SHARED does not name the folder with models/");
        return None;
    };
    let files = fs::read_dir(Path::new(&shared).join("models")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let models: Vec<_> = paths.filter(|path| path.extension().is_some_and(|ext| ext == "onnx")).collect();
    assert!(!models.is_empty());
    Some(models)
}
