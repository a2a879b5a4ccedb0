//! A folder with a script that serves it by the KServe SDK.

use offramp_models::Tail;

use super::File;

/// Serves what `export.json` beside it lists.
const SCRIPT: &str = include_str!("kserve.py");

pub(super) fn files(tails: &[Tail]) -> Vec<File> {
    let mut files = vec![File::text("serve.py", SCRIPT)];
    files.extend(tails.iter().flat_map(|tail| File::graph(&tail.name, tail)));
    files
}
