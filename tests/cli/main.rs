//! The command line as a user meets it: statuses, messages, files.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod attack;
mod board;
mod energy;
mod hostile;
mod messages;
mod offload;
mod placement;
mod serve;
mod serving;
mod tails;
mod trust;
mod workflow;

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
