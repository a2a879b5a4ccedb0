//! Interruptions, pipes and tampering.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{bundle, json, offramp, refusal, root, text};

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

#[cfg(unix)]
#[test]
fn an_interrupted_attack_leaves_no_half_of_its_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let (set, pictures) = (folder.path().join("adv.npz"), folder.path().join("pictures"));
    let attack =
        ["attack", text(&bundle), "--method", "fgsm", "--input", "shapes:test:300", "--backend", "tract"];
    let attack = [&attack[..], &["-o", text(&set), "--images", text(&pictures)]].concat();
    let partial = |name: &str| name.starts_with(".pictures.partial.");
    for (signal, status) in [("-INT", 130), ("-TERM", 143)] {
        assert_eq!(interrupt(&attack, folder.path(), partial, signal), Some(status));
        assert_eq!(names(folder.path()), ["bundle"], "{signal}");
    }
}

/// Stderr of a command that may write files of one block of 1,024 bytes.
#[cfg(unix)]
fn told_where_files_stay_small(arguments: &[&str]) -> String {
    let mut limited = Command::new("bash");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$@\"", "bash", env!("CARGO_BIN_EXE_offramp")]);
    let output = limited.args(arguments).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {told}");
    told
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_told_once_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("set.npz");
    let corrupt = ["corrupt", "--kind", "brightness", "--severity", "1", "-o", text(&set)];
    for images in ["shapes:test:3", "shapes:test:300"] {
        for command in [&["data", "export", "-o", text(&set)], &corrupt[..]] {
            let told = told_where_files_stay_small(&[command, &[images]].concat());
            let expected = format!("error: cannot write {}: File too large (os error 27)\n", text(&set));
            assert_eq!(told, expected, "{command:?}");
            assert!(names(folder.path()).is_empty());
        }
    }
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
    assert_eq!((&bundled["prepared"], &bundled["kept"]), (&"as_bundled".into(), &false.into()));
    if std::env::var_os("ORT_DYLIB_PATH").is_none() {
        return;
    }
    let occupied = folder.path().join("occupied");
    std::fs::write(&occupied, "a file").unwrap();
    let unkept = json(&[&prepare[..], &["ort", "--cache", text(&occupied)]].concat());
    assert_eq!((&unkept["prepared"], &unkept["kept"]), (&"optimised".into(), &false.into()));
    let output = offramp(&["prepare", text(&bundle), "--backend", "ort", "--cache", text(&occupied)]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("not kept"), "{told}");
    for segments in ["optimised", "cached"] {
        let kept = json(&[&prepare[..], &["ort"]].concat());
        assert_eq!((&kept["prepared"], &kept["kept"]), (&segments.into(), &true.into()));
    }
}
