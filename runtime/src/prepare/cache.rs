//! Optimised segments on disk: a folder per key, files with their digests.
//!
//! An entry is written beside its place and renamed into it, so readers see all of it or nothing. An entry that does
//! not agree with its own record is as good as none.

use std::io;
use std::path::{Path, PathBuf};

use offramp_models::partial::Partial;
use offramp_models::{Sha256, regular};
use serde::{Deserialize, Serialize};

use super::trust::{self, TrustError};

/// Name of the record inside an entry.
const RECORD: &str = "record.json";

/// What a folder under construction is called after.
const DRAFT: &str = "offramp-draft";

/// Enough to meet a full disk: more than file systems keep inside a file's own record.
const PROBE_BYTES: usize = 1 << 16;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    key: String,
    /// The segments' graphs, earliest first.
    segments: Vec<String>,
    /// Every file but this one.
    files: Vec<File>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    sha256: Sha256,
}

/// A folder in which an entry is put together.
pub(super) struct Draft {
    folder: Partial,
    files: Vec<File>,
    segments: Vec<String>,
}

impl Draft {
    /// A fresh folder, in `cache` if there is one.
    pub(super) fn new(cache: Option<&Path>) -> io::Result<Self> {
        let folder = match cache {
            Some(cache) => {
                make(cache)?;
                Partial::folder(&cache.join(DRAFT))?
            }
            None => Partial::folder(&std::env::temp_dir().join(DRAFT))?,
        };
        Ok(Self { folder, files: Vec::new(), segments: Vec::new() })
    }

    /// Why nothing more can be written here, if that is so: a full disk, say.
    pub(super) fn obstacle(&self) -> Option<io::Error> {
        let probe = self.path().join("probe");
        let written = std::fs::write(&probe, vec![0; PROBE_BYTES]);
        // What was not written whole may still be there.
        let _ = std::fs::remove_file(&probe);
        written.err()
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Paths of the segments so far.
    pub(super) fn segments(&self) -> Vec<PathBuf> {
        self.segments.iter().map(|name| self.path().join(name)).collect()
    }

    /// Notes a file that was written into the folder.
    pub(super) fn add(&mut self, path: &Path, sha256: Sha256, segment: bool) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if segment {
            self.segments.push(name.clone());
        }
        self.files.push(File { name, sha256 });
    }

    /// Makes the folder the entry for `key`. An entry that holds by then, another process's say, stays.
    pub(super) fn keep(self, cache: &Path, key: &str) -> io::Result<()> {
        let Self { folder, files, segments } = self;
        let record = Record { key: key.to_owned(), segments, files };
        std::fs::write(folder.path().join(RECORD), serde_json::to_vec_pretty(&record)?)?;
        // What root prepared serves everybody.
        #[cfg(unix)]
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let place = cache.join(key);
        let placed = match place.symlink_metadata() {
            Ok(_) if find(cache, key).is_some() => return Ok(()),
            Ok(_) => folder.replace(&place),
            Err(_) => folder.publish(&place),
        };
        match placed {
            Err(_) if find(cache, key).is_some() => Ok(()),
            placed => placed,
        }
    }
}

/// Makes the cache's folder, for its owner alone to write to.
fn make(cache: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o755);
    builder.recursive(true).create(cache)
}

/// Refuses a cache that somebody else could have written.
///
/// # Errors
/// The folder that is not trusted, and why.
pub(super) fn trust(cache: &Path, key: &str) -> Result<(), (PathBuf, TrustError)> {
    let folders = [cache.to_owned(), cache.join(key)];
    folders.into_iter().try_for_each(|folder| trust::check(&folder).map_err(|error| (folder, error)))
}

/// The segments kept for `key`, if the entry is whole and every file has its digest.
pub(super) fn find(cache: &Path, key: &str) -> Option<Vec<PathBuf>> {
    let place = cache.join(key);
    let record: Record = serde_json::from_slice(&regular::read(&place.join(RECORD)).ok()?).ok()?;
    let plain = |name: &str| Path::new(name).file_name().is_some_and(|plain| plain == name);
    let holds = |file: &File| {
        plain(&file.name) && Sha256::of_file(&place.join(&file.name)).is_ok_and(|found| found == file.sha256)
    };
    let known = |name: &String| record.files.iter().any(|file| file.name == *name);
    let whole = record.key == key && record.segments.iter().all(known) && record.files.iter().all(holds);
    whole.then(|| record.segments.iter().map(|name| place.join(name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(cache: &Path, key: &str, content: &str) {
        let mut draft = Draft::new(Some(cache)).unwrap();
        let path = draft.path().join("0.onnx");
        std::fs::write(&path, content).unwrap();
        draft.add(&path, Sha256::of(content.as_bytes()), true);
        draft.keep(cache, key).unwrap();
    }

    #[test]
    fn an_entry_that_was_kept_is_found_under_its_key_alone() {
        let cache = tempfile::tempdir().unwrap();
        keep(cache.path(), "a", "graph");
        assert_eq!(find(cache.path(), "a"), Some(vec![cache.path().join("a/0.onnx")]));
        assert_eq!(find(cache.path(), "b"), None);
        std::fs::rename(cache.path().join("a"), cache.path().join("b")).unwrap();
        assert_eq!(find(cache.path(), "b"), None);
    }

    #[test]
    fn an_entry_that_was_changed_is_none_and_is_replaced() {
        let cache = tempfile::tempdir().unwrap();
        keep(cache.path(), "a", "graph");
        std::fs::write(cache.path().join("a/0.onnx"), "grap").unwrap();
        assert_eq!(find(cache.path(), "a"), None);
        keep(cache.path(), "a", "graph");
        assert!(find(cache.path(), "a").is_some());
        std::fs::write(cache.path().join("a").join(RECORD), "{}").unwrap();
        assert_eq!(find(cache.path(), "a"), None);
        std::fs::remove_file(cache.path().join("a/0.onnx")).unwrap();
        assert_eq!(find(cache.path(), "a"), None);
        assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 1, "nothing is left lying about");
    }

    #[test]
    fn the_first_of_two_writers_wins() {
        let cache = tempfile::tempdir().unwrap();
        keep(cache.path(), "a", "one");
        keep(cache.path(), "a", "two");
        let kept = find(cache.path(), "a").unwrap();
        assert_eq!(std::fs::read_to_string(&kept[0]).unwrap(), "one");
        assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 1);
    }
}
