//! A bundle on disk: the manifest, and files whose digests were checked.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::{Manifest, ManifestError, Sha256, Tail, TailError, regular};

/// Name of the manifest inside a bundle.
pub const MANIFEST: &str = "manifest.json";

/// A bundle whose manifest holds together.
#[derive(Clone, Debug)]
pub struct Bundle {
    dir: PathBuf,
    manifest: Manifest,
    identity: Sha256,
}

/// A bundle that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder is not a bundle.
    #[error("{} is not a bundle: it has no {MANIFEST}", dir.display())]
    NoManifest {
        /// The folder.
        dir: PathBuf,
    },
    /// The manifest does not hold together.
    #[error("{}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What does not hold.
        source: ManifestError,
    },
    /// The manifest lists tails that are none.
    #[error("{}", path.display())]
    Tail {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with them.
        source: TailError,
    },
    /// A link leads out of the bundle.
    #[error("{} is a link to {}, which does not lie inside the bundle", path.display(), target.display())]
    Outside {
        /// The file.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// A file is not the one that was written.
    #[error("{} was changed: its SHA-256 is {found}, the manifest expects {expected}", path.display())]
    Tampered {
        /// The file.
        path: PathBuf,
        /// The manifest's digest.
        expected: Sha256,
        /// The file's digest.
        found: Sha256,
    },
}

impl Bundle {
    /// Reads the manifest in `dir`. Files are checked by [`Bundle::check`].
    ///
    /// # Errors
    /// `NoManifest`, `Read` or `Manifest`.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, BundleError> {
        let dir = dir.into();
        let path = dir.join(MANIFEST);
        let text = match regular::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && dir.is_dir() => {
                return Err(BundleError::NoManifest { dir });
            }
            Err(source) => return Err(BundleError::Read { path, source }),
        };
        let manifest = Manifest::from_json(&text).map_err(|source| BundleError::Manifest { path, source })?;
        let identity = manifest.identity();
        Ok(Self { dir, manifest, identity })
    }

    /// Compares every file with its digest.
    ///
    /// # Errors
    /// `Read` for a file that is missing or not a regular one, `Outside` for a link out of the bundle, `Tampered` for a file that differs.
    pub fn check(&self) -> Result<(), BundleError> {
        let segments = self.manifest.segments.iter().map(|segment| (segment.file.as_str(), segment.sha256));
        let data = self.manifest.segments.iter().filter_map(|segment| segment.data.as_ref());
        let data = data.map(|data| (data.file.as_str(), data.sha256));
        let extras = self.manifest.extras.iter().map(|extra| (extra.file.as_str(), extra.sha256));
        self.compare(segments.chain(data).chain(extras))
    }

    /// Every file that the manifest names, relative to the folder, each once.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let segments = self.manifest.segments.iter();
        let segments = segments.flat_map(|segment| {
            let data = segment.data.iter().map(|data| data.file.as_str());
            std::iter::once(segment.file.as_str()).chain(data)
        });
        let files: BTreeSet<&str> =
            segments.chain(self.manifest.extras.iter().map(|extra| extra.file.as_str())).collect();
        files.into_iter()
    }

    /// The bundle's tails, all of whose files are compared with their digests; no other file is looked at.
    ///
    /// # Errors
    /// `Tail` for extras that do not make tails, else as [`Bundle::check`].
    pub fn tails(&self) -> Result<Vec<Tail>, BundleError> {
        let refused = |source| BundleError::Tail { path: self.dir.join(MANIFEST), source };
        let tails = self.manifest.tails().map_err(refused)?;
        self.compare(tails.iter().flat_map(Tail::files))?;
        Ok(tails)
    }

    fn compare<'f>(&self, files: impl Iterator<Item = (&'f str, Sha256)>) -> Result<(), BundleError> {
        let read = |path: &Path, source| BundleError::Read { path: path.to_owned(), source };
        let root = self.dir.canonicalize().map_err(|source| read(&self.dir, source))?;
        for (file, expected) in files {
            let path = self.dir.join(file);
            let target = path.canonicalize().map_err(|source| read(&path, source))?;
            if !target.starts_with(&root) {
                return Err(BundleError::Outside { path, target });
            }
            let found = Sha256::of_file(&path).map_err(|source| read(&path, source))?;
            if found != expected {
                return Err(BundleError::Tampered { path, expected, found });
            }
        }
        Ok(())
    }

    /// The bundle's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the bundle says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// [`Manifest::identity`], computed once.
    pub fn identity(&self) -> Sha256 {
        self.identity
    }

    /// Path of a segment's ONNX file.
    pub fn segment_path(&self, segment: usize) -> Option<PathBuf> {
        self.manifest.segments.get(segment).map(|segment| self.dir.join(&segment.file))
    }
}
