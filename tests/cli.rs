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

/// A child that is told to stop as soon as something whose name `is` half-written lies in `folder`.
#[cfg(unix)]
fn interrupt(arguments: &[&str], folder: &Path, is: impl Fn(&str) -> bool, signal: &str) -> Option<i32> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offramp"));
    command.args(arguments).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    let half_written = || names(folder).iter().any(|name| is(name));
    while !half_written() {
        assert_eq!(child.try_wait().unwrap(), None, "{arguments:?} ended before it wrote anything");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    child.wait().unwrap().code()
}

#[cfg(unix)]
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[cfg(unix)]
#[test]
fn an_interrupted_split_leaves_nothing_and_a_killed_one_is_swept_up_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let model = root().join("models/zoo/shapes-sdn.onnx");
    let bundle = folder.path().join("bundle");
    let split = ["split", text(&model), "-o", text(&bundle), "--backend", "tract", "--json"];
    let partial = |name: &str| name.starts_with(".bundle.partial.");
    for (signal, status) in [("-INT", 130), ("-TERM", 143)] {
        assert_eq!(interrupt(&split, folder.path(), partial, signal), Some(status));
        assert!(names(folder.path()).is_empty(), "{signal} leaves {:?}", names(folder.path()));
    }
    assert_eq!(interrupt(&split, folder.path(), partial, "-KILL"), None);
    assert_eq!(names(folder.path()).len(), 1, "nothing cleans up after SIGKILL");
    json(&split);
    assert_eq!(names(folder.path()), ["bundle"]);
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_no_trace_and_the_old_one_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let trace = folder.path().join("trace.jsonl");
    std::fs::write(&trace, "of yesterday").unwrap();
    let run = ["run", text(&bundle), "--input", "shapes:test", "--backend", "tract", "--trace", text(&trace)];
    let partial = |name: &str| name.starts_with(".trace.jsonl.partial.");
    assert_eq!(interrupt(&run, folder.path(), partial, "-INT"), Some(130));
    assert_eq!(names(folder.path()), ["bundle", "trace.jsonl"]);
    assert_eq!(std::fs::read_to_string(&trace).unwrap(), "of yesterday");
}

/// Status and stderr of a command that must end by itself, soon.
#[cfg(unix)]
fn refusal_in_time(arguments: &[&str]) -> (i32, String) {
    let mut limited = Command::new("timeout");
    let output = limited.arg("60").arg(env!("CARGO_BIN_EXE_offramp")).args(arguments).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[cfg(unix)]
#[test]
fn a_pipe_or_folder_in_place_of_a_file_is_named_and_never_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let pipe = folder.path().join("pipe.npz");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let model = root().join("models/zoo/shapes-sdn.onnx");
    let out = folder.path().join("out");
    let plain = folder.path().join("pipe");
    std::fs::rename(&pipe, &plain).unwrap();
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let tract = ["--backend", "tract"];
    let one = ["--input", "shapes:test:1"];
    let named = |arguments: &[&str], name: &str| {
        let (status, message) = refusal_in_time(&[arguments, &tract].concat());
        assert_eq!(status, 1, "{arguments:?}: {message}");
        assert!(message.contains(name), "{arguments:?}: {message}");
    };
    named(&["split", text(&pipe), "-o", text(&out)], "pipe.npz: not a regular file");
    named(&["split", "/dev/zero", "-o", text(&out)], "/dev/zero: not a regular file");
    named(&["split", text(&model), "-o", text(&out), "--classes", text(&pipe)], "pipe.npz: not a regular");
    named(&["verify", text(&bundle), "--against", text(&pipe)], "pipe.npz: not a regular file");
    named(
        &["bench", text(&bundle), "--input", "shapes:test:1", "--whole", text(&pipe)],
        "not a regular file",
    );
    named(&["run", text(&bundle), "--input", text(&pipe)], "pipe.npz: not a regular file");
    named(&["run", text(&bundle), "--input", text(&plain)], "neither a .npz file nor a folder");
    named(&[&["run", text(&bundle), "--policy-file", text(&pipe)], &one[..]].concat(), "not a regular file");
    let segment = bundle.join("segments/2.onnx");
    std::fs::remove_file(&segment).unwrap();
    std::fs::rename(&plain, &segment).unwrap();
    named(&[&["run", text(&bundle)], &one[..]].concat(), "segments/2.onnx: not a regular file");
    std::fs::remove_file(bundle.join("manifest.json")).unwrap();
    std::fs::rename(&pipe, bundle.join("manifest.json")).unwrap();
    named(&[&["run", text(&bundle)], &one[..]].concat(), "manifest.json: not a regular file");
}

#[test]
fn a_manifest_whose_costs_were_changed_is_refused_by_name() {
    type Change = fn(&mut Value);
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let path = bundle.join("manifest.json");
    let whole: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let changes: [(&str, Change); 3] = [
        ("macs of exit 2", |m| m["exits"][2]["macs"] = u64::MAX.into()),
        ("macs_fraction of exit 0", |m| m["exits"][0]["macs_fraction"] = 0.5.into()),
        ("boundary_bytes of segment 1", |m| m["segments"][1]["boundary_bytes"] = 1.into()),
    ];
    for (expected, change) in changes {
        let mut changed = whole.clone();
        change(&mut changed);
        std::fs::write(&path, changed.to_string()).unwrap();
        let (status, message) =
            refusal(&["run", text(&bundle), "--input", "shapes:test:1", "--backend", "tract"]);
        assert_eq!(status, 1, "{message}");
        assert!(message.contains(expected) && message.contains("expected"), "{message}");
    }
}

/// A grey 48x40 picture as a binary BMP.
fn bmp() -> Vec<u8> {
    let (width, height) = (48u32, 40u32);
    let pixels = width * height * 3;
    let mut bytes = b"BM".to_vec();
    for number in [54 + pixels, 0, 54, 40, width, height, 1 | 24 << 16, 0, pixels, 2835, 2835, 0, 0] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.resize(bytes.len() + pixels as usize, 128);
    bytes
}

#[test]
fn only_folders_are_resized_and_the_report_says_how_many_were() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let photos = folder.path().join("photos");
    std::fs::create_dir(&photos).unwrap();
    for photo in ["a.bmp", "b.bmp"] {
        std::fs::write(photos.join(photo), bmp()).unwrap();
    }
    let run = |data: &str| ["run", text(&bundle), "--input", data, "--backend", "tract"].map(str::to_owned);
    let report = json(&[&run(text(&photos)).each_ref().map(String::as_str)[..], &["--json"]].concat());
    assert_eq!(report["preprocessing"]["resized"], 2);
    assert!(report["preprocessing"]["how"].as_str().unwrap().contains("3x32x32"));
    let report = json(&[&run("shapes:test:3").each_ref().map(String::as_str)[..], &["--json"]].concat());
    assert_eq!(report["preprocessing"]["resized"], 0);

    let archive = folder.path().join("photos.npz");
    json(&["data", "export", text(&photos), "-o", text(&archive), "--json"]);
    let (status, message) = refusal(&run(text(&archive)).each_ref().map(String::as_str));
    assert_eq!(status, 1, "{message}");
    assert!(message.contains("height 40 and width 48, the network takes 32 and 32"), "{message}");
    assert!(message.contains("hint: only folders"), "{message}");
}

#[test]
fn a_file_in_the_way_of_a_bundle_is_told_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "keep").unwrap();
    let model = root().join("models/zoo/shapes-sdn.onnx");
    let (status, message) =
        refusal(&["split", text(&model), "-o", text(&file), "--backend", "tract", "--force"]);
    assert_eq!(status, 1);
    assert!(message.contains("notes.txt is a file, expected a folder to create"), "{message}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "keep");
    let (_, message) = refusal(&["split", text(&model), "-o", "/proc/nowhere", "--backend", "tract"]);
    assert!(message.contains("cannot write /proc/nowhere") && !message.contains("partial"), "{message}");
}

#[test]
fn a_proof_against_another_file_of_the_same_network_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let model = root().join("models/zoo/shapes-sdn.onnx");
    let other = folder.path().join("other.onnx");
    let mut bytes = std::fs::read(&model).unwrap();
    // An empty doc_string (field 6 of ModelProto): the same network in another file.
    bytes.extend([0x32, 0]);
    std::fs::write(&other, bytes).unwrap();
    for (against, matches) in [(&model, true), (&other, false)] {
        let verify = ["verify", text(&bundle), "--against", text(against), "--backend", "tract", "--json"];
        let output = offramp(&verify);
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        let notes = String::from_utf8_lossy(&output.stderr);
        assert_eq!((&told["source_matches"], &told["holds"]), (&matches.into(), &true.into()));
        assert_eq!(notes.starts_with("note: ") && notes.contains("not the file"), !matches, "{notes}");
    }
}

#[test]
fn prepare_says_kept_only_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let prepare = ["prepare", text(&bundle), "--json", "--backend"];
    let bundled = json(&[&prepare[..], &["tract"]].concat());
    assert_eq!((&bundled["segments"], &bundled["kept"]), (&"as_bundled".into(), &false.into()));
    if std::env::var_os("ORT_DYLIB_PATH").is_none() {
        return;
    }
    let occupied = folder.path().join("occupied");
    std::fs::write(&occupied, "a file").unwrap();
    let unkept = json(&[&prepare[..], &["ort", "--cache", text(&occupied)]].concat());
    assert_eq!((&unkept["segments"], &unkept["kept"]), (&"optimised".into(), &false.into()));
    let output = offramp(&["prepare", text(&bundle), "--backend", "ort", "--cache", text(&occupied)]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("not kept"), "{told}");
    for segments in ["optimised", "cached"] {
        let kept = json(&[&prepare[..], &["ort"]].concat());
        assert_eq!((&kept["segments"], &kept["kept"]), (&segments.into(), &true.into()));
    }
}
