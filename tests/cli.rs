//! The command line as a user meets it: statuses, messages, files.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn offramp(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offramp"));
    command.args(arguments).output().unwrap()
}

fn json(arguments: &[&str]) -> Value {
    let output = offramp(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {errors}"))
}

/// Status and stderr of a command that must not succeed.
fn refusal(arguments: &[&str]) -> (i32, String) {
    let output = offramp(arguments);
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The shipped network, split without ONNX Runtime.
fn bundle(folder: &Path) -> PathBuf {
    let bundle = folder.join("bundle");
    let model = root().join("models/zoo/shapes-sdn.onnx");
    json(&["split", text(&model), "-o", text(&bundle), "--backend", "tract", "--json"]);
    bundle
}

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

/// A flag out of range is refused by clap or by the command, before anything is written, with what would be right.
#[test]
fn numbers_out_of_range_are_usage_errors_that_say_what_is_expected() {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, model) = (bundle(folder.path()), root().join("models/zoo/shapes-sdn.onnx"));
    let out = folder.path().join("out");
    let run = ["run", text(&bundle), "--input", "shapes:test:1", "--backend", "tract"];
    let split = ["split", text(&model), "-o", text(&out), "--backend", "tract"];
    let calibrate = ["calibrate", text(&bundle), "--input", "shapes:calibration:5", "-o", text(&out)];
    let bench = ["bench", text(&bundle), "--input", "shapes:test:1", "--backend", "tract"];
    let cases: [(&[&str], &[&str], &str); 41] = [
        (&run, &["--limit", "0"], "1 or more"),
        (&run, &["--limit", "-1"], "1 or more"),
        (&run, &["--batch", "0"], "1 or more"),
        (&run, &["--threads", "0"], "1..=512"),
        (&run, &["--rate", "0"], "above 0"),
        (&run, &["--rate", "-5"], "above 0"),
        (&run, &["--rate", "nan"], "above 0"),
        (&run, &["--rate", "inf"], "above 0"),
        (&run, &["--threshold", "1.01"], "from 0 to 1"),
        (&run, &["--threshold", "-0.1"], "from 0 to 1"),
        (&run, &["--threshold", "nan"], "from 0 to 1"),
        (&run, &["--thresholds", "0.5,2,0.5,0.5,0.5"], "from 0 to 1"),
        (&run, &["--thresholds", "0.5,0.5"], "5 thresholds or 1"),
        (&run, &["--patience", "0"], "1 or more"),
        (&run, &["--policy", "patience"], "--patience K"),
        (&run, &["--exit", "6"], "exits 0 to 5"),
        (&run, &["--exit", "-1"], "0 or more"),
        (&run, &["--rate", "10", "--batch", "2"], "leave --batch out"),
        (&bench, &["--turn", "0"], "1 or more"),
        (&bench, &["--blocks", "1"], "2..="),
        (&calibrate, &[], "--max-macs"),
        (&calibrate, &["--max-macs", "1.5"], "from 0 to 1"),
        (&calibrate, &["--max-macs", "nan"], "from 0 to 1"),
        (&calibrate, &["--max-accuracy-drop", "-0.1"], "from 0 to 1"),
        (&calibrate, &["--max-latency-ms", "0"], "above 0"),
        (&calibrate, &["--max-macs", "0.5", "--max-latency-ms", "1"], "cannot be used with"),
        (&split, &["--tolerance", "nan"], "0 or more"),
        (&split, &["--tolerance", "-1"], "0 or more"),
        (&split, &["--tolerance", "inf"], "0 or more"),
        (&split, &["--mean", "0,0,0"], "--std"),
        (&split, &["--mean", "0.5", "--std", "0.5"], "3 channels"),
        (&split, &["--mean", "0,0,0", "--std", "1,1"], "3 channels"),
        (&split, &["--mean", "0,0,0", "--std", "1,0,1"], "above 0"),
        (&split, &["--mean", "0,nan,0", "--std", "1,1,1"], "per channel"),
        (&split, &["--mean", "0,0,0", "--std", "1,-1,1"], "above 0"),
        (&split, &["--range", "0"], "0,255"),
        (&split, &["--range", "255,0"], "the lower first"),
        (&split, &["--range", "0,1,2"], "0,255"),
        (&split, &["--range", "0,nan"], "0,255"),
        (&split, &["--name", "a/b"], "letters, digits"),
        (&split, &["--name", ".hidden"], "letters, digits"),
    ];
    for (command, flags, expected) in cases {
        let (status, message) = refusal(&[command, flags].concat());
        assert_eq!(status, 2, "{} {flags:?}: {message}", command[0]);
        assert!(message.contains(expected), "{} {flags:?} lacks {expected:?}: {message}", command[0]);
        assert!(
            message.contains("--help") || message.contains("hint: "),
            "{} {flags:?}: {message}",
            command[0]
        );
        assert!(!out.exists(), "{} {flags:?} wrote something", command[0]);
    }
}

#[test]
fn a_range_and_a_normalisation_are_carried_by_the_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let (out, model) = (folder.path().join("out"), root().join("models/zoo/shapes-sdn.onnx"));
    let split = ["split", text(&model), "-o", text(&out), "--no-proof", "--json"];
    json(
        &[&split[..], &["--range", "-1,1", "--mean", "-0.5,0,0.5", "--std", "1,2,3", "--name", "my.net_1"]]
            .concat(),
    );
    let manifest: Value = serde_json::from_slice(&std::fs::read(out.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["name"], "my.net_1");
    assert_eq!(manifest["input"]["range"], serde_json::json!([-1.0, 1.0]));
    assert_eq!(manifest["input"]["mean"], serde_json::json!([-0.5, 0.0, 0.5]));
    assert_eq!(manifest["input"]["std"], serde_json::json!([1.0, 2.0, 3.0]));
}

#[test]
fn a_limit_does_not_hide_that_a_policy_is_judged_on_its_calibration_data() {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, policy) = (bundle(folder.path()), folder.path().join("policy.json"));
    let data = folder.path().join("data.npz");
    json(&["data", "export", "shapes:calibration:40", "-o", text(&data), "--json"]);
    let calibrate =
        ["calibrate", text(&bundle), "--backend", "tract", "--max-macs", "0.7", "-o", text(&policy)];
    json(&[&calibrate[..], &["--input", text(&data), "--limit", "30", "--json"]].concat());
    let warned = |arguments: &[&str]| {
        let common = [text(&bundle), "--backend", "tract", "--policy-file", text(&policy), "--json"];
        let output = offramp(&[&arguments[..1], &common, &arguments[1..]].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        errors.contains("warning: the policy was calibrated on images of")
    };
    let brief = ["--blocks", "2", "--turn", "1"];
    assert!(warned(&["run", "--input", text(&data)]));
    assert!(warned(&["run", "--input", text(&data), "--limit", "3"]));
    assert!(warned(&[&["bench", "--input", text(&data), "--limit", "3"][..], &brief].concat()));
    assert!(warned(&[&["bench", "--input", "shapes:test:3", "--against", text(&data)][..], &brief].concat()));
    assert!(!warned(&["run", "--input", "shapes:test:3"]));
}

#[test]
fn reports_say_what_really_ran() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    for command in [&["run"][..], &["bench", "--blocks", "2", "--turn", "1", "--as-bundled"]] {
        let common =
            [text(&bundle), "--input", "shapes:test:3", "--backend", "tract", "--threads", "4", "--json"];
        let report = json(&[command, &common].concat());
        assert_eq!(report["threads"], 1, "tract has one thread, whatever is asked for");
        assert!(report["threads_why"].as_str().unwrap().contains("tract"));
        assert_eq!(report["spinning"], Value::Null);
        let segments = report["segments"].as_array().unwrap();
        assert_eq!(segments.len(), 6);
        for (index, segment) in segments.iter().enumerate() {
            assert_eq!(
                (&segment["segment"], &segment["backend"]["provider"]),
                (&index.into(), &"cpu".into())
            );
        }
    }
}

#[test]
fn what_is_not_there_is_named_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, nowhere) = (bundle(folder.path()), folder.path().join("nowhere"));
    let trace = nowhere.join("t.jsonl");
    let run = |bundle, input| vec!["run", bundle, "--input", input, "--backend", "tract"];
    let cases = [
        (run(text(&nowhere), "shapes:test:1"), "nowhere/manifest.json", "hint: a bundle is a folder"),
        (run(text(folder.path()), "shapes:test:1"), "is not a bundle", "hint: a bundle is a folder"),
        (run(text(&bundle), text(&nowhere)), "cannot read", "hint: --help says what DATA may be"),
        (
            [run(text(&bundle), "shapes:test:1"), vec!["--trace", text(&trace)]].concat(),
            "nowhere/t.jsonl: ",
            "",
        ),
    ];
    for (arguments, thing, hint) in cases {
        let (status, message) = refusal(&arguments);
        assert_eq!(status, 1, "{message}");
        assert!(message.contains(thing) && message.contains(hint), "{message}");
    }
}

#[test]
fn every_command_shows_an_example() {
    let commands = [
        "inspect",
        "split",
        "verify",
        "prepare",
        "run",
        "calibrate",
        "bench",
        "doctor",
        "demo",
        "completions",
    ];
    for command in commands.map(|command| vec![command]).into_iter().chain([vec!["data", "export"]]) {
        let output = offramp(&[&command[..], &["--help"]].concat());
        let help = String::from_utf8_lossy(&output.stdout);
        let example = format!("\n  offramp {}", command.join(" "));
        assert!(help.contains(&example) || help.contains(" offramp doctor"), "{help}");
    }
}
