//! Boards on a serial line, all of them simulated: a child process plays one, another measures it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{bundle, json, offramp, refusal, text};

/// `offramp board ..` that plays something on a terminal; killed when dropped.
struct Played {
    child: Child,
    out: BufReader<ChildStdout>,
    port: String,
}

impl Played {
    fn new(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_offramp"));
        command.arg("board").args(arguments).arg("--json").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        Self { child, out, port: ready["listening"].as_str().unwrap().to_owned() }
    }

    /// Interrupts it, as a person would, and gives its last line.
    fn interrupt(mut self) -> Value {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        assert!(self.child.wait().unwrap().success());
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

fn measure(port: &str, more: &[&str]) -> Value {
    json(&[&["board", "meter", port, "--json"], more].concat())["measured"].clone()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn the_energy_of_a_while_is_that_of_the_simulated_board() {
    let sim = Played::new(&["sim", "--waveform", "square:2,8,0.013,0.3"]);
    let found = measure(&sim.port, &["--seconds", "2"]);
    let expected = (0.3 * 8.0 + 0.7 * 2.0) * number(&found["window_s"]);
    let off = number(&found["energy_j"]) / expected - 1.0;
    assert!(off.abs() < 0.01, "{off}: {found}");
    assert_eq!((number(&found["gaps"]), number(&found["missing_s"])), (0.0, 0.0));
    let true_energy = sim.interrupt();
    assert!(number(&true_energy["energy_j"]) > number(&found["energy_j"]));
}

#[test]
fn a_command_is_measured_from_its_start_to_its_end_and_its_failure_is_ours() {
    let sim = Played::new(&["sim"]);
    let found = measure(&sim.port, &["--", "sleep", "0.5"]);
    let window = number(&found["window_s"]);
    assert!((0.5..3.0).contains(&window), "{window}");
    assert!((number(&found["energy_j"]) / (5.0 * window) - 1.0).abs() < 0.01);
    let (status, told) = refusal(&["board", "meter", &sim.port, "--", "false"]);
    assert_eq!(status, 1, "{told}");
    assert!(told.contains("false ended with"), "{told}");
}

#[test]
fn what_is_missing_while_the_board_is_unplugged_is_told_and_not_made_up() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("meter");
    let sim = Played::new(&["sim", "--link", text(&link), "--unplug-every", "1.5"]);
    let found = measure(&sim.port, &["--seconds", "4"]);
    let (missing, window) = (number(&found["missing_s"]), number(&found["window_s"]));
    assert!(missing > 0.5, "{found}");
    // 5 W for as long as there were samples, nothing for the rest.
    let off = number(&found["energy_j"]) / (5.0 * (window - missing)) - 1.0;
    assert!(off.abs() < 0.02, "{off}: {found}");
    drop(sim.interrupt());
    assert!(link.symlink_metadata().is_err(), "the link goes with the board");
}

#[test]
fn windows_that_follow_on_each_other_tell_each_what_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("meter");
    let sim = Played::new(&["sim", "--link", text(&link), "--unplug-every", "1.5"]);
    let output = offramp(&["board", "meter", &sim.port, "--every", "0.5", "--seconds", "4", "--json"]);
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let windows: Vec<Value> = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
    // One that lies in the gap has no energy, and says why.
    let (measured, lost): (Vec<_>, Vec<_>) =
        windows.iter().partition(|window| window["measured"].is_object());
    assert!(lost.iter().all(|window| window["why"].as_str().unwrap().contains("no sample")), "{lost:?}");
    let missing = |window: &Value| number(&window["measured"]["missing_s"]);
    let whole = measured.iter().filter(|window| missing(window) < 0.01).count();
    assert!(whole >= 2 && whole < measured.len() + lost.len(), "{windows:?}");
    for window in measured {
        let found = &window["measured"];
        let covered = number(&found["window_s"]) - number(&found["missing_s"]);
        assert!((number(&found["energy_j"]) - 5.0 * covered).abs() < 0.02, "{window}");
    }
}

#[test]
fn a_recording_host_that_is_killed_leaves_the_line_to_the_next_one() {
    let sim = Played::new(&["sim"]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_offramp"));
    command.args(["board", "monitor", &sim.port, "--json"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut host = command.spawn().unwrap();
    let mut lines = BufReader::new(host.stdout.take().unwrap()).lines();
    let hello: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(hello["hello"]["serial"], "SIM-1");
    let sample: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(sample["recording"], true);
    assert!((number(&sample["power_w"]) - 5.0).abs() < 1e-6, "{sample}");
    // As kill -9 does.
    host.kill().unwrap();
    host.wait().unwrap();

    // Windows that follow on each other: those that were over before are kept.
    let mut command = Command::new(env!("CARGO_BIN_EXE_offramp"));
    command.args(["board", "meter", &sim.port, "--every", "0.4", "--json"]);
    let mut host = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(host.stdout.take().unwrap()).lines();
    let mut windows = Vec::new();
    for line in lines {
        windows.push(serde_json::from_str::<Value>(&line.unwrap()).unwrap()["measured"].clone());
        if windows.len() == 3 {
            host.kill().unwrap();
        }
    }
    host.wait().unwrap();
    let sum = |key: &str| windows.iter().map(|window| number(&window[key])).sum::<f64>();
    assert!(
        windows.len() >= 3 && (sum("energy_j") / (5.0 * sum("window_s")) - 1.0).abs() < 0.01,
        "{windows:?}"
    );
    let found = measure(&sim.port, &["--seconds", "1"]);
    assert!((number(&found["energy_j"]) / (5.0 * number(&found["window_s"])) - 1.0).abs() < 0.01, "{found}");
}

#[test]
fn a_bench_is_metered_over_a_serial_line() {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, sim) = (bundle(folder.path()), Played::new(&["sim"]));
    let meter = format!("serial:{}", sim.port);
    let short = ["--blocks", "2", "--turn", "1", "--windows", "2", "--window", "0.3", "--json"];
    let bench =
        ["bench", text(&bundle), "--input", "shapes:test:20", "--backend", "tract", "--meter", &meter];
    let found = json(&[&bench[..], &short].concat());
    let load = &found["energy"]["loads"][0];
    assert_eq!(number(&load["windows"]), 2.0, "{load}");
    // Power that does not know of images is all idle power.
    let (gross, net) = (number(&load["gross_per_image_j"]["mean"]), number(&load["net_per_image_j"]["mean"]));
    assert!(gross > 0.0 && net.abs() < 0.02 * gross, "gross {gross}, net {net}");
}

#[test]
fn our_host_drives_our_device_through_performance_and_accuracy() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    let device = Played::new(&["device", text(&bundle), "--backend", "tract"]);
    let tiny = |more: &[&str]| json(&[&["board", "tiny", &device.port, "--json"], more].concat());
    let fast =
        tiny(&["--mode", "performance", "--input", "shapes:test:5", "--windows", "2", "--least", "0.5"]);
    assert_eq!(fast["device"]["name"], "offramp");
    assert_eq!(fast["device"]["model"], "shapes-sdn");
    assert_eq!(fast["result"]["short"], false, "{fast}");
    assert!(number(&fast["result"]["median"]) > 1.0);
    let right = tiny(&["--mode", "accuracy", "--input", "shapes:test:60"]);
    let run = ["run", text(&bundle), "--input", "shapes:test:60", "--backend", "tract", "--json"];
    let run = json(&run);
    // The device is the network: same accuracy, same exits.
    assert!((number(&right["result"]["top1"]) - number(&run["accuracy"])).abs() < 1e-9, "{right}");
    let exits = run["exits"].as_array().unwrap().iter().map(|exit| exit["count"].clone());
    let counted = right["result"]["exit_counts"].as_array().unwrap();
    let counted = counted.iter().cloned().chain(std::iter::repeat(Value::from(0)));
    assert!(exits.zip(counted).all(|(run, device)| run == device), "{right} {}", run["exits"]);
}

#[test]
fn a_port_that_is_not_there_or_speaks_something_else_is_told_with_what_helps() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent");
    let (status, told) = refusal(&["board", "meter", text(&absent)]);
    assert_eq!(status, 1);
    assert!(told.contains(text(&absent)) && told.contains("`offramp board list`"), "{told}");
    let bundle = bundle(folder.path());
    let device = Played::new(&["device", text(&bundle), "--backend", "tract"]);
    let (status, told) = refusal(&["board", "monitor", &device.port]);
    assert_eq!(status, 1);
    assert!(told.contains(&device.port) && told.contains("--lines"), "{told}");
    let (status, told) =
        refusal(&["board", "tiny", &device.port, "--mode", "energy", "--input", "shapes:test:1"]);
    assert_eq!(status, 2, "{told}");
    let (status, _) = refusal(&["board", "sim", "--waveform", "sine:1"]);
    assert_eq!(status, 2);
    for nonsense in [["--skew-ppm", "nan"], ["--baud", "0"], ["--rate", "1e9"], ["--volts", "1e300"]] {
        assert_eq!(refusal(&[&["board", "sim"][..], &nonsense].concat()).0, 2, "{nonsense:?}");
    }
    // A name that is taken by a file is not a link's.
    let precious = folder.path().join("precious.npz");
    std::fs::write(&precious, "data").unwrap();
    let (status, told) = refusal(&["board", "sim", "--seconds", "0.1", "--link", text(&precious)]);
    assert!(status == 1 && told.contains("precious.npz is there and is no link"), "{told}");
    assert_eq!(std::fs::read(&precious).unwrap(), b"data");
}

/// A program that notes how it was called.
fn recorder(folder: &Path) -> PathBuf {
    let program = folder.join("offramp");
    let script = "#!/bin/sh\nprintf '%s\\n' \"$*\" >> \"$(dirname \"$0\")/calls\"\n\
                  for last; do :; done\ncase $1 in doctor) echo '{}';; esac\n\
                  while [ $# -gt 1 ]; do [ \"$1\" = -o ] && mkdir -p \"$2\" && echo '{}' > \"$2/bench.json\"; shift; done\n";
    std::fs::write(&program, script).unwrap();
    let mut permissions = std::fs::metadata(&program).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    std::fs::set_permissions(&program, permissions).unwrap();
    program
}

#[test]
fn a_kit_has_everything_and_its_script_measures_every_pair_once() {
    let folder = tempfile::tempdir().unwrap();
    let (bundle, kit) = (bundle(folder.path()), folder.path().join("kit"));
    json(&["prepare", text(&bundle), "--backend", "tract", "--json"]);
    let inputs: Vec<PathBuf> =
        ["benign", "slow"].iter().map(|name| folder.path().join(format!("{name}.npz"))).collect();
    for input in &inputs {
        json(&["data", "export", "shapes:test:4", "-o", text(input), "--json"]);
    }
    std::fs::write(folder.path().join("slow.json"), "{}").unwrap();
    let make = [
        "board",
        "kit",
        text(&bundle),
        "--input",
        text(&inputs[0]),
        "--against",
        text(&inputs[1]),
        "-o",
        text(&kit),
    ];
    let told = json(&[&make[..], &["--json"]].concat());
    assert_eq!(told["runs"], 1);
    for file in [
        "bundles/bundle/manifest.json",
        "inputs/benign.npz",
        "inputs/slow.npz",
        "inputs/slow.json",
        "README.md",
    ] {
        assert!(kit.join(file).is_file(), "{file}");
    }
    assert!(!kit.join("bundles/bundle/.prepared").exists(), "what another device made stays there");
    json(&[
        "verify",
        text(&kit.join("bundles/bundle")),
        "--against",
        text(&super::root().join("models/zoo/shapes-sdn.onnx")),
        "--backend",
        "tract",
        "--json",
    ]);

    let (status, told) = refusal(&make);
    assert!(status == 1 && told.contains("--force"), "{told}");
    let thesis = folder.path().join("thesis");
    std::fs::create_dir(&thesis).unwrap();
    std::fs::write(thesis.join("a.tex"), "years of work").unwrap();
    let other = [&make[..8], &[text(&thesis), "--force"]].concat();
    assert_eq!(refusal(&other).0, 1, "only a kit is replaced");
    assert!(thesis.join("a.tex").is_file());

    let program = recorder(folder.path());
    let measure = || {
        let mut command = Command::new("sh");
        command.arg(kit.join("measure.sh")).env("OFFRAMP", &program).env("BOARD", "desk").env("WINDOWS", "3");
        assert!(command.output().unwrap().status.success());
        std::fs::read_to_string(folder.path().join("calls")).unwrap()
    };
    let expected = "doctor --json\nprepare bundles/bundle --backend auto\n\
                    bench bundles/bundle --input inputs/benign.npz --against inputs/slow.npz --backend auto --meter auto -o results/desk/bundle-slow --windows 3\n";
    assert_eq!(measure(), expected);
    assert!(!measure()[expected.len()..].contains("bench"), "what was measured is not measured again");
    assert!(kit.join("results/desk/doctor.json").is_file());
}

#[test]
fn ports_are_listed_and_a_machine_without_any_says_so() {
    let found = json(&["board", "list", "--json"]);
    assert!(found["ports"].is_array());
    assert!(offramp(&["board", "list"]).status.success());
}

#[test]
fn a_simulated_board_ends_by_itself_and_tells_what_it_took() {
    let begin = Instant::now();
    let output = offramp(&["board", "sim", "--seconds", "0.3", "--json"]);
    assert!(output.status.success() && begin.elapsed() < Duration::from_secs(20));
    let last = output.stdout.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty()).unwrap();
    let told: Value = serde_json::from_slice(last).unwrap();
    assert!((number(&told["energy_j"]) / (5.0 * number(&told["seconds"])) - 1.0).abs() < 1e-6, "{told}");
}
