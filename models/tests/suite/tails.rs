use std::fs;
use std::path::Path;

use offramp_models::tail::{Canary, TailDigests, Wire};
use offramp_models::{Bundle, DType, Extra, Manifest, Sha256, Tail, TensorSpec};
use tempfile::TempDir;

use crate::sample::{chain, content, manifest};

fn digest(byte: u8) -> Sha256 {
    Sha256::from_bytes([byte; 32])
}

/// The bytes that the digits in a name are the digest of are part of the format: peers compute them too.
#[test]
fn a_tail_is_named_by_what_it_computes() {
    let plain = TailDigests { tail: digest(0xab), data: None };
    assert_eq!(Tail::name_of("net.1", digest(0x11), 2, Wire::U8, plain), "net.1.43f762e2e60b.tail2.u8");
    let json = format!(r#"{{"cut":2,"identity":"{}","tail":"{}","wire":"u8"}}"#, digest(0x11), digest(0xab));
    assert_eq!(Sha256::of(json.as_bytes()).prefix(12), "43f762e2e60b");
    let outside = TailDigests { data: Some(digest(0xcd)), ..plain };
    assert_eq!(Tail::name_of("net", digest(0x11), 0, Wire::F32, outside), "net.de4bf89807cf.tail0.f32");
}

#[test]
fn what_crosses_a_cut_is_what_later_segments_take_the_image_first() {
    let mut network = manifest();
    let names =
        |network: &Manifest, cut| network.cut(cut).into_iter().map(|spec| spec.name).collect::<Vec<_>>();
    assert_eq!(names(&network, 0), ["image"]);
    assert_eq!(names(&network, 1), ["feature"]);
    assert!(names(&network, 2).is_empty());
    network.segments[1].inputs.push(network.input.spec());
    assert_eq!(names(&network, 1), ["image", "feature"]);
    let logits = network.logits_from(1);
    assert_eq!(logits.iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>(), ["logits1"]);
}

const FILES: [(&str, &str); 7] = [
    ("tails/1.u8.onnx", Extra::TAIL),
    ("tails/1.u8.canary.npz", Extra::CANARY),
    ("wire/1.u8.onnx", Extra::WIRE),
    ("tails/0.f32.onnx", Extra::TAIL),
    ("tails/0.f32.canary.npz", Extra::CANARY),
    ("tails/1.f32.onnx", Extra::TAIL),
    ("tails/1.f32.canary.npz", Extra::CANARY),
];

fn listed(files: &[(&str, &str)]) -> Manifest {
    let extra = |(file, kind): &(&str, &str)| Extra {
        file: (*file).to_owned(),
        sha256: Sha256::of(file.as_bytes()),
        kind: (*kind).to_owned(),
    };
    let mut network = manifest();
    network.extras.extend(files.iter().map(extra));
    network
}

/// A bundle whose tails hold their own names.
fn bundle(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let network = listed(files);
    for folder in ["segments", "policies", "tails", "wire"] {
        fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    for segment in &network.segments {
        fs::write(dir.path().join(&segment.file), content(segment.index)).unwrap();
    }
    for (file, _) in files {
        fs::write(dir.path().join(file), file).unwrap();
    }
    fs::write(dir.path().join("manifest.json"), serde_json::to_vec(&network).unwrap()).unwrap();
    dir
}

#[test]
fn a_bundle_tells_its_tails_by_cut_and_what_they_take_and_give() {
    let dir = bundle(&FILES);
    let tails = Bundle::open(dir.path()).unwrap().tails().unwrap();
    let found: Vec<_> = tails.iter().map(|tail| (tail.cut, tail.wire, tail.file.as_str())).collect();
    assert_eq!(
        found,
        [
            (0, Wire::F32, "tails/0.f32.onnx"),
            (1, Wire::F32, "tails/1.f32.onnx"),
            (1, Wire::U8, "tails/1.u8.onnx")
        ]
    );
    let names = |specs: &[TensorSpec]| specs.iter().map(|spec| spec.name.clone()).collect::<Vec<_>>();
    assert_eq!(
        (names(&tails[0].inputs), names(&tails[0].outputs)),
        (vec!["image".to_owned()], vec!["logits0".to_owned(), "logits1".to_owned()])
    );
    let [_, plain, bytes] = &tails[..] else { unreachable!() };
    assert_eq!((plain.inputs[0].dtype, bytes.inputs[0].dtype), (DType::Float32, DType::Uint8));
    assert_eq!((plain.bytes_per_image(), bytes.bytes_per_image()), (4096, 1024));
    assert_eq!(
        (plain.encoder.as_ref(), bytes.encoder.as_ref().unwrap().file.as_str()),
        (None, "wire/1.u8.onnx")
    );
    let manifest = listed(&FILES);
    let files = TailDigests { tail: plain.sha256, data: None };
    assert_eq!(plain.name, Tail::name_of("two-exits", manifest.identity(), 1, Wire::F32, files));
    assert_eq!(manifest.identity(), crate::sample::manifest().identity(), "tails do not change the identity");
}

#[test]
fn a_changed_tail_canary_or_encoder_is_named() {
    for (file, _) in FILES {
        let dir = bundle(&FILES);
        fs::write(dir.path().join(file), "another").unwrap();
        let error = Bundle::open(dir.path()).unwrap().tails().unwrap_err();
        assert!(chain(&error).contains(&format!("{file} was changed")), "{error}");
    }
}

#[test]
fn segments_are_not_looked_at_for_tails() {
    let dir = bundle(&FILES);
    fs::remove_dir_all(dir.path().join("segments")).unwrap();
    let bundle = Bundle::open(dir.path()).unwrap();
    assert_eq!(bundle.tails().unwrap().len(), 3);
    bundle.check().unwrap_err();
}

#[test]
fn extras_that_make_no_tails_are_refused_by_name() {
    let refusal = |change: &dyn Fn(&mut Vec<(&'static str, &'static str)>)| {
        let mut files = FILES.to_vec();
        change(&mut files);
        listed(&files).tails().unwrap_err().to_string()
    };
    let renamed = |to: &'static str| refusal(&move |files| files[3].0 = to);
    for name in
        ["tails/00.f32.onnx", "tails/0.f16.onnx", "tail/0.f32.onnx", "tails/+0.f32.onnx", "tails/.f32.onnx"]
    {
        assert_eq!(renamed(name), format!("the tail \"{name}\" is not called tails/<cut>.<f32|u8>.onnx"));
    }
    assert_eq!(
        renamed("tails/2.f32.onnx"),
        "the tail \"tails/2.f32.onnx\" begins at cut 2, the network has cuts 0 to 1"
    );
    let without = |at: usize| refusal(&move |files| drop(files.remove(at)));
    assert_eq!(without(1), "the tail \"tails/1.u8.onnx\" comes without \"tails/1.u8.canary.npz\"");
    assert_eq!(without(2), "the tail \"tails/1.u8.onnx\" comes without \"wire/1.u8.onnx\"");
    assert_eq!(without(3), "\"tails/0.f32.canary.npz\" of kind canary belongs to no tail");
    assert_eq!(
        refusal(&|files| files.push(FILES[3])),
        "the tail \"tails/0.f32.onnx\" comes without \"tails/0.f32.canary.npz\""
    );
    assert_eq!(refusal(&|files| files.push(FILES[2])), "\"wire/1.u8.onnx\" is listed twice");
    assert_eq!(
        refusal(&|files| files[2].1 = Extra::CANARY),
        "the tail \"tails/1.u8.onnx\" comes without \"wire/1.u8.onnx\""
    );
}

fn answered(dir: &Path) -> (Tail, Canary) {
    let tail = listed(&FILES).tails().unwrap().remove(2);
    let canary = Canary {
        batch: 1,
        inputs: vec![(0..1024).map(|at| at as u8).collect()],
        logits: vec![(0..10).map(|at| at as f32 - 4.5).collect()],
    };
    fs::create_dir_all(dir.join("tails")).unwrap();
    canary.write(&dir.join(&tail.canary.file), &tail.inputs, &tail.outputs).unwrap();
    (tail, canary)
}

#[test]
fn a_canary_is_read_as_it_was_written_and_numpy_s_names_are_its_arrays() {
    let dir = tempfile::tempdir().unwrap();
    let (tail, canary) = answered(dir.path());
    assert_eq!(Canary::read(dir.path(), &tail).unwrap(), canary);
    let file = fs::File::open(dir.path().join(&tail.canary.file)).unwrap();
    let archive = zip::ZipArchive::new(file).unwrap();
    let names: Vec<_> = archive.file_names().collect();
    assert_eq!(names, ["input0.npy", "logits0.npy"]);
}

#[test]
fn a_canary_of_another_form_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (mut tail, _) = answered(dir.path());
    let refusal = |tail: &Tail| {
        let text = chain(&Canary::read(dir.path(), tail).unwrap_err());
        text.replace(&dir.path().display().to_string(), "BUNDLE")
    };
    tail.inputs[0].dtype = DType::Float32;
    insta::assert_snapshot!(refusal(&tail), @r#"array "input0" of BUNDLE/tails/1.u8.canary.npz cannot be used: its elements are "|u1", expected <f4"#);
    tail.inputs[0].dtype = DType::Uint8;
    tail.inputs[0].shape[1] = Some(8);
    insta::assert_snapshot!(refusal(&tail), @r#"array "input0" of BUNDLE/tails/1.u8.canary.npz cannot be used: its shape is [1, 16, 8, 8], expected [1, 8, 8, 8]"#);
    tail.inputs[0].shape[1] = Some(16);
    tail.outputs.push(tail.outputs[0].clone());
    insta::assert_snapshot!(refusal(&tail), @r#"BUNDLE/tails/1.u8.canary.npz has no array "logits1""#);
}

#[test]
fn an_answer_is_as_far_from_the_canary_as_its_worst_logit_and_no_answer_is_none() {
    let canary = Canary { batch: 1, inputs: vec![], logits: vec![vec![0.5, -0.25], vec![8.0, 4.0]] };
    let apart = |answer: &[Vec<f32>]| canary.difference(answer);
    assert_eq!(apart(&canary.logits), Some(0.0));
    assert_eq!(apart(&[vec![0.5, 0.0], vec![8.0, 4.0]]), Some(0.25));
    assert_eq!(
        apart(&[vec![0.5, -0.25], vec![8.0, 6.0]]),
        Some(0.25),
        "relative to the exit's largest logit"
    );
    assert_eq!(apart(&[vec![0.5, -0.25]]), None);
    assert_eq!(apart(&[vec![0.5], vec![8.0, 4.0]]), None);
    assert_eq!(apart(&[vec![0.5, -0.25], vec![8.0, f32::NAN]]), None);
}
