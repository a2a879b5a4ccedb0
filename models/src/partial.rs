//! What is under construction: files and folders that appear under their names whole or not at all.
//!
//! A [`Partial`] lies beside the place where it will appear, under a hidden name, and vanishes when it is dropped
//! unpublished. All of a process's partials are in one list, so that a process that is told to stop can remove them
//! ([`remove_all`]); this crate never listens to signals. What a process that was killed outright left behind is
//! removed when the same target is written next: an advisory lock tells whether a live process still holds it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Between the target's name and a number, in the name of what is under construction.
const PARTIAL: &str = "partial";

/// The same for what is being replaced, until its successor is in place.
const REPLACED: &str = "replaced";

/// Names tried before giving up: each is new to this process.
const TRIES: usize = 1000;

static UNDER_CONSTRUCTION: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

static NEXT: AtomicU64 = AtomicU64::new(0);

fn under_construction() -> MutexGuard<'static, Vec<PathBuf>> {
    UNDER_CONSTRUCTION.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file or folder under construction; dropped unpublished, it vanishes.
#[derive(Debug)]
pub struct Partial {
    path: PathBuf,
    /// Its lock keeps other processes from taking it for a leftover.
    _claim: Option<File>,
}

impl Partial {
    /// A new folder beside `target`, private to its owner. Leftovers for `target` that no live process holds are removed.
    ///
    /// # Errors
    /// When the folder of `target` cannot be written to, or `target` does not end in a name.
    pub fn folder(target: &Path) -> io::Result<Self> {
        let (partial, _) = Self::begin(target, |path| {
            let mut builder = DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(path)?;
            // Not every system opens folders; there nothing is taken for a leftover.
            Ok(File::open(path).ok())
        })?;
        Ok(partial)
    }

    /// A new file beside `target`, and its handle. Leftovers for `target` that no live process holds are removed.
    ///
    /// # Errors
    /// As [`Partial::folder`].
    pub fn file(target: &Path) -> io::Result<(Self, File)> {
        Self::begin(target, |path| OpenOptions::new().read(true).write(true).create_new(true).open(path))
    }

    fn begin<H: Handle>(target: &Path, create: impl Fn(&Path) -> io::Result<H>) -> io::Result<(Self, H)> {
        let name = Name::of(target)?;
        name.sweep();
        let mut list = under_construction();
        for _ in 0..TRIES {
            let path = name.fresh(PARTIAL);
            let handle = match create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                created => created?,
            };
            let claim = handle.duplicate();
            let claimed = claim.as_ref().map(File::try_lock);
            // Whoever sweeps may have met it between its creation and the lock.
            if matches!(claimed, Some(Err(TryLockError::WouldBlock))) || path.symlink_metadata().is_err() {
                continue;
            }
            list.push(path.clone());
            return Ok((Self { path, _claim: claim }, handle));
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Where it lies for now.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets others read a folder, which was its owner's alone while it was under construction.
    ///
    /// # Errors
    /// When its permissions cannot be set.
    pub fn open_to_readers(&self) -> io::Result<()> {
        #[cfg(unix)]
        fs::set_permissions(&self.path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        Ok(())
    }

    /// Lets it appear as `target`, on the same file system: in place of a file, an empty folder or nothing.
    ///
    /// # Errors
    /// When it cannot be renamed; then it vanishes and `target` is as it was.
    pub fn publish(self, target: &Path) -> io::Result<()> {
        let mut list = under_construction();
        fs::rename(&self.path, target)?;
        list.retain(|path| *path != self.path);
        Ok(())
    }

    /// Lets it appear in place of `target`, whatever that is, and removes that.
    ///
    /// # Errors
    /// When one of the two cannot be renamed; then it vanishes and `target` is as it was.
    pub fn replace(self, target: &Path) -> io::Result<()> {
        let aside = Name::of(target)?.fresh(REPLACED);
        // Held to the end of the function, so that no interruption comes between the renames.
        let mut list = under_construction();
        let _claim = claim(target);
        fs::rename(target, &aside)?;
        if let Err(error) = fs::rename(&self.path, target) {
            // The second rename failed for a reason of its own; its error is the one to tell.
            let _ = fs::rename(&aside, target);
            return Err(error);
        }
        list.retain(|path| *path != self.path);
        // What cannot be removed now is a leftover for the next writer.
        let _ = remove(&aside);
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let mut list = under_construction();
        if let Some(at) = list.iter().position(|path| *path == self.path) {
            list.swap_remove(at);
            let _ = remove(&self.path);
        }
    }
}

/// Writes `bytes` to the file at `path`, whole or not at all.
///
/// # Errors
/// When it cannot be written, or something that is no file is at `path`.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Renamed into place, it would take the place of a device or pipe.
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let (partial, mut file) = Partial::file(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    partial.publish(path)
}

/// While this is alive nothing can be begun, published or dropped: whoever tries waits.
#[must_use = "dropped, it lets writers go on"]
#[derive(Debug)]
pub struct Halt {
    _list: MutexGuard<'static, Vec<PathBuf>>,
}

/// Removes everything that is under construction in this process, which should end before it drops what it gets.
pub fn remove_all() -> Halt {
    let mut list = under_construction();
    for path in list.drain(..) {
        // Its writer may still be at it and refill a folder that is being emptied.
        for _ in 0..50 {
            match remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                _ => break,
            }
        }
    }
    Halt { _list: list }
}

/// A handle on what was created, to hold a lock on.
trait Handle {
    fn duplicate(&self) -> Option<File>;
}

impl Handle for File {
    fn duplicate(&self) -> Option<File> {
        self.try_clone().ok()
    }
}

impl Handle for Option<File> {
    fn duplicate(&self) -> Option<File> {
        self.as_ref().and_then(Handle::duplicate)
    }
}

/// The name of a target, and of what lies beside it in its stead.
struct Name<'a> {
    target: &'a Path,
    folder: &'a Path,
    name: String,
}

impl<'a> Name<'a> {
    fn of(target: &'a Path) -> io::Result<Self> {
        let Some(name) = target.file_name() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "does not end in a name"));
        };
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = parent.unwrap_or(Path::new("."));
        Ok(Self { target, folder, name: name.to_string_lossy().into_owned() })
    }

    fn fresh(&self, kind: &str) -> PathBuf {
        let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        self.folder.join(format!(".{}.{kind}.{process}-{number}", self.name))
    }

    /// Whether `entry` is a name that [`Name::fresh`] gives.
    fn made(&self, kind: &str, entry: &str) -> bool {
        let rest = entry.strip_prefix(&format!(".{}.{kind}.", self.name));
        let number = |text: &str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
        rest.and_then(|rest| rest.split_once('-')).is_some_and(|(a, b)| number(a) && number(b))
    }

    /// Removes leftovers of processes that are gone. What cannot be removed is no reason not to write.
    fn sweep(&self) {
        let Ok(entries) = fs::read_dir(self.folder) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            // Until the successor is in place, what was to be replaced is all there is.
            let replaced = || self.made(REPLACED, &name) && self.target.symlink_metadata().is_ok();
            let plain = |kind: fs::FileType| kind.is_file() || kind.is_dir();
            if (self.made(PARTIAL, &name) || replaced())
                && entry.file_type().is_ok_and(plain)
                && let Some(_claim) = claim(&entry.path())
            {
                let _ = remove(&entry.path());
            }
        }
    }
}

/// A lock on a file or folder that nobody else holds one on; `None` too where the file system knows no locks.
fn claim(path: &Path) -> Option<File> {
    let file = File::open(path).ok()?;
    file.try_lock().ok()?;
    Some(file)
}

fn remove(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_not_published_vanishes() {
        let home = tempfile::tempdir().unwrap();
        let folder = Partial::folder(&home.path().join("a")).unwrap();
        fs::write(folder.path().join("half"), "x").unwrap();
        let (file, mut handle) = Partial::file(&home.path().join("b")).unwrap();
        handle.write_all(b"half").unwrap();
        assert_eq!(names(home.path()).len(), 2);
        drop((folder, file));
        assert!(names(home.path()).is_empty());
    }

    #[test]
    fn what_is_published_is_whole_and_alone() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("a");
        let (file, mut handle) = Partial::file(&target).unwrap();
        handle.write_all(b"whole").unwrap();
        file.publish(&target).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"whole");
        let folder = Partial::folder(&target).unwrap();
        fs::write(folder.path().join("new"), "x").unwrap();
        folder.replace(&target).unwrap();
        assert!(target.join("new").is_file());
        assert_eq!(names(home.path()), ["a"]);
    }

    #[test]
    fn a_target_that_cannot_be_replaced_stays_as_it_was() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("a");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("old"), "x").unwrap();
        let folder = Partial::folder(&target).unwrap();
        fs::remove_dir(folder.path()).unwrap();
        folder.replace(&target).unwrap_err();
        assert!(target.join("old").is_file());
        assert_eq!(names(home.path()), ["a"]);
    }

    #[test]
    fn leftovers_of_the_dead_are_swept_and_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("a");
        let living = Partial::folder(&target).unwrap();
        for leftover in [".a.partial.1-0", ".a.replaced.1-1"] {
            fs::create_dir(home.path().join(leftover)).unwrap();
            fs::write(home.path().join(leftover).join("half"), "x").unwrap();
        }
        fs::write(home.path().join(".a.partial.1-2"), "x").unwrap();
        for foreign in [".a.partial.notes", ".b.partial.1-0", "a.partial.1-0", ".a.partial.1-"] {
            fs::write(home.path().join(foreign), "x").unwrap();
        }
        drop(Partial::file(&target).unwrap());
        let living_name = living.path().file_name().unwrap().to_str().unwrap();
        let foreign = [".a.partial.1-", ".a.partial.notes", ".b.partial.1-0", "a.partial.1-0"];
        let mut expected = vec![living_name, ".a.replaced.1-1"];
        expected.extend(foreign);
        expected.sort_unstable();
        assert_eq!(names(home.path()), expected, "what was to be replaced is kept while it is all there is");
        living.publish(&target).unwrap();
        drop(Partial::file(&target).unwrap());
        let mut expected = [&foreign[..], &["a"]].concat();
        expected.sort_unstable();
        assert_eq!(names(home.path()), expected);
    }
}
