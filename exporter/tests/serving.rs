//! Exports: whole or not at all, copies that are what the bundle says, and nobody's work replaced.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use offramp_exporter::ExportError;
use offramp_exporter::plan::PlanOptions;
use offramp_exporter::serving::{Platform, Server, ServingOptions, export};
use offramp_exporter::split::{SplitOptions, split};
use offramp_exporter::tails::TailOptions;
use offramp_exporter::verify::VerifyOptions;
use offramp_models::{Bundle, Sha256, Wire};
use offramp_runtime::backend::tract::TractBackend;

const TRITON: Server = Server::Triton { platform: Platform::OnnxRuntime, max_batch: 16, queue: 8 };
const SERVERS: [Server; 3] = [TRITON, Server::MlServer { max_batch: 16 }, Server::KServe];
const ALL: ServingOptions = ServingOptions { wire: None, force: false };

fn bundle(folder: &Path, tails: Option<TailOptions>) -> Bundle {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance/networks/dense.onnx");
    let options = SplitOptions {
        plan: PlanOptions::default(),
        name: None,
        force: false,
        gradients: false,
        tails,
        verify: VerifyOptions::default(),
    };
    split(&model, &folder.join("bundle"), &options, &[&TractBackend::new()]).unwrap().bundle
}

fn names(folder: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(folder).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn every_server_gets_every_tail_under_its_name_as_the_bundle_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path(), Some(TailOptions::default()));
    for server in SERVERS {
        let target = folder.path().join(server.name());
        let tails = export(&bundle, &target, server, &ALL).unwrap();
        assert_eq!(tails, bundle.tails().unwrap());
        let mut expected: BTreeSet<String> = tails.iter().map(|tail| tail.name.clone()).collect();
        expected.insert("export.json".to_owned());
        match server {
            Server::Triton { .. } => {}
            Server::MlServer { .. } => drop(expected.insert("settings.json".to_owned())),
            Server::KServe => drop(expected.insert("serve.py".to_owned())),
        }
        assert_eq!(names(&target), expected);
        for tail in &tails {
            let model =
                target.join(&tail.name).join(if server == TRITON { "1/model.onnx" } else { "model.onnx" });
            assert_eq!(Sha256::of_file(&model).unwrap(), tail.sha256);
            assert!(!model.symlink_metadata().unwrap().is_symlink());
        }
        let listed = fs::read(target.join("export.json")).unwrap();
        let listed: serde_json::Value = serde_json::from_slice(&listed).unwrap();
        assert_eq!(listed["server"], server.name());
        assert_eq!(listed["bundle"]["identity"], bundle.identity().to_string());
        assert_eq!(listed["tails"][1]["inputs"][0]["name"], tails[1].inputs[0].name);
    }
    let written: BTreeSet<String> = ["bundle", "triton", "mlserver", "kserve"].map(str::to_owned).into();
    assert_eq!(names(folder.path()), written, "nothing half-written");
}

#[test]
fn only_an_earlier_export_is_replaced_and_only_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path(), Some(TailOptions::default()));
    let target = folder.path().join("models");
    let refusal = |force: bool| {
        let refused = export(&bundle, &target, TRITON, &ServingOptions { force, ..ALL }).unwrap_err();
        refused.to_string().replace(&target.display().to_string(), "models")
    };
    export(&bundle, &target, Server::KServe, &ALL).unwrap();
    assert_eq!(refusal(false), "models exists");
    export(&bundle, &target, TRITON, &ServingOptions { force: true, ..ALL }).unwrap();
    assert!(!target.join("serve.py").exists());
    fs::create_dir(target.join("my-model")).unwrap();
    assert_eq!(refusal(true), "models exists and is not an export");
    assert!(target.join("my-model").is_dir());
    // Nor is one with something of somebody's inside a model's folder.
    fs::remove_dir(target.join("my-model")).unwrap();
    let model =
        fs::read_dir(&target).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.is_dir()).unwrap();
    fs::create_dir(model.join("2")).unwrap();
    fs::write(model.join("2/model.onnx"), "mine").unwrap();
    assert_eq!(refusal(true), "models exists and is not an export");
    assert!(model.join("2/model.onnx").is_file());

    let bundles = export(&bundle, bundle.dir(), TRITON, &ServingOptions { force: true, ..ALL });
    assert!(matches!(bundles, Err(ExportError::Exists { replaceable: false, .. })), "{bundles:?}");
    fs::remove_dir_all(&target).unwrap();
    fs::write(&target, "a file").unwrap();
    assert_eq!(refusal(true), "models is a file, expected a folder to create");
}

#[test]
fn a_bundle_without_such_tails_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let without = bundle(folder.path(), None);
    let target = folder.path().join("models");
    let refusal = |bundle: &Bundle, wire| {
        let refused = export(bundle, &target, TRITON, &ServingOptions { wire, force: false }).unwrap_err();
        assert!(!target.exists());
        refused.to_string().replace(&bundle.dir().display().to_string(), "BUNDLE")
    };
    assert_eq!(refusal(&without, None), "BUNDLE has no tails");
    fs::remove_dir_all(without.dir()).unwrap();
    let plain = bundle(folder.path(), Some(TailOptions::default()));
    assert_eq!(refusal(&plain, Some(Wire::U8)), "BUNDLE has no tails for wire form u8");
}

#[test]
fn a_changed_tail_is_not_exported() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path(), Some(TailOptions { cuts: vec![1], wire_data: None }));
    let tail: PathBuf = bundle.dir().join("tails/1.f32.onnx");
    let mut bytes = fs::read(&tail).unwrap();
    bytes[40] ^= 1;
    fs::write(&tail, bytes).unwrap();
    let target = folder.path().join("models");
    let refused = export(&bundle, &target, Server::KServe, &ALL).unwrap_err().to_string();
    assert!(refused.contains("tails/1.f32.onnx was changed"), "{refused}");
    assert!(!target.exists());
}
