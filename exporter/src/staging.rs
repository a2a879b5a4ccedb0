//! A folder that appears whole or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use offramp_graph::WriteError;
use offramp_models::Bundle;
use offramp_models::partial::Partial;

use crate::ExportError;

/// A folder under construction beside the place where it will appear; dropped unfinished, it vanishes.
pub struct Staging {
    folder: Partial,
    target: PathBuf,
}

/// What a folder is, as far as it may be replaced by another of its kind.
pub struct Kind {
    /// What errors call it: `a bundle`.
    pub name: &'static str,
    /// Whether the folder, which holds entries of these names, is one and nothing else; anything else in it is
    /// somebody's work.
    pub is: fn(&Path, &[String]) -> bool,
}

/// A bundle.
pub const BUNDLE: Kind = Kind {
    name: "a bundle",
    is: |folder, names| {
        Bundle::open(folder).is_ok() && names.iter().all(|name| PARTS.iter().any(|part| name == part))
    },
};

/// What a bundle may hold.
const PARTS: [&str; 7] = ["manifest.json", "segments", "tails", "wire", "gradient", "policies", ".prepared"];

impl Staging {
    /// Starts building what will be `target`. What is there is replaced at the end if `force` is set and it is of this
    /// `kind`; any other folder with something in it never is.
    ///
    /// # Errors
    /// `Exists` for a target that may not be replaced, `NotAFolder` for a file, `Write` when the parent cannot be written.
    pub fn new(target: &Path, force: bool, kind: &Kind) -> Result<Self, ExportError> {
        refuse_existing(target, force, kind)?;
        let failed = |source| ExportError::Write { path: target.to_owned(), source };
        if let Some(parent) = target.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        let folder = Partial::folder(target).map_err(failed)?;
        Ok(Self { folder, target: target.to_owned() })
    }

    /// The folder to write into.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// An error in terms of the folder that was asked for: nobody has heard of the one under construction.
    pub fn tell(&self, error: ExportError) -> ExportError {
        let asked_for = |path: PathBuf| match path.strip_prefix(self.path()) {
            Ok(inside) => self.target.join(inside),
            Err(_) => path,
        };
        match error {
            ExportError::Write { path, source } => ExportError::Write { path: asked_for(path), source },
            ExportError::WriteModel(WriteError::Io { path, source }) => {
                ExportError::Write { path: asked_for(path), source }
            }
            other => other,
        }
    }

    /// Lets the folder appear under its name.
    ///
    /// # Errors
    /// `Write` when it cannot be renamed; the old folder, if any, is then back in its place.
    pub fn publish(self) -> Result<(), ExportError> {
        let Self { folder, target } = self;
        let failed = |source| ExportError::Write { path: target.clone(), source };
        folder.open_to_readers().map_err(failed)?;
        sync(folder.path()).map_err(failed)?;
        let appeared = if target.exists() { folder.replace(&target) } else { folder.publish(&target) };
        appeared.map_err(failed)
    }
}

fn refuse_existing(target: &Path, force: bool, kind: &Kind) -> Result<(), ExportError> {
    let entries = match fs::read_dir(target) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory && target.exists() => {
            return Err(ExportError::NotAFolder { path: target.to_owned() });
        }
        Err(source) => return Err(ExportError::Write { path: target.to_owned(), source }),
    };
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()));
    let names: Vec<String> = names.collect();
    let replaceable = !names.is_empty() && (kind.is)(target, &names);
    if names.is_empty() || (replaceable && force) {
        return Ok(());
    }
    Err(ExportError::Exists { path: target.to_owned(), kind: kind.name, replaceable })
}

fn sync(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync(&entry.path())?;
        } else {
            fs::File::open(entry.path())?.sync_all()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_folder_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        let staging = Staging::new(&home.path().join("bundle"), false, &BUNDLE).unwrap();
        fs::write(staging.path().join("half"), "x").unwrap();
        drop(staging);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_only_looks_like_a_bundle_is_never_replaced() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("bundle");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("manifest.json"), "{}").unwrap();
        let refused = Staging::new(&target, true, &BUNDLE).err();
        assert!(matches!(refused, Some(ExportError::Exists { replaceable: false, .. })));
    }

    #[test]
    fn errors_name_the_folder_that_was_asked_for() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("bundle");
        let staging = Staging::new(&target, false, &BUNDLE).unwrap();
        let inside = staging.path().join("segments/0.onnx");
        let source = || io::Error::from(io::ErrorKind::StorageFull);
        for error in [
            ExportError::Write { path: inside.clone(), source: source() },
            ExportError::WriteModel(WriteError::Io { path: inside, source: source() }),
        ] {
            let told = staging.tell(error).to_string();
            assert_eq!(told, format!("cannot write {}", target.join("segments/0.onnx").display()));
        }
    }

    #[test]
    fn a_file_in_the_way_is_told_as_one() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for force in [false, true] {
            let refused = Staging::new(file.path(), force, &BUNDLE).err().map(|error| error.to_string());
            let expected = format!("{} is a file, expected a folder to create", file.path().display());
            assert_eq!(refused, Some(expected));
        }
    }

    #[test]
    fn an_empty_folder_is_filled() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("bundle");
        fs::create_dir(&target).unwrap();
        let staging = Staging::new(&target, false, &BUNDLE).unwrap();
        fs::write(staging.path().join("new"), "x").unwrap();
        staging.publish().unwrap();
        assert!(target.join("new").is_file());
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }
}
