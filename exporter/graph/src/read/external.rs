//! Constants in files beside the model.

use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use rustc_hash::FxHashMap;

use super::map;
use crate::error::ExternalError;
use crate::wire::StringStringEntryProto;

/// The files beside a model, each mapped once.
pub(super) struct Externals {
    folder: Option<PathBuf>,
    maps: FxHashMap<PathBuf, Bytes>,
}

impl Externals {
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, maps: FxHashMap::default() }
    }

    /// The bytes that `entries` (`TensorProto.external_data`) point at: `length` of them where it is not stated.
    pub(super) fn get(
        &mut self,
        entries: &[StringStringEntryProto],
        length: usize,
    ) -> Result<Bytes, ExternalError> {
        let value = |key: &str| entries.iter().find(|e| e.key == key).map(|e| e.value.as_str());
        let number = |key: &'static str| {
            let parsed = value(key).map(|value| value.parse::<u64>().map_err(|_| (key, value)));
            parsed.transpose().map_err(|(key, value)| ExternalError::NotANumber { key, value: value.into() })
        };
        let location = value("location").filter(|location| !location.is_empty());
        let location = location.ok_or(ExternalError::NoLocation)?;
        let start = number("offset")?.unwrap_or(0);
        let length = number("length")?.unwrap_or(length as u64);

        let path = self.inside(location)?;
        let file = self.open(&path)?;
        let end = start.checked_add(length).filter(|end| *end <= file.len() as u64);
        match end {
            // Both fit: they are at most the length of a slice.
            Some(end) => Ok(file.slice(start as usize..end as usize)),
            None => Err(ExternalError::Range { path, start, length, size: file.len() as u64 }),
        }
    }

    fn inside(&self, location: &str) -> Result<PathBuf, ExternalError> {
        let folder = self.folder.as_ref().ok_or(ExternalError::NoFolder)?;
        let stays = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        if !Path::new(location).components().all(stays) {
            return Err(ExternalError::Outside { location: location.into() });
        }
        Ok(folder.join(location))
    }

    fn open(&mut self, path: &Path) -> Result<Bytes, ExternalError> {
        if let Some(file) = self.maps.get(path) {
            return Ok(file.clone());
        }
        let file = map(path).map_err(|source| ExternalError::Open { path: path.into(), source })?;
        self.maps.insert(path.into(), file.clone());
        Ok(file)
    }
}
