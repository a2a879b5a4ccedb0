//! Where a set goes, looked at before anything is crafted.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use offramp_models::dataset::{ArchiveWriter, Chw};
use offramp_models::partial::Partial;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::WriteError;
use super::write::colour;

/// The files of one set, none of which takes the place of anything but an earlier set's.
#[derive(Clone, Debug)]
pub struct Place {
    set: PathBuf,
    manifest: PathBuf,
    pictures: Option<PathBuf>,
}

impl Place {
    /// A place for a set of images of `shape`: the archive `set`, the manifest beside it under the same name with `.json`
    /// in the end and, where they are wanted, the folder of `pictures`. Nothing is left there by asking.
    ///
    /// # Errors
    /// `OneFile` for an archive that would have the manifest's name, `Occupied` for what is no earlier set's, `File` where
    /// nothing can be written, `Channels` for images that cannot be pictures.
    pub fn new(set: &Path, pictures: Option<&Path>, shape: Chw) -> Result<Self, WriteError> {
        let manifest = set.with_extension("json");
        if manifest == set {
            return Err(WriteError::OneFile { path: manifest });
        }
        if let Some(folder) = pictures {
            colour(shape.channels)?;
            unless_occupied(folder)?;
        }
        if manifest.exists() && !is_manifest(&manifest) {
            return Err(WriteError::Occupied { path: manifest, expected: "the manifest of an earlier set" });
        }
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| WriteError::File { path, source }
        };
        drop(ArchiveWriter::create(set).map_err(failed(set))?);
        drop(Partial::file(&manifest).map_err(failed(&manifest))?);
        Ok(Self { set: set.to_owned(), manifest, pictures: pictures.map(Path::to_owned) })
    }

    /// The archive.
    pub fn set(&self) -> &Path {
        &self.set
    }

    /// The manifest.
    pub fn manifest(&self) -> &Path {
        &self.manifest
    }

    /// The folder of pictures.
    pub fn pictures(&self) -> Option<&Path> {
        self.pictures.as_deref()
    }
}

/// Nothing is there, or an empty folder, or one of nothing but an earlier set's pictures.
pub(super) fn unless_occupied(folder: &Path) -> Result<(), WriteError> {
    let failed = |source| WriteError::File { path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed)?,
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if !is_picture(&entry.file_name()) {
            let expected = "a new folder, or one of nothing but an earlier set's pictures";
            return Err(WriteError::Occupied { path: entry.path(), expected });
        }
    }
    Ok(())
}

fn is_picture(name: &OsStr) -> bool {
    let number = name.to_str().and_then(|name| name.strip_suffix(".png"));
    number.is_some_and(|number| number.len() >= 6 && number.bytes().all(|digit| digit.is_ascii_digit()))
}

fn is_manifest(path: &Path) -> bool {
    /// What no other file of this project has side by side.
    #[derive(Deserialize)]
    struct Keys {
        #[serde(rename = "surrogate")]
        _surrogate: IgnoredAny,
        #[serde(rename = "images")]
        _images: Vec<IgnoredAny>,
    }
    path.is_file() && fs::read(path).is_ok_and(|text| serde_json::from_slice::<Keys>(&text).is_ok())
}
