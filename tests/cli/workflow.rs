//! What each command writes and reports.

use std::path::PathBuf;

use serde_json::Value;

use super::{bundle, json, offramp, refusal, root, text};

#[test]
fn a_split_is_proved_and_says_what_it_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle");
    let model = root().join("models/zoo/shapes-sdn.onnx");
    let told = json(&["split", text(&model), "-o", text(&bundle), "--backend", "tract", "--json"]);
    assert_eq!(told["schema_version"], 1);
    assert_eq!(told["exits"].as_array().unwrap().len(), 6);
    assert!(
        told["proof"]["exits"]
            .as_array()
            .unwrap()
            .iter()
            .all(|exit| exit["difference"].as_f64().unwrap() < 1e-4)
    );

    let (status, message) = refusal(&["split", text(&model), "-o", text(&bundle), "--backend", "tract"]);
    assert_eq!(status, 1);
    assert!(message.contains("exists") && message.contains("--force"), "{message}");
    json(&["split", text(&model), "-o", text(&bundle), "--backend", "tract", "--force", "--json"]);
    std::fs::write(bundle.join("thesis.tex"), "years of work").unwrap();
    let (status, message) =
        refusal(&["split", text(&model), "-o", text(&bundle), "--backend", "tract", "--force"]);
    assert_eq!(status, 1);
    assert!(message.contains("not a bundle"), "{message}");
    assert!(bundle.join("thesis.tex").is_file());
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["bundle"], "nothing half-written beside the bundle");
}

#[test]
fn a_run_reports_the_pinned_keys_and_traces_every_image() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let trace = folder.path().join("trace.jsonl");
    let run = [
        "run",
        text(&bundle),
        "--input",
        "shapes:test:20",
        "--backend",
        "tract",
        "--trace",
        text(&trace),
        "--json",
    ];
    let report = json(&run);
    for key in [
        "schema_version",
        "bundle",
        "backend",
        "policy",
        "images",
        "accuracy",
        "exits",
        "mean_exit",
        "macs_fraction",
        "latency_s",
        "energy_j",
        "not_measured",
    ] {
        assert!(report.get(key).is_some(), "no {key}");
    }
    assert_eq!(report["images"], 20);
    assert_eq!(report["energy_j"], Value::Null);
    assert_eq!(report["not_measured"][0]["what"], "energy_j");
    let lines = std::fs::read_to_string(&trace).unwrap();
    let images: Vec<u64> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["image"].as_u64().unwrap())
        .collect();
    assert_eq!(images, (0..20).collect::<Vec<_>>());
}

#[test]
fn batches_change_no_exit_and_no_label() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let answers = |batch: &str| {
        let trace = folder.path().join(format!("{batch}.jsonl"));
        json(&[
            "run",
            text(&bundle),
            "--input",
            "shapes:test:48",
            "--backend",
            "tract",
            "--batch",
            batch,
            "--threshold",
            "0.7",
            "--trace",
            text(&trace),
            "--json",
        ]);
        let lines = std::fs::read_to_string(&trace).unwrap();
        lines
            .lines()
            .map(|line| {
                let line: Value = serde_json::from_str(line).unwrap();
                [line["image"].clone(), line["exit"].clone(), line["predicted"].clone()]
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(answers("1"), answers("32"));
}

#[test]
fn a_policy_is_calibrated_and_becomes_the_bundle_s_default() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let policy = bundle.join("policies/default.json");
    json(&[
        "calibrate",
        text(&bundle),
        "--input",
        "shapes:calibration:100",
        "--backend",
        "tract",
        "--max-macs",
        "0.6",
        "-o",
        text(&policy),
        "--json",
    ]);
    let report = json(&["run", text(&bundle), "--input", "shapes:test:20", "--backend", "tract", "--json"]);
    let written: Value = serde_json::from_slice(&std::fs::read(&policy).unwrap()).unwrap();
    assert_eq!(report["policy"]["thresholds"], written["thresholds"]);
    assert!(written["calibration"]["macs_fraction"].as_f64().unwrap() <= 0.6);

    let (status, message) = refusal(&[
        "calibrate",
        text(&bundle),
        "--input",
        "shapes:calibration:100",
        "--backend",
        "tract",
        "--max-macs",
        "0.0001",
        "-o",
        text(&policy),
    ]);
    assert_eq!(status, 3, "{message}");
}

#[test]
fn a_changed_segment_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let segment = bundle.join("segments/1.onnx");
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let model = root().join("models/zoo/shapes-sdn.onnx");
    for arguments in [
        vec!["run", text(&bundle), "--input", "shapes:test:1", "--backend", "tract"],
        vec!["verify", text(&bundle), "--against", text(&model), "--backend", "tract"],
    ] {
        let (status, message) = refusal(&arguments);
        assert_eq!(status, 1, "{message}");
        assert!(message.contains("segments/1.onnx"), "{message}");
    }
}

#[test]
fn another_network_does_not_pass_for_the_one_that_was_split() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let other = root().join("models/zoo/resnet20-sdn-joint-cifar10.onnx");
    let (status, message) =
        refusal(&["verify", text(&bundle), "--against", text(&other), "--backend", "tract"]);
    assert_eq!(status, 3, "{message}");
}

#[test]
fn contradictory_flags_are_usage_errors() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let run = ["run", text(&bundle), "--input", "shapes:test:1", "--backend", "tract"];
    for flags in [
        &["--exit", "1", "--threshold", "0.5"][..],
        &["--exit", "6"],
        &["--threshold", "1.5"],
        &["--thresholds", "0.5,0.5"],
        &["--policy", "patience"],
        &["--backend", "onnx"],
        &["--rate", "10", "--batch", "2"],
    ] {
        let (status, message) = refusal(&[&run[..], flags].concat());
        assert_eq!(status, 2, "{flags:?}: {message}");
    }
}

#[test]
fn a_provider_that_is_not_there_is_an_error_never_a_cpu_run() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let output =
        offramp(&["run", text(&bundle), "--input", "shapes:test:1", "--backend", "ort:cuda", "--json"]);
    if output.status.success() {
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["backend"]["provider"], "cuda");
        return;
    }
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(output.stdout.is_empty());
    assert!(message.contains("cuda") || message.contains("ONNX Runtime"), "{message}");
}

/// Accuracies of the shared network exit by exit, on every backend at hand.
#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says why")]
fn the_shared_resnet_is_as_accurate_as_its_card_says() {
    let required = std::env::var("OFFRAMP_REQUIRE").unwrap_or_default();
    let required = |what: &str| required.split(',').any(|name| name == what);
    let Some(shared) = std::env::var_os("OFFRAMP_SHARED").map(PathBuf::from) else {
        assert!(!required("shared"), "the shared models are required, OFFRAMP_SHARED is not set");
        eprintln!("skipped: OFFRAMP_SHARED is not set");
        return;
    };
    let model = shared.join("models/resnet56-sdn-cifar10.onnx");
    let data = shared.join("data/cifar10-test-1017.npz");
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle");
    let mut backends = vec!["tract"];
    match std::env::var_os("ORT_DYLIB_PATH") {
        Some(_) => backends.push("ort"),
        None => assert!(!required("ort"), "ONNX Runtime is required, ORT_DYLIB_PATH is not set"),
    }
    json(&["split", text(&model), "-o", text(&bundle), "--backend", "tract", "--json"]);
    for backend in backends {
        let proof =
            json(&["verify", text(&bundle), "--against", text(&model), "--backend", backend, "--json"]);
        assert_eq!(proof["holds"], true);
        for (exit, expected) in [58.1, 66.6, 74.9, 79.5, 85.2, 89.4, 92.7].into_iter().enumerate() {
            let exit = exit.to_string();
            let report = json(&[
                "run",
                text(&bundle),
                "--input",
                text(&data),
                "--exit",
                &exit,
                "--backend",
                backend,
                "--json",
            ]);
            let accuracy = report["accuracy"].as_f64().unwrap() * 100.0;
            assert!(
                (accuracy - expected).abs() <= 0.2,
                "{backend} exit {exit}: {accuracy:.2} %, expected {expected}"
            );
        }
    }
}
