//! Tails: every network has them, they answer as the segments do, and bytes across a cut lose what they must and no more.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::path::{Path, PathBuf};

use offramp_exporter::ExportError;
use offramp_exporter::image::Normalisation;
use offramp_exporter::plan::PlanOptions;
use offramp_exporter::split::{SplitOptions, Written, split};
use offramp_exporter::tails::{self, TailOptions, proof};
use offramp_exporter::verify::VerifyOptions;
use offramp_graph::Model;
use offramp_graph::ir::{Attribute, Dim, Graph, Initializer, Node, Tensor, ValueInfo};
use offramp_models::dataset::{ArchiveWriter, Chw, DataRef, Picture};
use offramp_models::preprocess::{HostBuffer, Preprocessor};
use offramp_models::{Bundle, Canary, DType, Layout, Sha256, Wire};
use offramp_runtime::backend::tract::TractBackend;
use offramp_runtime::backend::{Backend, GraphSource, Origin, RunnerOptions};
use rand::{RngCore as _, SeedableRng as _};

mod engines;

/// tract, and ONNX Runtime where it is.
fn every() -> Vec<Box<dyn Backend>> {
    let mut every: Vec<Box<dyn Backend>> = vec![Box::new(TractBackend::new())];
    every.extend(engines::ort().map(|ort| Box::new(ort) as Box<dyn Backend>));
    every
}

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

fn network(name: &str) -> PathBuf {
    networks().into_iter().find(|path| path.ends_with(name)).unwrap()
}

fn options(tails: TailOptions) -> SplitOptions {
    SplitOptions {
        plan: PlanOptions::default(),
        name: None,
        force: false,
        gradients: false,
        tails: Some(tails),
        verify: VerifyOptions::default(),
    }
}

/// 8 seeded pictures of `shape` in `folder`.
fn pictures(folder: &Path, shape: Chw) -> DataRef {
    let path = folder.join("pictures.npz");
    let mut samples = vec![0; 8 * shape.samples()];
    rand_chacha::ChaCha8Rng::seed_from_u64(7).fill_bytes(&mut samples);
    store(&path, shape, &samples)
}

fn store(path: &Path, shape: Chw, samples: &[u8]) -> DataRef {
    let mut archive = ArchiveWriter::create(path).unwrap();
    let Chw { channels, height, width } = shape;
    let extents = vec![samples.len() / shape.samples(), channels, height, width];
    archive.elements("x", DType::Uint8, extents, samples).unwrap();
    archive.finish().unwrap();
    path.display().to_string().parse().unwrap()
}

/// The network, its tails for both wire forms, and the pictures they were calibrated on.
fn with_bytes(folder: &Path, model: &Path, backends: &[&dyn Backend]) -> (Written, DataRef) {
    let inspected = offramp_exporter::plan::plan(model, &PlanOptions::default()).unwrap();
    let (channels, height, width) = inspected.input.chw();
    let data = pictures(folder, Chw { channels, height, width });
    let tails = TailOptions { cuts: Vec::new(), wire_data: Some(data.clone().into()) };
    let written = split(model, &folder.join("bundle"), &options(tails), backends)
        .unwrap_or_else(|error| panic!("{}: {}", model.display(), offramp_models::Causes(&error)));
    (written, data)
}

/// Little-endian outputs of the graph at `path` for little-endian inputs.
fn run(backend: &dyn Backend, path: &Path, inputs: &[Vec<u8>], batch: usize) -> Vec<Vec<u8>> {
    let source = GraphSource { label: path.display().to_string(), origin: Origin::File(path) };
    let outputs = Model::read(path).unwrap().graph.outputs;
    let host_outputs = outputs.into_iter().map(|info| info.name).collect();
    let runner =
        backend.prepare(&source, &RunnerOptions { host_outputs, ..RunnerOptions::default() }).unwrap();
    let fill = |(at, bytes): (usize, &Vec<u8>)| {
        let value = runner.allocate(at, batch).unwrap();
        value.write_bytes(0, bytes).unwrap();
        value
    };
    let inputs: Vec<_> = inputs.iter().enumerate().map(fill).collect();
    let mut bound = runner.bind(&inputs, batch).unwrap();
    bound.run().unwrap();
    let read = |value: &offramp_runtime::backend::Value| {
        let mut bytes = vec![0; value.shape().iter().product::<usize>() * value.dtype().size()];
        value.read_bytes(0, &mut bytes).unwrap();
        bytes
    };
    bound.outputs().iter().map(read).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

#[test]
fn every_network_has_a_tail_per_cut_and_wire_form_that_both_engines_prove() {
    let engines = every();
    let backends: Vec<&dyn Backend> = engines.iter().map(AsRef::as_ref).collect();
    let mut several = Vec::new();
    for model in networks() {
        let folder = tempfile::tempdir().unwrap();
        let (written, _) = with_bytes(folder.path(), &model, &backends);
        let case = model.file_stem().unwrap().to_string_lossy().into_owned();
        let segments = written.bundle.manifest().segments.len();
        assert_eq!(written.tails, written.bundle.tails().unwrap(), "{case}");
        let expected: Vec<_> = (0..segments).flat_map(|cut| Wire::ALL.map(|wire| (cut, wire))).collect();
        let found: Vec<_> = written.tails.iter().map(|tail| (tail.cut, tail.wire)).collect();
        assert_eq!(found, expected, "{case}");
        for tail in &written.tails {
            let graph = Model::read(written.bundle.dir().join(&tail.file)).unwrap().graph;
            let names = |infos: &[ValueInfo]| infos.iter().map(|info| info.name.clone()).collect::<Vec<_>>();
            let specs = |specs: &[offramp_models::TensorSpec]| {
                specs.iter().map(|spec| spec.name.clone()).collect::<Vec<_>>()
            };
            assert_eq!(names(&graph.inputs), specs(&tail.inputs), "{case} {}", tail.file);
            assert_eq!(names(&graph.outputs), specs(&tail.outputs), "{case} {}", tail.file);
            assert_eq!(tail.outputs.len(), segments - tail.cut, "{case} {}", tail.file);
            let dims = graph.inputs.iter().chain(&graph.outputs).map(|info| info.dims.clone().unwrap());
            let free = dims.filter(|dims| dims.contains(&Dim::Named("batch".to_owned()))).count();
            let batched = written.bundle.manifest().input.fixed_batch().is_none();
            assert_eq!(free > 0, batched, "{case} {}", tail.file);
        }
        assert_eq!(written.tail_verifications.len(), backends.len(), "{case}: {:?}", written.tails_unproved);
        assert_eq!(written.agreements.len(), segments, "{case}");
        if written.tails.iter().any(|tail| tail.inputs.len() > 1) {
            several.push(case);
        }
    }
    for case in ["dense", "multi-scale", "long-skip", "late-input", "cascade"] {
        assert!(several.iter().any(|found| found == case), "{case} is sent as one tensor: {several:?}");
    }
}

#[test]
fn bytes_are_a_quarter_and_their_labels_are_the_same_on_both_engines() {
    for model in networks() {
        let folder = tempfile::tempdir().unwrap();
        let engines = every();
        let (written, data) = with_bytes(folder.path(), &model, &[engines.last().unwrap().as_ref()]);
        let bundle = &written.bundle;
        for engine in &engines {
            let found = tails::agreements(bundle, engine.as_ref(), &data.clone().into(), None).unwrap();
            for (row, expected) in found.iter().zip(&written.agreements) {
                // Untrained networks have close calls: a rounding may decide one of 8.
                let apart = (row.agreement - expected.agreement).abs() * row.images as f64;
                assert!(apart < 1.5, "{} {row:?}, expected {expected:?}", model.display());
                let float = bundle.manifest().cut(row.cut).iter().all(|spec| spec.dtype == DType::Float32);
                assert!(!float || row.f32_bytes == 4 * row.u8_bytes, "{row:?}");
            }
        }
        for tail in written.tails.iter().filter(|tail| tail.wire == Wire::U8) {
            let plain = written.tails.iter().find(|plain| (plain.cut, plain.wire) == (tail.cut, Wire::F32));
            let canary = Canary::read(bundle.dir(), plain.unwrap()).unwrap();
            let encoder = bundle.dir().join(&tail.encoder.as_ref().unwrap().file);
            let sent =
                engines.iter().map(|engine| run(engine.as_ref(), &encoder, &canary.inputs, canary.batch));
            let sent: Vec<_> = sent.collect();
            for (spec, (first, last)) in tail.inputs.iter().zip(sent[0].iter().zip(&sent[sent.len() - 1])) {
                // Engines round halves as they like.
                let step = u8::from(spec.dtype == DType::Uint8);
                let apart = first.iter().zip(last).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
                assert!(apart <= step, "{}: {spec} apart by {apart}", model.display());
            }
            let labels = engines.iter().map(|engine| {
                let logits = run(engine.as_ref(), &bundle.dir().join(&tail.file), &sent[0], canary.batch);
                let label = |row: &Vec<u8>| {
                    let row = floats(row);
                    (0..row.len()).rev().max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap()
                };
                logits.iter().map(label).collect::<Vec<_>>()
            });
            let labels: Vec<_> = labels.collect();
            assert_eq!(labels.first(), labels.last(), "{} {}", model.display(), tail.file);
        }
    }
}

/// One exit on the image itself, 3 channels of 16 by 16.
fn flat(folder: &Path, layout: Layout) -> PathBuf {
    let (path, classes) = (folder.join("flat.onnx"), 4);
    let extents = match layout {
        Layout::Nchw => [3, 16, 16],
        Layout::Nhwc => [16, 16, 3],
    };
    let dims = std::iter::once(Dim::Named("batch".into())).chain(extents.map(Dim::Known)).collect();
    let weights: Vec<f32> = (0..768 * classes).map(|at| ((at * 37 % 101) as f32 - 50.0) / 5000.0).collect();
    let node = |op: &str, inputs: &[&str], output: &str| Node {
        op: op.into(),
        inputs: inputs.iter().map(|input| (*input).into()).collect(),
        outputs: vec![output.into()],
        ..Node::default()
    };
    let graph = Graph {
        inputs: vec![ValueInfo { dims: Some(dims), ..ValueInfo::float32("x") }],
        nodes: vec![node("Flatten", &["x"], "flat"), node("MatMul", &["flat", "w"], "y")],
        initializers: vec![Initializer {
            name: "w".into(),
            tensor: Tensor::float32(&[768, classes], &weights),
        }],
        outputs: vec![ValueInfo::float32("y")],
        ..Graph::default()
    };
    let model = Model { ir_version: 8, opsets: [(String::new(), 17)].into(), graph, ..Model::default() };
    model.write(&path).unwrap();
    path
}

/// Every sample that an 8-bit picture can have comes through cut 0 as it was, whatever the network makes of pictures.
#[test]
fn pictures_cross_as_bytes_without_loss_under_every_normalisation_and_layout() {
    let shape = Chw { channels: 3, height: 16, width: 16 };
    // Each channel has every value once, at another place.
    let samples: Vec<u8> =
        (0..3 * 256).map(|at| ((at % 256) * [1, 3, 5][at / 256] + at / 256 * 85) as u8).collect();
    let range = |low, high| Normalisation { range: Some([low, high]), ..Normalisation::default() };
    let normalised = |base: Normalisation, mean: [f32; 3], std: [f32; 3]| Normalisation {
        mean: Some(mean.to_vec()),
        std: Some(std.to_vec()),
        ..base
    };
    let imagenet = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let cases = [
        range(0.0, 1.0),
        range(0.0, 255.0),
        range(-1.0, 1.0),
        normalised(range(0.0, 1.0), imagenet.0, imagenet.1),
        normalised(range(0.0, 1.0), [0.5; 3], [0.5; 3]),
        normalised(range(0.0, 1.0), [0.4914, 0.4822, 0.4465], [0.2471, 0.2435, 0.2616]),
        normalised(range(0.0, 255.0), [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]),
        normalised(range(0.0, 255.0), [127.0, 0.0, 255.0], [1.0, 128.0, 0.01]),
        normalised(range(0.0, 1.0), [0.0, 1.0, -3.0], [1e-3, 1.0, 10.0]),
    ];
    for layout in [Layout::Nchw, Layout::Nhwc] {
        for normalisation in &cases {
            let folder = tempfile::tempdir().unwrap();
            let model = flat(folder.path(), layout);
            let data = store(&folder.path().join("all.npz"), shape, &samples);
            let mut options = options(TailOptions { cuts: vec![0], wire_data: Some(data.into()) });
            options.plan.exits.single = true;
            options.plan.normalisation = normalisation.clone();
            let written =
                split(&model, &folder.path().join("bundle"), &options, &[&TractBackend::new()]).unwrap();
            let bundle = &written.bundle;
            let preprocessor = Preprocessor::new(&bundle.manifest().input).unwrap();
            let mut input = HostBuffer::default();
            let mut picture = Picture::default();
            picture.fill_u8(shape).copy_from_slice(&samples);
            preprocessor.append(&picture, &mut input).unwrap();
            let given: Vec<u8> = input.float32().iter().flat_map(|value| value.to_le_bytes()).collect();
            let expected: Vec<u8> = match layout {
                Layout::Nchw => samples.clone(),
                Layout::Nhwc => (0..768).map(|at| samples[at % 3 * 256 + at / 3]).collect(),
            };
            let [plain, bytes] = &written.tails[..] else { panic!("{:?}", written.tails) };
            for engine in every() {
                let case = format!("{layout:?} {normalisation:?} on {}", engine.describe().name);
                let encoder = bundle.dir().join(&bytes.encoder.as_ref().unwrap().file);
                let sent = run(engine.as_ref(), &encoder, std::slice::from_ref(&given), 1).remove(0);
                assert_eq!(sent, expected, "{case}");
                let answer = |file: &str, input: Vec<u8>| {
                    floats(&run(engine.as_ref(), &bundle.dir().join(file), &[input], 1)[0])
                };
                let (direct, by_bytes) = (answer(&plain.file, given.clone()), answer(&bytes.file, sent));
                // tract multiplies by a reciprocal where it is told to divide.
                let allowed = if engine.describe().name == "tract" { 1e-6 } else { 0.0 };
                let scale = direct.iter().fold(1.0_f32, |scale, logit| scale.max(logit.abs()));
                for (direct, by_bytes) in direct.iter().zip(&by_bytes) {
                    assert!((direct - by_bytes).abs() <= allowed * scale, "{case}: {direct}, {by_bytes}");
                }
            }
        }
    }
}

/// Two exits: one on the image, one on what `op` makes of it, which crosses the cut.
fn crossing(folder: &Path, op: Node) -> PathBuf {
    let path = folder.join("crossing.onnx");
    let dims = [Dim::Named("batch".into()), Dim::Known(1), Dim::Known(2), Dim::Known(2)];
    let node = |op: &str, inputs: &[&str], output: &str| Node {
        op: op.into(),
        inputs: inputs.iter().map(|input| (*input).into()).collect(),
        outputs: vec![output.into()],
        ..Node::default()
    };
    let constant = |name: &str, dims: &[usize], elements: &[f32]| Initializer {
        name: name.into(),
        tensor: Tensor::float32(dims, elements),
    };
    let graph = Graph {
        inputs: vec![ValueInfo { dims: Some(dims.to_vec()), ..ValueInfo::float32("x") }],
        nodes: vec![
            op,
            node("Flatten", &["h"], "flat"),
            node("MatMul", &["flat", "w"], "early"),
            node("Exp", &["h"], "deep"),
            node("Flatten", &["deep"], "flat deep"),
            node("MatMul", &["flat deep", "w"], "late"),
        ],
        initializers: vec![
            constant("w", &[4, 2], &[1.0, -1.0, 0.5, 2.0, -0.25, 1.0, 3.0, 0.0]),
            constant("zero", &[], &[0.0]),
        ],
        outputs: vec![ValueInfo::float32("early"), ValueInfo::float32("late")],
        ..Graph::default()
    };
    let model = Model { ir_version: 8, opsets: [(String::new(), 17)].into(), graph, ..Model::default() };
    model.write(&path).unwrap();
    path
}

fn op(op: &str, inputs: &[&str], attributes: &[(&str, f32)]) -> Node {
    Node {
        op: op.into(),
        inputs: inputs.iter().map(|input| (*input).into()).collect(),
        outputs: vec!["h".into()],
        attributes: attributes
            .iter()
            .map(|(name, value)| ((*name).into(), Attribute::Float(*value)))
            .collect(),
        ..Node::default()
    }
}

fn grey(count: usize, value: u8) -> (Chw, Vec<u8>) {
    let shape = Chw { channels: 1, height: 2, width: 2 };
    (shape, vec![value; count * shape.samples()])
}

#[test]
fn a_tensor_that_is_the_same_for_all_pictures_crosses_as_bytes_too() {
    for dead in [op("Mul", &["x", "zero"], &[]), op("Elu", &["x"], &[])] {
        let folder = tempfile::tempdir().unwrap();
        let model = crossing(folder.path(), dead);
        let (shape, samples) = grey(4, 0);
        let data = store(&folder.path().join("black.npz"), shape, &samples);
        let tails = TailOptions { cuts: Vec::new(), wire_data: Some(data.into()) };
        let engines = every();
        let backends: Vec<&dyn Backend> = engines.iter().map(AsRef::as_ref).collect();
        let written = split(&model, &folder.path().join("bundle"), &options(tails), &backends).unwrap();
        assert!(written.agreements.iter().all(|row| row.agreement == 1.0), "{:?}", written.agreements);
    }
}

#[test]
fn a_tensor_that_is_no_number_on_the_pictures_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let model = crossing(folder.path(), op("Div", &["x", "x"], &[]));
    let (shape, samples) = grey(1, 0);
    let data = store(&folder.path().join("black.npz"), shape, &samples);
    let tails = TailOptions { cuts: Vec::new(), wire_data: Some(data.into()) };
    let target = folder.path().join("bundle");
    let error = split(&model, &target, &options(tails), &[&TractBackend::new()]).unwrap_err();
    assert!(matches!(&error, ExportError::Range { tensor, .. } if tensor == "h"), "{error}");
    assert!(error.to_string().contains("\"h\" holds NaN on images 0 and on"), "{error}");
    assert!(!target.exists());
}

#[test]
fn a_static_network_has_tail_0_alone_and_listed_cuts_are_the_only_ones() {
    let folder = tempfile::tempdir().unwrap();
    let mut alone = options(TailOptions::default());
    alone.plan.exits.single = true;
    let model = flat(folder.path(), Layout::Nchw);
    let backend = TractBackend::new();
    let written = split(&model, &folder.path().join("static"), &alone, &[&backend]).unwrap();
    assert_eq!(written.tails.iter().map(|tail| tail.cut).collect::<Vec<_>>(), [0]);
    let some = options(TailOptions { cuts: vec![2, 0, 2], wire_data: None });
    let written = split(&network("residual.onnx"), &folder.path().join("some"), &some, &[&backend]).unwrap();
    assert_eq!(written.tails.iter().map(|tail| tail.cut).collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn what_cannot_be_written_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (model, target) = (network("residual.onnx"), folder.path().join("bundle"));
    let backend = TractBackend::new();
    let refusal = |tails: TailOptions, backends: &[&dyn Backend]| {
        let error = split(&model, &target, &options(tails), backends).unwrap_err();
        assert!(!target.exists());
        error.to_string()
    };
    let cuts = TailOptions { cuts: vec![3], wire_data: None };
    assert_eq!(refusal(cuts, &[&backend]), "there is no cut 3, the network has cuts 0 to 2");
    let engineless = "tails are answered by an engine before they are written, and none was given";
    assert_eq!(refusal(TailOptions::default(), &[]), engineless);
    let data = pictures(folder.path(), Chw { channels: 3, height: 5, width: 5 });
    let small = TailOptions { cuts: vec![], wire_data: Some(data.into()) };
    assert!(refusal(small, &[&backend]).contains("5"), "pictures of another size");
}

/// The bundle with one file replaced and the manifest's digest of it put right.
fn forged(bundle: &Bundle, file: &str, change: impl Fn(&mut Model)) -> Bundle {
    let path = bundle.dir().join(file);
    let mut model = Model::read(&path).unwrap();
    change(&mut model);
    let bytes = model.to_bytes().unwrap();
    drop(model);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, bytes).unwrap();
    let mut manifest = bundle.manifest().clone();
    let extra = manifest.extras.iter_mut().find(|extra| extra.file == file).unwrap();
    extra.sha256 = Sha256::of_file(&path).unwrap();
    std::fs::write(bundle.dir().join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
    Bundle::open(bundle.dir()).unwrap()
}

#[test]
fn a_tail_that_computes_something_else_is_not_proved_even_where_digests_fit() {
    let folder = tempfile::tempdir().unwrap();
    let backend = TractBackend::new();
    let (written, _) = with_bytes(folder.path(), &network("residual.onnx"), &[&backend]);
    let name = |bundle: &Bundle, at: usize| bundle.tails().unwrap()[at].name.clone();
    let verify = |bundle: &Bundle| {
        let found = proof::verify(bundle, &backend, &VerifyOptions::default()).unwrap();
        (
            found.worst().map(|worst| (worst.cut, worst.wire)),
            found.require().err().map(|error| error.to_string()),
        )
    };
    assert_eq!(verify(&written.bundle).1, None);
    let before = name(&written.bundle, 3);
    // The steps of the bytes are twice as large.
    let wrong = forged(&written.bundle, "tails/1.u8.onnx", |model| {
        let head = model.graph.nodes.iter().find(|node| node.op == "DequantizeLinear").unwrap();
        let scale = head.inputs[1].clone();
        let init = model.graph.initializers.iter_mut().find(|init| init.name == scale).unwrap();
        let old = f32::from_le_bytes(init.tensor.data[..4].try_into().unwrap());
        init.tensor = Tensor::float32(&[], &[2.0 * old]);
    });
    let (worst, refusal) = verify(&wrong);
    assert_eq!(worst, Some((1, Wire::U8)));
    assert!(refusal.unwrap().starts_with("tail 1 (u8) differs from the segments by"));
    assert_ne!(name(&wrong, 3), before, "another tail has another name");
    assert_eq!(wrong.identity(), written.bundle.identity());
}
