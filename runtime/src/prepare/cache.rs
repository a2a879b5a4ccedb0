//! Optimised segments on disk: a folder per key, files with their digests.
//!
//! An entry is written beside its place and renamed into it, so readers see all of it or nothing. An entry that does
//! not agree with its own record is as good as none.

use std::io;
use std::path::{Path, PathBuf};

use offramp_models::Sha256;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

/// Name of the record inside an entry.
const RECORD: &str = "record.json";

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
    folder: TempDir,
    files: Vec<File>,
    segments: Vec<String>,
}

impl Draft {
    /// A fresh folder, in `cache` if there is one.
    pub(super) fn new(cache: Option<&Path>) -> io::Result<Self> {
        let folder = match cache {
            Some(cache) => {
                std::fs::create_dir_all(cache)?;
                tempfile::Builder::new().prefix(".draft-").tempdir_in(cache)?
            }
            None => TempDir::new()?,
        };
        Ok(Self { folder, files: Vec::new(), segments: Vec::new() })
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
        let place = cache.join(key);
        if place.symlink_metadata().is_ok() {
            if find(cache, key).is_some() {
                return Ok(());
            }
            // Moved aside first, so that no reader meets half of it.
            let aside = tempfile::Builder::new().prefix(".stale-").tempdir_in(cache)?;
            std::fs::rename(&place, aside.path().join("entry"))?;
        }
        match std::fs::rename(folder.path(), &place) {
            Ok(()) => {
                // The name that would be removed is gone.
                let _moved = folder.keep();
                Ok(())
            }
            Err(_) if find(cache, key).is_some() => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The segments kept for `key`, if the entry is whole and every file has its digest.
pub(super) fn find(cache: &Path, key: &str) -> Option<Vec<PathBuf>> {
    let place = cache.join(key);
    let record: Record = serde_json::from_slice(&std::fs::read(place.join(RECORD)).ok()?).ok()?;
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
