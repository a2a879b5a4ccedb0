//! `rows.jsonl`: rows in the order in which they came, whole lines only.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use offramp_models::Sha256;

use super::{FolderError, Row};

/// The file of rows, open for more.
pub struct Rows {
    path: PathBuf,
    file: File,
    rows: Vec<Row>,
    keys: HashSet<Sha256>,
}

impl Rows {
    /// Opens the rows at `path`; what a killed campaign left half-written is cut off.
    ///
    /// # Errors
    /// `Read` or `Write` names the file, `Row` a whole line that is no row.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(FolderError::Read { path: path.to_owned(), source }),
        };
        let (rows, complete) = whole_rows(&bytes).map_err(|(line, source)| FolderError::Row {
            path: path.to_owned(),
            line,
            source,
        })?;
        let open = || {
            let file = OpenOptions::new().create(true).append(true).open(path)?;
            if complete < bytes.len() {
                file.set_len(complete as u64)?;
                file.sync_all()?;
            }
            Ok(file)
        };
        let file = open().map_err(|source| FolderError::Write { path: path.to_owned(), source })?;
        let keys = rows.iter().map(|row| row.key).collect();
        Ok(Self { path: path.to_owned(), file, rows, keys })
    }

    /// Whether the row of `key` is there.
    pub fn has(&self, key: Sha256) -> bool {
        self.keys.contains(&key)
    }

    /// Adds a row and brings it to the disk.
    ///
    /// # Errors
    /// `Write` names the file.
    pub fn push(&mut self, row: Row) -> Result<(), FolderError> {
        let mut write = || {
            let mut line = serde_json::to_vec(&row)?;
            line.push(b'\n');
            self.file.write_all(&line)?;
            self.file.sync_data()
        };
        write().map_err(|source| FolderError::Write { path: self.path.clone(), source })?;
        self.keys.insert(row.key);
        self.rows.push(row);
        Ok(())
    }

    /// All rows in the file's order.
    pub fn into_all(self) -> Vec<Row> {
        self.rows
    }
}

/// The rows of all whole lines, and where those end; the number of a line that is no row, and why.
fn whole_rows(bytes: &[u8]) -> Result<(Vec<Row>, usize), (usize, serde_json::Error)> {
    let (mut rows, mut complete) = (Vec::new(), 0);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(row) = line.strip_suffix(b"\n") else { break };
        rows.push(serde_json::from_slice(row).map_err(|source| (rows.len() + 1, source))?);
        complete += line.len();
    }
    Ok((rows, complete))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::row::{InputKind, Measured, RowInput, RowPolicy};
    use offramp_runtime::policy::PolicySpec;
    use offramp_runtime::report::BundleName;

    fn row(name: &str) -> Row {
        let identity = Sha256::of(b"network");
        Row {
            key: Sha256::of(name.as_bytes()),
            surrogate: None,
            input: RowInput { kind: InputKind::Benign, label: name.into(), name: name.into(), seed: None },
            target: BundleName { name: "net".into(), identity },
            policy: RowPolicy { name: "p".into(), spec: PolicySpec::default() },
            figures: None,
            skipped: Some("a test".into()),
            measured: Measured::without_latency("a test"),
        }
    }

    #[test]
    fn wherever_a_row_was_cut_off_the_rows_before_it_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        let mut rows = Rows::open(&path).unwrap();
        rows.push(row("first")).unwrap();
        let first = std::fs::read(&path).unwrap();
        rows.push(row("second")).unwrap();
        let both = std::fs::read(&path).unwrap();
        for cut in first.len()..both.len() {
            std::fs::write(&path, &both[..cut]).unwrap();
            let mut rows = Rows::open(&path).unwrap();
            assert_eq!(rows.rows, [row("first")], "{cut}");
            assert_eq!(std::fs::read(&path).unwrap(), first, "{cut}");
            rows.push(row("second")).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), both, "{cut}");
        }
    }

    #[test]
    fn rows_after_a_line_that_is_none_are_not_thrown_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        let mut rows = Rows::open(&path).unwrap();
        for name in ["first", "second", "third"] {
            rows.push(row(name)).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let broken = text.replacen("second", "sec\"ond", 1);
        std::fs::write(&path, &broken).unwrap();
        let error = Rows::open(&path).err().unwrap();
        assert!(matches!(error, FolderError::Row { line: 2, .. }), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), broken);
    }

    #[test]
    fn a_row_that_is_there_is_known_by_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        Rows::open(&path).unwrap().push(row("first")).unwrap();
        let rows = Rows::open(&path).unwrap();
        assert!(rows.has(row("first").key) && !rows.has(row("second").key));
        assert_eq!(rows.into_all(), [row("first")]);
    }
}
