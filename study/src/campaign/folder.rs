//! A campaign's folder: what lies where, and whose it is.
//!
//! `study.json`, `networks/`, `policies/`, `sets/`, `recordings/`, `measured/`, `rows.jsonl`; at the end `tables/`,
//! `figures/` and `findings.json`. Every file appears when it is complete, so that a killed campaign goes on from its folder.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use offramp_models::partial::write_whole;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::FolderError;
use super::craft::SetFile;
use super::plan::Skipped;
use crate::findings::Provenance;

/// Version of `study.json`.
pub const STUDY_VERSION: u32 = 1;

/// `study.json`: what the folder is of.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StudyFile {
    /// [`STUDY_VERSION`].
    pub schema_version: u32,
    /// Program, machine, backend, data and networks.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// All parts, by name, with the digest of what determines each.
    pub elements: BTreeMap<String, String>,
    /// Methods that a network is too simple for.
    pub skipped: Vec<Skipped>,
}

/// What is read of a `study.json` to tell whose it is.
#[derive(Deserialize)]
struct Claim {
    elements: BTreeMap<String, String>,
}

/// The folder of one campaign.
#[derive(Debug)]
pub struct Folder {
    dir: PathBuf,
    /// Held while the campaign runs, let go of by the system however it ends.
    _lock: File,
}

/// Folders inside, made at the start.
const STUDY: &str = "study.json";
const LOCK: &str = ".lock";
const FOLDERS: [&str; 7] = ["networks", "policies", "sets", "recordings", "measured", "tables", "figures"];

impl Folder {
    /// A folder that is new, empty, or a study's already; what killed writers left is removed.
    ///
    /// # Errors
    /// `Foreign` for a folder with something else in it, `Busy` while another campaign runs there, `Read` or `Write`.
    pub fn open(dir: &Path) -> Result<Self, FolderError> {
        fs::create_dir_all(dir).map_err(|source| FolderError::Write { path: dir.to_owned(), source })?;
        let known = |name: &str| FOLDERS.contains(&name) || name == LOCK;
        if !dir.join(STUDY).is_file() && !names(dir)?.iter().all(|name| known(name)) {
            return Err(FolderError::Foreign { dir: dir.to_owned() });
        }
        let folder = Self { dir: dir.to_owned(), _lock: lock(dir)? };
        for inner in FOLDERS {
            let path = dir.join(inner);
            fs::create_dir_all(&path).map_err(|source| FolderError::Write { path: path.clone(), source })?;
            for name in names(&path)? {
                if name.starts_with(".offramp-") || name.starts_with(".tmp") || name.contains(".partial.") {
                    remove(&path.join(name))?;
                }
            }
        }
        Ok(folder)
    }

    /// Whether a campaign was begun here.
    pub fn is_begun(&self) -> bool {
        self.study().is_file()
    }

    /// Holds the folder to be `study`'s: new, the same, or one that has less.
    ///
    /// # Errors
    /// `Version`, `Form` or `Read` for a `study.json` that cannot be read, `Other` or `Removed` for another study.
    pub fn check(&self, study: &StudyFile) -> Result<(), FolderError> {
        let Some(claim) = self.claim()? else { return Ok(()) };
        for (what, found) in claim.elements {
            match study.elements.get(&what) {
                Some(expected) if *expected == found => {}
                Some(expected) => {
                    let (dir, expected) = (self.dir.clone(), expected.clone());
                    return Err(FolderError::Other { dir, what, expected, found });
                }
                None => return Err(FolderError::Removed { dir: self.dir.clone(), what }),
            }
        }
        Ok(())
    }

    /// Holds `networks` to be all that the folder has, before any is split into it, and says which of them are the study's:
    /// what else lies there was split for a study that was never begun.
    ///
    /// # Errors
    /// As [`Folder::check`].
    pub fn begun_networks<'a>(
        &self,
        networks: impl Iterator<Item = &'a str>,
    ) -> Result<Vec<bool>, FolderError> {
        let elements = self.claim()?.map(|claim| claim.elements).unwrap_or_default();
        let asked: Vec<String> = networks.map(|name| format!("network \"{name}\"")).collect();
        let mut there = elements.keys().filter(|what| what.starts_with("network "));
        match there.find(|what| !asked.contains(what)) {
            Some(what) => Err(FolderError::Removed { dir: self.dir.clone(), what: what.clone() }),
            None => Ok(asked.iter().map(|what| elements.contains_key(what)).collect()),
        }
    }

    /// What the folder is of; `None` where nothing was begun.
    fn claim(&self) -> Result<Option<Claim>, FolderError> {
        if !self.is_begun() {
            return Ok(None);
        }
        let value: Value = self.read(&self.study())?;
        let version = value.get("schema_version").and_then(Value::as_u64).unwrap_or(0);
        if version != u64::from(STUDY_VERSION) {
            return Err(FolderError::Version {
                dir: self.dir.clone(),
                expected: STUDY_VERSION,
                found: version,
            });
        }
        serde_json::from_value(value)
            .map(Some)
            .map_err(|source| FolderError::Form { path: self.study(), source })
    }

    /// Empties the folders of tables and drawings, which are made anew.
    ///
    /// # Errors
    /// `Read` or `Write` names what cannot be removed.
    pub fn clear_findings(&self) -> Result<(), FolderError> {
        for folder in [self.tables(), self.figures()] {
            for name in names(&folder)? {
                if [".csv", ".json", ".svg"].iter().any(|ending| name.ends_with(ending)) {
                    remove(&folder.join(name))?;
                }
            }
        }
        Ok(())
    }

    /// `study.json`.
    pub fn study(&self) -> PathBuf {
        self.dir.join(STUDY)
    }

    /// Bundles of models that were split here.
    pub fn networks(&self) -> PathBuf {
        self.dir.join("networks")
    }

    /// What engines keep of a network.
    pub fn prepared(&self, network: &str) -> PathBuf {
        self.dir.join("networks").join(format!(".prepared-{network}"))
    }

    /// A network's policy.
    pub fn policy(&self, network: &str, policy: &str) -> PathBuf {
        self.dir.join("policies").join(super::policy::file_of(network, policy))
    }

    /// An adversarial set's pictures.
    pub fn set(&self, name: &str) -> PathBuf {
        self.dir.join("sets").join(format!("{name}.npz"))
    }

    /// An adversarial set's manifest; where nothing could be crafted, the reason.
    pub fn set_manifest(&self, name: &str) -> PathBuf {
        self.dir.join("sets").join(format!("{name}.json"))
    }

    /// Logits of a network on an input.
    pub fn recording(&self, network: &str, input: &str) -> PathBuf {
        self.dir.join("recordings").join(format!("{network}.on.{input}.npz"))
    }

    /// Latencies and confirmed predictions of a network.
    pub fn measured(&self, network: &str) -> PathBuf {
        self.dir.join("measured").join(format!("{network}.json"))
    }

    /// The rows.
    pub fn rows(&self) -> PathBuf {
        self.dir.join("rows.jsonl")
    }

    /// Tables.
    pub fn tables(&self) -> PathBuf {
        self.dir.join("tables")
    }

    /// Drawings.
    pub fn figures(&self) -> PathBuf {
        self.dir.join("figures")
    }

    /// The folder itself, where the findings lie.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether a set is there: its manifest, and its pictures unless nothing could be crafted.
    ///
    /// # Errors
    /// `Read` or `Form` names the manifest.
    pub fn has_set(&self, name: &str) -> Result<bool, FolderError> {
        let manifest = self.set_manifest(name);
        if !manifest.is_file() || self.set(name).is_file() {
            return Ok(manifest.is_file());
        }
        Ok(matches!(self.read(&manifest)?, SetFile::Nothing { .. }))
    }

    /// Reads JSON.
    ///
    /// # Errors
    /// `Read` or `Form` names the file.
    pub fn read<T: DeserializeOwned>(&self, path: &Path) -> Result<T, FolderError> {
        let bytes = fs::read(path).map_err(|source| FolderError::Read { path: path.to_owned(), source })?;
        serde_json::from_slice(&bytes).map_err(|source| FolderError::Form { path: path.to_owned(), source })
    }

    /// Writes `value` as JSON, whole or not at all.
    ///
    /// # Errors
    /// `Write` names the file.
    pub fn write(&self, path: &Path, value: &impl Serialize) -> Result<(), FolderError> {
        let text = || -> io::Result<Vec<u8>> {
            let mut text = serde_json::to_vec_pretty(value)?;
            text.push(b'\n');
            Ok(text)
        };
        text()
            .and_then(|text| write_whole(path, &text))
            .map_err(|source| FolderError::Write { path: path.to_owned(), source })
    }

    /// Writes `text`, whole or not at all.
    ///
    /// # Errors
    /// `Write` names the file.
    pub fn write_text(&self, path: &Path, text: &str) -> Result<(), FolderError> {
        write_whole(path, text.as_bytes())
            .map_err(|source| FolderError::Write { path: path.to_owned(), source })
    }
}

/// One campaign at a time; file systems without locks are taken at their word.
fn lock(dir: &Path) -> Result<File, FolderError> {
    let path = dir.join(LOCK);
    let file = File::create(&path).map_err(|source| FolderError::Write { path: path.clone(), source })?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(FolderError::Busy { dir: dir.to_owned() }),
        Err(TryLockError::Error(source)) if source.kind() != io::ErrorKind::Unsupported => {
            Err(FolderError::Write { path, source })
        }
        _ => Ok(file),
    }
}

fn names(dir: &Path) -> Result<Vec<String>, FolderError> {
    let failed = |source| FolderError::Read { path: dir.to_owned(), source };
    let entries = fs::read_dir(dir).map_err(failed)?;
    entries.map(|entry| Ok(entry.map_err(failed)?.file_name().to_string_lossy().into_owned())).collect()
}

fn remove(path: &Path) -> Result<(), FolderError> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.map_err(|source| FolderError::Write { path: path.to_owned(), source })
}
