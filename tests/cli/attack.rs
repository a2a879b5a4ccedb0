//! Adversarial and corrupted sets, from flags to files that other commands read.

use std::path::Path;

use offramp_graph::ir::Model;
use serde_json::Value;

use super::{bundle, json, offramp, refusal, text};

#[test]
fn an_adversarial_set_does_what_its_manifest_says() {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, set) = (bundle(folder.path()), folder.path().join("adv.npz"));
    let pictures = folder.path().join("pictures");
    let common = [text(&bundle), "--backend", "tract", "--json"];
    let crafted = json(
        &[
            &[
                "attack",
                "--method",
                "pgd",
                "--epsilon",
                "8/255",
                "--iterations",
                "4",
                "--input",
                "shapes:test:12",
            ],
            &common[..],
            &["-o", text(&set), "--images", text(&pictures), "--batch", "5"],
        ]
        .concat(),
    );
    let summary = &crafted["summary"];
    let benign = json(&[&["run", "--input", "shapes:test:12"], &common[..]].concat());
    let stored = json(&[&["run", "--input", text(&set)], &common[..]].concat());
    assert_eq!(summary["accuracy"], serde_json::json!([benign["accuracy"], stored["accuracy"]]));
    assert_eq!(summary["mean_exit"], serde_json::json!([benign["mean_exit"], stored["mean_exit"]]));
    assert!(stored["accuracy"].as_f64() < benign["accuracy"].as_f64(), "{summary}");
    let linf = summary["size"]["max"]["linf"].as_f64().unwrap();
    assert!(linf > 7.0 / 255.0 && linf < 8.5 / 255.0, "{linf}");
    assert_eq!(crafted["surrogate"]["identity"], benign["bundle"]["identity"]);

    let beside: Value = serde_json::from_slice(&std::fs::read(set.with_extension("json")).unwrap()).unwrap();
    assert_eq!(beside, crafted);
    assert_eq!(crafted["images"].as_array().unwrap().len(), 12);
    let shown = json(&[&["run", "--input", text(&pictures)], &common[..]].concat());
    assert_eq!(shown["mean_exit"], stored["mean_exit"], "the pictures are the set");
}

#[test]
fn a_set_is_the_same_whatever_the_batch_and_another_with_another_seed() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let craft = |name: &str, batch: &str, seed: &str| {
        let set = folder.path().join(name);
        json(&[
            "attack",
            text(&bundle),
            "--method",
            "deepsloth",
            "--iterations",
            "3",
            "--input",
            "shapes:test:6",
            "--backend",
            "tract",
            "-o",
            text(&set),
            "--batch",
            batch,
            "--seed",
            seed,
            "--json",
        ]);
        std::fs::read(set).unwrap()
    };
    let first = craft("a.npz", "6", "1");
    assert!(first == craft("b.npz", "4", "1"), "the batch shows");
    assert!(first != craft("c.npz", "6", "2"), "the seed does not show");
}

#[test]
fn pieces_of_the_early_attack_reach_it_and_together_make_another_mode() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let craft = |name: &str, flags: &[&str]| {
        let set = folder.path().join(name);
        let attack =
            ["attack", text(&bundle), "--method", "early", "--iterations", "3", "--backend", "tract"];
        let data = ["--input", "shapes:test:2", "-o", text(&set), "--json"];
        let manifest = json(&[&attack[..], &data, flags].concat());
        (std::fs::read(set).unwrap(), manifest["method"].clone())
    };
    let pieces = ["--start", "image", "--rivals", "all", "--keep", "nearest", "--rounding", "on"];
    let (together, method) = craft("together.npz", &pieces);
    let expected = serde_json::json!({
        "method": "early", "iterations": 3, "start": "image", "rivals": "all", "keep": "nearest", "rounding": true, "seed": 0,
    });
    assert_eq!(method, expected);
    assert!(together == craft("improved.npz", &["--mode", "improved"]).0);

    let pieces = ["--distance", "norm", "--loss-exits", "all", "--rivals", "10", "--keep", "first-after=2"];
    let rest = ["--learning-rate", "0.5", "--rounding", "off", "--start", "noise"];
    let (_, method) = craft("others.npz", &[&pieces[..], &rest].concat());
    let expected = serde_json::json!({
        "method": "early", "iterations": 3, "start": "noise", "distance": "norm", "loss_exits": "all", "rivals": 10,
        "keep": "first-after=2", "rounding": false, "learning_rate": 0.5, "seed": 0,
    });
    assert_eq!(method, expected);
}

#[test]
fn gradient_graphs_in_the_bundle_and_derived_ones_attack_alike() {
    let folder = tempfile::tempdir().unwrap();
    let plain = bundle(folder.path());
    let graphs = folder.path().join("graphs");
    let model = super::root().join("models/zoo/shapes-sdn.onnx");
    json(&["split", text(&model), "-o", text(&graphs), "--gradients", "--backend", "tract", "--json"]);
    let craft = |bundle: &std::path::Path, name: &str| {
        let set = folder.path().join(name);
        let attack =
            ["attack", text(bundle), "--method", "fgsm", "--input", "shapes:test:4", "--backend", "tract"];
        json(&[&attack[..], &["-o", text(&set), "--json"]].concat());
        std::fs::read(set).unwrap()
    };
    assert!(craft(&plain, "plain.npz") == craft(&graphs, "graphs.npz"));
    std::fs::write(graphs.join("gradient/backward.onnx"), "tampered").unwrap();
    let set = folder.path().join("none.npz");
    let (status, message) =
        refusal(&["attack", text(&graphs), "--method", "fgsm", "--input", "shapes:test:4", "-o", text(&set)]);
    assert_eq!(status, 1, "{message}");
    assert!(message.contains("gradient/backward.onnx") && !set.exists(), "{message}");
}

#[test]
fn gradient_graphs_of_another_network_are_refused_whatever_their_digests() {
    let folder = tempfile::tempdir().unwrap();
    let split = |model: &Path, name: &str| {
        let bundle = folder.path().join(name);
        json(&["split", text(model), "-o", text(&bundle), "--gradients", "--backend", "tract", "--json"]);
        bundle
    };
    let shipped = super::root().join("models/zoo/shapes-sdn.onnx");
    // Tensors of the same names and shapes, with other values in them.
    let mut model = Model::read(&shipped).unwrap();
    let node = model.graph.nodes.iter_mut().find(|node| node.op == "Relu").unwrap();
    node.op = "Sigmoid".to_owned();
    let changed = folder.path().join("changed.onnx");
    model.write(&changed).unwrap();
    let (own, other) = (split(&shipped, "own"), split(&changed, "other"));
    let manifest = |bundle: &Path| -> Value {
        serde_json::from_slice(&std::fs::read(bundle.join("manifest.json")).unwrap()).unwrap()
    };
    let mut swapped = manifest(&own);
    swapped["extras"] = manifest(&other)["extras"].clone();
    std::fs::write(own.join("manifest.json"), swapped.to_string()).unwrap();
    for graph in ["gradient/forward.onnx", "gradient/backward.onnx"] {
        std::fs::copy(other.join(graph), own.join(graph)).unwrap();
    }
    let set = folder.path().join("adv.npz");
    let attack = ["--method", "fgsm", "--input", "shapes:test:4", "--backend", "tract", "-o", text(&set)];
    let (status, message) = refusal(&[&["attack", text(&own)], &attack[..]].concat());
    assert_eq!(status, 1, "{message}");
    assert!(message.contains("gradient graphs are of another network than its segments"), "{message}");
    assert!(!set.exists());
    json(&[&["attack", text(&other), "--json"], &attack[..]].concat());
}

#[test]
fn a_set_takes_the_place_of_nothing_but_an_earlier_set() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let place = |name: &str| folder.path().join(name);
    let attack = |images: &str, set: &Path, pictures: Option<&Path>| {
        let mut arguments = vec!["attack", text(&bundle), "--method", "fgsm", "--input", images];
        arguments.extend(["--backend", "tract", "-o", text(set)]);
        arguments.extend(pictures.iter().flat_map(|folder| ["--images", text(folder)]));
        refusal(&arguments)
    };
    let manifest = std::fs::read(bundle.join("manifest.json")).unwrap();
    let notes = place("notes");
    std::fs::create_dir(&notes).unwrap();
    std::fs::write(notes.join("notes.txt"), "keep").unwrap();
    let in_the_way = [
        (place("adv.json"), None, 2, "adv.json would be both the set and its manifest"),
        (bundle.join("manifest.npz"), None, 1, "bundle/manifest.json is in the way"),
        (place("adv.npz"), Some(notes.as_path()), 1, "notes/notes.txt is in the way"),
        (place("nowhere/adv.npz"), None, 1, "nowhere/adv.npz: No such file"),
    ];
    for (set, pictures, expected, named) in in_the_way {
        let (status, message) = attack("shapes:test:2", &set, pictures);
        assert_eq!(status, expected, "{message}");
        assert!(message.contains(named) && !message.contains("backend:"), "{message}");
        assert!(!set.exists(), "{}", set.display());
    }
    assert_eq!(std::fs::read(bundle.join("manifest.json")).unwrap(), manifest);
    assert_eq!(std::fs::read_to_string(notes.join("notes.txt")).unwrap(), "keep");

    let (set, pictures) = (place("adv.npz"), place("deep/pictures"));
    for (images, count) in [("shapes:test:5", 5), ("shapes:test:2", 2)] {
        let (status, message) = attack(images, &set, Some(&pictures));
        assert_eq!(status, 0, "{message}");
        assert_eq!(std::fs::read_dir(&pictures).unwrap().count(), count, "pictures of an earlier set stay");
    }
}

#[test]
fn a_set_that_replaces_its_own_data_names_the_data_that_it_was_made_from() {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, data) = (bundle(folder.path()), folder.path().join("data.npz"));
    json(&["data", "export", "shapes:test:4", "-o", text(&data), "--json"]);
    let craft = |set: &Path| {
        let attack = ["attack", text(&bundle), "--method", "fgsm", "--backend", "tract", "--json"];
        json(&[&attack[..], &["--input", text(&data), "-o", text(set)]].concat())
    };
    let (beside, over) = (craft(&folder.path().join("adv.npz")), craft(&data));
    assert_eq!(beside["data_sha256"], over["data_sha256"]);
    assert_eq!(beside["images"], over["images"]);
}

#[test]
fn what_cannot_be_attacked_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, set) = (bundle(folder.path()), folder.path().join("adv.npz"));
    let attack = ["attack", text(&bundle), "-o", text(&set), "--backend", "tract"];
    let data = ["--input", "shapes:test:2"];
    let unlabelled = folder.path().join("unlabelled");
    let images = ["--method", "fgsm", "--images", text(&unlabelled), "--input", "shapes:test:2"];
    assert!(offramp(&[&attack[..], &images].concat()).status.success());
    std::fs::remove_file(&set).unwrap();
    let cases: Vec<(Vec<&str>, i32, &str)> = vec![
        (
            [&["--method", "pgd", "--epsilon", "2"], &data[..]].concat(),
            2,
            "epsilon is a number above 0 and at most 1",
        ),
        ([&["--method", "pgd", "--epsilon", "-1"], &data[..]].concat(), 2, "0 or more, or a ratio"),
        ([&["--method", "pgd", "--epsilon", "8/0"], &data[..]].concat(), 2, "a ratio like 8/255"),
        ([&["--method", "pgd", "--alpha", "1"], &data[..]].concat(), 2, "pgd has no alpha"),
        ([&["--method", "pgd", "--start", "image"], &data[..]].concat(), 2, "pgd has no start"),
        ([&["--method", "fgsm", "--rounding", "off"], &data[..]].concat(), 2, "fgsm has no rounding"),
        (
            [&["--method", "early", "--keep", "last"], &data[..]].concat(),
            2,
            "expected first, first-after=N or nearest",
        ),
        ([&["--method", "early", "--rivals", "0"], &data[..]].concat(), 2, "expected all, or a whole number"),
        ([&["--method", "early", "--rounding", "true"], &data[..]].concat(), 2, "expected on or off"),
        ([&["--method", "early", "--learning-rate", "0"], &data[..]].concat(), 2, "a number above 0"),
        ([&["--method", "pgd", "--exits", "9"], &data[..]].concat(), 2, "exits 0 to 5"),
        (
            [&["--method", "pgd", "--exits", "last"], &data[..]].concat(),
            2,
            "expected final, avg, max, policy",
        ),
    ];
    for (flags, status, expected) in cases {
        let (found, message) = refusal(&[&attack[..], &flags].concat());
        assert_eq!(found, status, "{flags:?}: {message}");
        assert!(message.contains(expected), "{flags:?}: {message}");
        assert!(!set.exists(), "{flags:?}");
    }
}

#[test]
fn corruption_keeps_labels_and_grows_with_severity() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let accuracy = |kind: &str, severity: &str| {
        let set = folder.path().join(format!("{kind}{severity}.npz"));
        let corrupt =
            ["corrupt", "shapes:test:60", "--kind", kind, "--severity", severity, "-o", text(&set), "--json"];
        assert_eq!(json(&corrupt)["images"], 60);
        let run = json(&[
            "run",
            text(&bundle),
            "--input",
            text(&set),
            "--backend",
            "tract",
            "--exit",
            "5",
            "--json",
        ]);
        run["accuracy"].as_f64().unwrap()
    };
    let (mild, severe) = (accuracy("gaussian-noise", "1"), accuracy("gaussian-noise", "5"));
    assert!(severe < mild, "{mild} {severe}");
    let output =
        offramp(&["corrupt", "shapes:test:1", "--kind", "brightness", "--severity", "6", "-o", "x.npz"]);
    assert_eq!(output.status.code(), Some(2));
}
