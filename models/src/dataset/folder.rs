//! A folder of images: flat, or one sub-folder per class.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::DataError;
use super::files::{Files, is_image};

/// The first `limit` images in `dir`, in the byte order of class and file names.
///
/// Hidden entries are skipped; files without the name of an image are counted and ignored, folders inside class
/// folders likewise.
pub(super) fn open(dir: &Path, names: Option<&[String]>, limit: usize) -> Result<Files, DataError> {
    if fs::metadata(dir).is_ok_and(|kind| !kind.is_dir()) {
        return Err(DataError::Kind { path: dir.to_owned() });
    }
    let top = Listing::of(dir)?;
    let name = dir.display().to_string();
    let mut files =
        Files { name, paths: top.images, labels: None, class_names: None, ignored: top.others, size: None };
    if !top.folders.is_empty() {
        if let Some(file) = files.paths.first() {
            let [file, folder] = [file, &top.folders[0]].map(|path| last(path));
            return Err(DataError::Mixed { dir: dir.to_owned(), file, folder });
        }
        classes(dir, &top.folders, names, &mut files)?;
    }
    files.paths.truncate(limit);
    if let Some(labels) = &mut files.labels {
        labels.truncate(limit);
    }
    if files.paths.is_empty() {
        return Err(DataError::Empty { what: files.name });
    }
    Ok(files)
}

fn classes(
    dir: &Path,
    folders: &[PathBuf],
    names: Option<&[String]>,
    files: &mut Files,
) -> Result<(), DataError> {
    let mut labels = Vec::new();
    let by_name: Option<HashMap<&str, usize>> =
        names.map(|names| names.iter().enumerate().map(|(label, name)| (name.as_str(), label)).collect());
    for (position, folder) in folders.iter().enumerate() {
        let class = last(folder);
        let label = match &by_name {
            None => position,
            Some(known) => *known.get(class.as_str()).ok_or_else(|| DataError::Class {
                dir: dir.to_owned(),
                class: class.clone(),
                known: known.len(),
            })?,
        };
        let listing = Listing::of(folder)?;
        labels.resize(labels.len() + listing.images.len(), label);
        files.paths.extend(listing.images);
        files.ignored += listing.others + listing.folders.len();
    }
    files.labels = Some(labels);
    files.class_names =
        Some(names.map_or_else(|| folders.iter().map(|folder| last(folder)).collect(), <[String]>::to_vec));
    Ok(())
}

fn last(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// What a folder holds, in the byte order of names.
pub(super) struct Listing {
    /// Folders.
    pub folders: Vec<PathBuf>,
    /// Files with the name of an image.
    pub images: Vec<PathBuf>,
    /// Number of other entries that are not hidden.
    pub others: usize,
}

impl Listing {
    /// Lists `dir`, following links.
    pub fn of(dir: &Path) -> Result<Self, DataError> {
        let failed = |source| DataError::Read { path: dir.to_owned(), source };
        let mut names: Vec<OsString> = Vec::new();
        for entry in fs::read_dir(dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if !name.as_encoded_bytes().starts_with(b".") {
                names.push(name);
            }
        }
        names.sort_unstable_by(|a, b| a.as_encoded_bytes().cmp(b.as_encoded_bytes()));
        let mut listing = Self { folders: Vec::new(), images: Vec::new(), others: 0 };
        for name in names {
            let path = dir.join(name);
            let kind =
                fs::metadata(&path).map_err(|source| DataError::Read { path: path.clone(), source })?;
            if kind.is_dir() {
                listing.folders.push(path);
            } else if kind.is_file() && is_image(&path) {
                listing.images.push(path);
            } else {
                listing.others += 1;
            }
        }
        Ok(listing)
    }
}
