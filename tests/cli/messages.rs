//! What wrong flags and missing things are told as.

use serde_json::Value;

use super::{bundle, json, offramp, refusal, root, text};

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
