//! A study's findings on disk: `findings.json` in the study's folder.

use std::io;
use std::path::{Path, PathBuf};

use offramp_models::partial::write_whole;
use offramp_models::regular;
use offramp_offload::experiment;
use offramp_runtime::bench::record;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::check::{Fault, check};
use crate::findings::{Findings, Provenance};

/// Version of the file's form.
pub const SCHEMA_VERSION: u32 = 2;

/// The file's name in the study's folder.
pub const FILE: &str = "findings.json";

/// What a study found and what it was made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// Always [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// What the study was made of.
    pub provenance: Provenance,
    /// What it found.
    pub findings: Findings,
}

/// Findings that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoredError {
    /// No study, or none that has come to its end, and no bench.
    #[error("{} has neither {FILE} of a study that is finished nor {} or {} of a bench", folder.display(), record::FILE, experiment::FILE)]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file ends in the middle.
    #[error("{} ends in the middle of line {line}: half-written", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Its last line.
        line: usize,
    },
    /// Not JSON, or not of this form.
    #[error("{} does not hold what it should in schema version {expected}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// The version that this build reads.
        expected: u32,
        /// What does not hold.
        source: serde_json::Error,
    },
    /// Written for another reader.
    #[error("{} has schema version {found}, this build reads {expected}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version that this build reads.
        expected: u32,
        /// The version found.
        found: u64,
    },
    /// Findings that contradict themselves.
    #[error("the findings of {} contradict themselves", path.display())]
    Fault {
        /// The file.
        path: PathBuf,
        /// What does not hold.
        source: Fault,
    },
    /// Numbers that no offload experiment gives.
    #[error("{} is no offload experiment's", path.display())]
    Impossible {
        /// The file.
        path: PathBuf,
        /// What it says.
        source: offramp_offload::experiment::Impossible,
    },
    /// The file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Stored {
    /// Findings ready to be written.
    pub fn new(provenance: Provenance, findings: Findings) -> Self {
        Self { schema_version: SCHEMA_VERSION, provenance, findings }
    }

    /// Whether they can be shown.
    ///
    /// # Errors
    /// The first fault.
    pub fn check(&self) -> Result<(), Fault> {
        check(&self.findings)
    }

    /// Reads the findings in `folder`.
    ///
    /// # Errors
    /// All but `Write`.
    pub fn read(folder: &Path) -> Result<Self, StoredError> {
        let path = folder.join(FILE);
        let stored: Self = versioned(&path, SCHEMA_VERSION)?;
        match check(&stored.findings) {
            Ok(()) => Ok(stored),
            Err(source) => Err(StoredError::Fault { path, source }),
        }
    }

    /// Writes the findings into `folder`, whole or not at all.
    ///
    /// # Errors
    /// `Fault` when nobody could read them again, `Write`.
    pub fn write(&self, folder: &Path) -> Result<(), StoredError> {
        let path = folder.join(FILE);
        if let Err(source) = check(&self.findings) {
            return Err(StoredError::Fault { path, source });
        }
        let written = || {
            let mut text = serde_json::to_vec(self)?;
            text.push(b'\n');
            write_whole(&path, &text)
        };
        written().map_err(|source| StoredError::Write { path: path.clone(), source })
    }
}

/// Reads JSON that says which version of its form it is.
///
/// # Errors
/// `Missing`, `Read`, `Truncated`, `Form` and `Version`.
pub(crate) fn versioned<T: DeserializeOwned>(path: &Path, expected: u32) -> Result<T, StoredError> {
    let path = path.to_owned();
    let bytes = match regular::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(StoredError::Missing { folder: path.parent().unwrap_or(&path).to_owned() });
        }
        Err(source) => return Err(StoredError::Read { path, source }),
    };
    // The version first, so that another version's file is told apart from a broken one.
    let value: serde_json::Value = match serde_json::from_slice(&bytes) {
        Ok(value) => value,
        Err(error) if error.is_eof() => return Err(StoredError::Truncated { path, line: error.line() }),
        Err(source) => return Err(StoredError::Form { path, expected, source }),
    };
    match value.get("schema_version").and_then(serde_json::Value::as_u64) {
        Some(found) if found != u64::from(expected) => Err(StoredError::Version { path, expected, found }),
        _ => serde_json::from_value(value).map_err(|source| StoredError::Form { path, expected, source }),
    }
}
