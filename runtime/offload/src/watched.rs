//! A file that may be written anew while it is in use.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// A file, and where it stood when it was last read.
#[derive(Debug)]
pub(crate) struct WatchedFile {
    path: PathBuf,
    seen: Mutex<Option<Stamp>>,
}

/// When a file was changed, and how long it is.
type Stamp = (SystemTime, u64);

impl WatchedFile {
    /// Watches the file at `path` from now on: what is written after this counts as a change.
    pub(crate) fn new(path: PathBuf) -> Self {
        let seen = Mutex::new(stamp(&path));
        Self { path, seen }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it stands otherwise than when this was last asked. One that is gone has not changed: it may come back.
    pub(crate) fn has_changed(&self) -> bool {
        let Some(now) = stamp(&self.path) else { return false };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).replace(now) != Some(now)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let about = std::fs::metadata(path).ok()?;
    Some((about.modified().ok()?, about.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_changes_when_it_is_written_and_not_when_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "one").unwrap();
        let file = WatchedFile::new(path.clone());
        assert!(!file.has_changed());
        std::fs::write(&path, "three").unwrap();
        assert!(file.has_changed() && !file.has_changed());
        std::fs::remove_file(&path).unwrap();
        assert!(!file.has_changed());
        std::fs::write(&path, "seven").unwrap();
        std::fs::write(&path, "eleven").unwrap();
        assert!(file.has_changed());
    }
}
