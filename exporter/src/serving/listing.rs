//! `export.json`: what an export holds, for people, for scripts, and to know one again.

use std::collections::BTreeSet;
use std::path::Path;

use offramp_models::{Bundle, Tail, regular};
use serde_json::{Value, json};

use super::{File, Server};
use crate::staging::Kind;

/// The list's name. No server takes a file beside its models' folders for one of them.
const NAME: &str = "export.json";

/// An earlier export: it has a list, and nothing that is not on it.
pub(super) const EXPORT: Kind = Kind { name: "an export", is };

fn is(folder: &Path, names: &[String]) -> bool {
    let listed = || -> Option<BTreeSet<String>> {
        let list: Value = serde_json::from_slice(&regular::read(&folder.join(NAME)).ok()?).ok()?;
        let entries = list.get("entries")?.as_array()?.iter();
        entries.map(|entry| entry.as_str().map(str::to_owned)).collect()
    };
    listed().is_some_and(|listed| names.iter().all(|name| holds_only(&folder.join(name), name, &listed)))
}

/// Whether `path`, called `name` in the export, is listed, or a folder of nothing but what is.
fn holds_only(path: &Path, name: &str, listed: &BTreeSet<String>) -> bool {
    let Ok(metadata) = path.symlink_metadata() else { return false };
    if !metadata.is_dir() {
        return name == NAME || listed.contains(name);
    }
    let inside = format!("{name}/");
    if !listed.iter().any(|file| file.starts_with(&inside)) {
        return false;
    }
    let Ok(mut entries) = std::fs::read_dir(path) else { return false };
    entries.all(|entry| {
        let own = entry.ok().and_then(|entry| entry.file_name().into_string().ok());
        own.is_some_and(|own| holds_only(&path.join(&own), &format!("{inside}{own}"), listed))
    })
}

/// The list of an export that holds `files`.
pub(super) fn file(bundle: &Bundle, tails: &[Tail], server: Server, files: &[File]) -> File {
    let entries: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    File::json(
        NAME,
        &json!({
            "schema_version": 1,
            "producer": concat!("offramp ", env!("CARGO_PKG_VERSION")),
            "server": server.name(),
            "bundle": {"name": bundle.manifest().name, "identity": bundle.identity()},
            "tails": tails.iter().map(model).collect::<Vec<_>>(),
            "entries": entries,
        }),
    )
}

fn model(tail: &Tail) -> Value {
    json!({
        "name": tail.name, "cut": tail.cut, "wire": tail.wire, "sha256": tail.sha256,
        "inputs": tail.inputs, "outputs": tail.outputs,
    })
}
