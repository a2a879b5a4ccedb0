//! `offramp board kit`: everything that a board needs for a field test, in one folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use offramp_models::Bundle;
use offramp_models::bundle::MANIFEST;
use offramp_models::partial::Partial;
use serde_json::json;

use crate::output;
use crate::status::{Status, hint, usage};

/// Gather bundles, policies and inputs with one script into a folder to copy to a board
///
/// On the board, `sh measure.sh` prepares every bundle, measures every pair of inputs with the best meter there is, and writes
/// results/BOARD/..; `offramp report` shows the results of several boards side by side.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  offramp board kit network.bundle --input benign.npz --against adv.npz,slow.npz -o kit\n  \
                        scp -r kit board: && ssh board 'cd kit && OFFRAMP=~/offramp sh measure.sh'"
)]
pub struct Kit {
    /// Bundles, folders that `split` wrote
    #[arg(value_name = "BUNDLE", required = true)]
    bundles: Vec<PathBuf>,
    /// Benign pictures, an npz archive (`offramp data export` makes one)
    #[arg(long, value_name = "FILE.npz")]
    input: PathBuf,
    /// Other pictures, each measured against the benign ones
    #[arg(long, value_name = "FILE.npz,..", value_delimiter = ',')]
    against: Vec<PathBuf>,
    /// Policies, each measured; the bundle's own without
    #[arg(long, value_name = "FILE,..", value_delimiter = ',')]
    policy_file: Vec<PathBuf>,
    /// The folder to write
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Replace a kit that is there
    #[arg(long)]
    force: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What makes a folder a kit.
const SCRIPT: &str = "measure.sh";

impl Kit {
    pub fn run(self) -> anyhow::Result<Status> {
        let names = self.names()?;
        let there = self.output.symlink_metadata().is_ok();
        if there && !self.force {
            let error = anyhow::anyhow!("{} exists", self.output.display());
            return Err(hint(error, "--force replaces a kit that is there"));
        }
        if there && !self.output.join(SCRIPT).is_file() {
            let error = anyhow::anyhow!("{} is not a kit", self.output.display());
            return Err(hint(error, "nothing but a kit is replaced: name another folder"));
        }
        let cannot = || format!("cannot write {}", self.output.display());
        let partial = Partial::folder(&self.output).with_context(cannot)?;
        let folder = partial.path();
        for (bundle, name) in self.bundles.iter().zip(&names.bundles) {
            copy_bundle(bundle, &folder.join("bundles").join(name))?;
        }
        for (from, name) in std::iter::once(&self.input).chain(&self.against).zip(&names.inputs) {
            copy_input(from, &folder.join("inputs").join(name))?;
        }
        for (from, name) in self.policy_file.iter().zip(&names.policies) {
            copy(from, &folder.join("policies").join(name))?;
        }
        let script = script(&names);
        fs::write(folder.join(SCRIPT), &script).context("cannot write the script")?;
        fs::write(folder.join("README.md"), README).context("cannot write the README")?;
        partial.open_to_readers().with_context(cannot)?;
        let appear = if there { Partial::replace } else { Partial::publish };
        appear(partial, &self.output).with_context(cannot)?;
        let runs = script.lines().filter(|line| line.starts_with("measure ")).count();
        if self.json {
            output::json(&json!({
                "schema_version": 1, "kit": self.output, "bundles": names.bundles, "inputs": names.inputs,
                "policies": names.policies, "runs": runs,
            }))?;
        } else {
            output::text(format!(
                "{}: {} bundles, {} inputs, {} policies, {runs} measurements; copy it to the board and run sh {SCRIPT} there",
                self.output.display(),
                names.bundles.len(),
                names.inputs.len(),
                names.policies.len()
            ))?;
        }
        Ok(Status::Done)
    }

    fn names(&self) -> anyhow::Result<Names> {
        let inputs = std::iter::once(&self.input).chain(&self.against);
        for input in inputs.clone() {
            if input.extension().is_none_or(|extension| extension != "npz") {
                let message = format!("{} is no npz archive", input.display());
                return Err(usage(message, "offramp data export DATA -o FILE.npz makes one of any data"));
            }
        }
        Ok(Names {
            bundles: names(self.bundles.iter())?,
            inputs: names(inputs)?,
            policies: names(self.policy_file.iter())?,
        })
    }
}

/// What things are called in the kit.
struct Names {
    bundles: Vec<String>,
    inputs: Vec<String>,
    policies: Vec<String>,
}

/// File names that a shell takes as they are, each once.
fn names<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for path in paths {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let plain = |one: char| one.is_ascii_alphanumeric() || "._-".contains(one);
        let name: String = name.chars().map(|one| if plain(one) { one } else { '-' }).collect();
        if name.is_empty() || name.starts_with(['.', '-']) || names.contains(&name) {
            let message = format!("{} has no name of its own", path.display());
            return Err(usage(message, "rename it: letters, digits, . _ - and no two alike"));
        }
        names.push(name);
    }
    Ok(names)
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    if !from.is_file() {
        anyhow::bail!("{} is no regular file", from.display());
    }
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}

/// An archive, and what `attack` and `corrupt` say of it.
fn copy_input(from: &Path, to: &Path) -> anyhow::Result<()> {
    copy(from, to)?;
    let manifest = from.with_extension("json");
    if manifest.is_file() { copy(&manifest, &to.with_extension("json")) } else { Ok(()) }
}

/// The files that a bundle's manifest names, checked: nothing that a device made, nothing else that lies there.
fn copy_bundle(from: &Path, to: &Path) -> anyhow::Result<()> {
    let bundle = Bundle::open(from)?;
    bundle.check()?;
    for file in bundle.files() {
        copy(&from.join(file), &to.join(file))?;
    }
    copy(&from.join(MANIFEST), &to.join(MANIFEST))?;
    let policies = from.join("policies");
    let entries = fs::read_dir(&policies).into_iter().flatten().flatten();
    for policy in entries.filter(|entry| entry.path().is_file()) {
        copy(&policy.path(), &to.join("policies").join(policy.file_name()))?;
    }
    Ok(())
}

fn script(names: &Names) -> String {
    let mut script = SCRIPT_HEAD.to_owned();
    let benign = names.inputs.first().map_or("", String::as_str);
    for bundle in &names.bundles {
        script += &format!("prepare {bundle}\n");
        let policies = names.policies.iter().map(String::as_str);
        let policies: Vec<&str> = if names.policies.is_empty() { vec!["-"] } else { policies.collect() };
        for policy in policies {
            if names.inputs.len() < 2 {
                script += &format!("measure {bundle} {policy} {benign} -\n");
            }
            for other in names.inputs.iter().skip(1) {
                script += &format!("measure {bundle} {policy} {benign} {other}\n");
            }
        }
    }
    script + "echo \"results are in $results\" >&2\n"
}

const SCRIPT_HEAD: &str = r#"#!/bin/sh
# Measures everything in this folder on this board.
#   OFFRAMP   the program [offramp]
#   BACKEND   as for --backend [auto]
#   METER     as for --meter [auto]; none measures latency alone
#   WINDOWS   windows of each input [10]
#   BOARD     what this board is called [its host name]
set -eu
cd "$(dirname "$0")"
offramp=${OFFRAMP:-offramp}
board=${BOARD:-$(uname -n)}
results=results/$board
mkdir -p "$results"
"$offramp" doctor --json > "$results/doctor.json"
prepare() {
  "$offramp" prepare "bundles/$1" --backend "${BACKEND:-auto}"
}
# measure BUNDLE POLICY BENIGN OTHER: - stands for none. What is there already is not measured again.
measure() {
  to=$results/$1
  [ "$2" = - ] || to=$to-${2%.json}
  [ "$4" = - ] || to=$to-${4%.npz}
  if [ -f "$to/bench.json" ]; then echo "$to is there" >&2; return; fi
  set -- "$@" --backend "${BACKEND:-auto}" --meter "${METER:-auto}" -o "$to"
  [ "${METER:-auto}" = none ] || set -- "$@" --windows "${WINDOWS:-10}"
  bundle=$1 policy=$2 benign=$3 other=$4
  shift 4
  [ "$other" = - ] || set -- --against "inputs/$other" "$@"
  [ "$policy" = - ] || set -- --policy-file "policies/$policy" "$@"
  "$offramp" bench "bundles/$bundle" --input "inputs/$benign" "$@"
}
"#;

const README: &str = "\
# A field kit

Copy this folder to a board with the `offramp` program, pin the board's power mode and clocks (on a Jetson: `nvpmodel`, `jetson_clocks`), and run

    sh measure.sh

`OFFRAMP=/path/to/offramp`, `BACKEND=ort:cuda`, `METER=ina`, `WINDOWS=5` and `BOARD=name` in front of it change what is used. It goes on where it
was stopped. Then bring `results/` back. With the results of several boards in one folder,

    offramp report results/*/*/ -o boards.html

shows them together. `results/BOARD/doctor.json` says what the board is.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bundle_policy_and_other_input_is_measured_once() {
        let of = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let lines = |policies: &[&str], inputs: &[&str]| {
            let names = Names { bundles: of(&["a", "b"]), inputs: of(inputs), policies: of(policies) };
            script(&names)
                .lines()
                .filter(|line| line.starts_with("measure "))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(lines(&[], &["x.npz"]), ["measure a - x.npz -", "measure b - x.npz -"]);
        let all = lines(&["p.json", "q.json"], &["x.npz", "y.npz", "z.npz"]);
        assert_eq!(all.len(), 2 * 2 * 2);
        assert_eq!(all[0], "measure a p.json x.npz y.npz");
    }

    #[test]
    fn names_are_what_a_shell_takes_as_it_is_and_no_two_are_alike() {
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(names(paths(&["d/a b;c.npz"]).iter()).unwrap(), ["a-b-c.npz"]);
        assert!(names(paths(&["d/x.npz", "e/x.npz"]).iter()).is_err());
        assert!(names(paths(&["d/-rf.npz"]).iter()).is_err());
    }
}
