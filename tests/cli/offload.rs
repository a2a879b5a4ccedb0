//! A device and a server, as two processes.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::serving::Serving;
use super::{bundle, json, offramp, refusal, root, text};

/// The shipped network with tails at cuts 0 and 2.
pub fn bundle_with_tails(folder: &Path) -> PathBuf {
    let (out, model) = (folder.join("bundle"), root().join("models/zoo/shapes-sdn.onnx"));
    let split = ["split", text(&model), "-o", text(&out), "--backend", "tract", "--tails", "0,2"];
    json(&[&split[..], &["--wire", "u8", "--wire-data", "shapes:calibration:40", "--json"]].concat());
    out
}

pub fn run<'a>(bundle: &'a Path, trace: &'a Path) -> Vec<&'a str> {
    let mut arguments = vec!["run", text(bundle), "--input", "shapes:test:40", "--backend", "tract"];
    arguments.extend(["--threshold", "0.9", "--trace", text(trace), "--json"]);
    arguments
}

/// Image, exit and label of every line of a trace, and how many were completed by a peer.
pub fn answers(trace: &Path) -> (Vec<[u64; 3]>, usize) {
    let lines = std::fs::read_to_string(trace).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let answer = |line: &Value| ["image", "exit", "predicted"].map(|key| line[key].as_u64().unwrap());
    (lines.iter().map(answer).collect(), lines.iter().filter(|line| line["offloaded"] == true).count())
}

#[test]
fn images_completed_by_a_server_get_the_exits_and_labels_that_the_device_would_give() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle_with_tails(folder.path());
    let (here, there) = (folder.path().join("here.jsonl"), folder.path().join("there.jsonl"));
    let alone = json(&run(&bundle, &here));
    assert!(alone.get("peers").is_none() && alone.get("offload").is_none());
    let serving = Serving::start(&bundle, &[]);
    let address = serving.address();
    for (cut, wire, batch) in
        [("0", "f32", "1"), ("2", "f32", "1"), ("2", "f32", "8"), ("0", "u8", "1"), ("2", "u8", "8")]
    {
        let flags = ["--offload", &address, "--offload-after", cut, "--wire", wire, "--batch", batch];
        let flags = [&flags[..], &["--deadline-ms", "20000"]].concat();
        let report = json(&[&run(&bundle, &there)[..], &flags].concat());
        let ((expected, _), (found, by_peer)) = (answers(&here), answers(&there));
        let same = expected.iter().zip(&found).filter(|(expected, found)| expected == found).count();
        // Bytes may change what is nearly undecided.
        assert!(same == 40 || wire == "u8" && cut != "0" && same >= 38, "{cut} {wire}: {same} of 40");
        let offload = &report["offload"];
        assert_eq!((&offload["sent"], &offload["degraded"]), (&offload["by_peer"], &0.into()), "{report}");
        assert_eq!(offload["by_peer"], by_peer);
        assert!(by_peer > 0 && (cut == "0") == (by_peer == 40), "{by_peer} of 40 went on after {cut}");
        let peer = &report["peers"][0];
        assert_eq!((&peer["peer"], &peer["state"]), (&address.clone().into(), &"closed".into()));
        assert!(peer["requests"]["answered"].as_u64().unwrap() > 0 && peer["last_error"].is_null());
        assert!(peer["round_trip_s"]["p50"].as_f64().unwrap() > 0.0);
        assert_eq!(report["declined"]["no_peer"], 0);
    }
}

#[test]
fn a_peer_that_is_not_there_is_a_note_and_images_stay() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle_with_tails(folder.path());
    let trace = folder.path().join("trace.jsonl");
    // Port 1 is nobody's.
    let flags = ["--offload", "grpc://127.0.0.1:1", "--offload-after", "2"];
    let output = offramp(&[&run(&bundle, &trace)[..], &flags].concat());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    assert!(told.contains("note: peer grpc://127.0.0.1:1 cannot be used yet, images stay here"), "{told}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["images"], &report["offload"]["sent"]), (&40.into(), &0.into()));
    assert!(report["declined"]["no_peer"].as_u64().unwrap() > 0);
}

#[test]
fn a_cut_whose_messages_are_too_large_for_a_server_of_ours_stays_here_and_smaller_batches_go() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle_with_tails(folder.path());
    let trace = folder.path().join("trace.jsonl");
    // Less than one image of float32, then room for a few.
    for (most, batch, sent) in [("8192", "1", false), ("65536", "1", true), ("65536", "16", false)] {
        let serving = Serving::start(&bundle, &["--max-message", most]);
        let address = serving.address();
        let flags =
            ["--offload", &address, "--offload-after", "0", "--batch", batch, "--deadline-ms", "20000"];
        let report = json(&[&run(&bundle, &trace)[..], &flags].concat());
        assert_eq!(report["offload"]["by_peer"] == 40, sent, "{most}, batches of {batch}: {report}");
        assert_eq!(report["offload"]["degraded"], 0);
        if !sent {
            let told = report["peers"][0]["last_error"].as_str().unwrap_or_default();
            assert!(told.contains("large"), "{most}: {report}");
        }
    }
}

#[test]
fn a_server_that_wants_a_token_is_used_with_it_and_not_without() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle_with_tails(folder.path());
    let (trace, token) = (folder.path().join("trace.jsonl"), folder.path().join("token"));
    std::fs::write(&token, "s3cr3t-token\n").unwrap();
    let serving = Serving::start(&bundle, &["--token-file", text(&token)]);
    let address = serving.address();
    let flags = ["--offload", &address, "--offload-after", "0", "--deadline-ms", "20000"];
    let refused = json(&[&run(&bundle, &trace)[..], &flags].concat());
    assert_eq!((&refused["peers"][0]["state"], &refused["offload"]["sent"]), (&"disabled".into(), &0.into()));
    let output = offramp(&[&run(&bundle, &trace)[..], &flags, &["--token-file", text(&token)]].concat());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["offload"]["by_peer"], 40);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("note: tokens and metadata are sent to grpc://127.0.0.1:"), "{told}");
    assert!(!told.contains("s3cr3t") && !refused.to_string().contains("s3cr3t"));
}

#[test]
fn what_cannot_be_sent_is_refused_with_a_hint_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, tails) = (bundle(folder.path()), bundle_with_tails(&folder.path().join("tails")));
    let offload = ["--offload", "grpc://127.0.0.1:1"];
    let cases: [(&Path, &[&str], i32, &str); 11] = [
        (&plain, &["--offload-after", "0"], 1, "hint: `offramp split --tails` writes them"),
        (&tails, &["--offload-after", "1"], 1, "hint: the f32 tails of this bundle begin at 0, 2"),
        (&tails, &["--offload-after", "6"], 2, "hint: --offload-after takes 0 to 5"),
        (&tails, &["--offload-after", "-1"], 2, "0 or more"),
        (&tails, &[], 2, "--offload-after"),
        (&tails, &["--offload-after", "0", "--wire", "f16"], 2, "expected f32 or u8"),
        (&tails, &["--offload-after", "0", "--deadline-ms", "0"], 2, "above 0"),
        (&tails, &["--offload-after", "0", "--cert", "c.pem", "--ca", "ca.pem"], 2, "--key"),
        (&tails, &["--offload-after", "0", "--metadata", "novalue"], 2, "expected NAME=VALUE"),
        (
            &tails,
            &["--offload-after", "0", "--token-file", "/nowhere/token"],
            1,
            "cannot read the token file",
        ),
        (&tails, &["--offload-after", "0", "--offload", "grpcs://127.0.0.1:1"], 1, "hint: --ca names"),
    ];
    for (bundle, flags, status, expected) in cases {
        let run = ["run", text(bundle), "--input", "shapes:test:1", "--backend", "tract"];
        let found = refusal(&[&run[..], &offload, flags].concat());
        assert_eq!(found.0, status, "{flags:?}: {}", found.1);
        assert!(found.1.contains(expected), "{flags:?} lacks {expected:?}: {}", found.1);
    }
    let run = ["run", text(&tails), "--input", "shapes:test:1"];
    for (flags, expected) in [
        (&["--offload", "http://h:1", "--offload-after", "0"][..], "grpc://HOST:PORT"),
        (&["--offload", "grpc://h", "--offload-after", "0"], "expected a port"),
        (&["--offload-after", "0"], "--offload"),
        (&["--token-file", "t"], "--offload"),
        (&["--wire", "u8"], "--offload"),
    ] {
        let found = refusal(&[&run[..], flags].concat());
        assert!(found.0 == 2 && found.1.contains(expected), "{flags:?}: {}", found.1);
    }
}
