//! Small files in folders, as the kernel lays them out.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Files that say more than this say nothing that is looked for.
const LONGEST: u64 = 4096;

/// Opens a file, and nothing else: a pipe that lies in a copy of the kernel's folders would be waited for.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    if fs::metadata(path)?.is_file() {
        return File::open(path);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
}

/// The first line of a file without the space around it; `None` when it cannot be read or is empty.
pub(crate) fn text(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    open(path).ok()?.take(LONGEST).read_to_end(&mut bytes).ok()?;
    // A device tree ends its strings with a zero.
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().next()?.trim_matches(|c: char| c == '\0' || c.is_whitespace());
    (!line.is_empty()).then(|| line.to_owned())
}

/// The number at the start of a file.
pub(crate) fn number<T: std::str::FromStr>(path: &Path) -> Option<T> {
    text(path)?.split_whitespace().next()?.parse().ok()
}

/// What lies in `folder`, in the order of names with numbers in their own order; nothing when it cannot be read.
pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = listed.map(|entry| entry.path()).collect();
    paths.sort_by_cached_key(|path| {
        let name = name(path);
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let number = name[stem.len()..].parse::<u64>().unwrap_or(0);
        (stem.to_owned(), number, name.clone())
    });
    paths
}

/// The last part of a path.
pub(crate) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The number between `before` and `after` of a file's name: `power3_input` has 3 between `power` and `_input`.
pub(crate) fn index(name: &str, before: &str, after: &str) -> Option<u32> {
    let digits = name.strip_prefix(before)?.strip_suffix(after)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// The indices of the files `before<i>after` in `folder`, rising.
pub(crate) fn indices(folder: &Path, before: &str, after: &str) -> Vec<u32> {
    let mut found: Vec<_> =
        entries(folder).iter().filter_map(|path| index(&name(path), before, after)).collect();
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_of_whole_names() {
        assert_eq!(index("in10_input", "in", "_input"), Some(10));
        for other in ["min1_input", "in1_input_x", "in_input", "inx_input", "in+1_input"] {
            assert_eq!(index(other, "in", "_input"), None, "{other}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_not_waited_for() {
        // It would be read for ever, as a pipe would be waited for.
        let endless = Path::new("/dev/zero");
        assert_eq!((text(endless), open(endless).unwrap_err().kind()), (None, io::ErrorKind::InvalidInput));
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(text(folder.path()), None);
    }

    #[test]
    fn folders_come_in_the_order_of_their_numbers() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["hwmon10", "hwmon2", "hwmon0"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let names: Vec<_> = entries(folder.path()).iter().map(|path| name(path)).collect();
        assert_eq!(names, ["hwmon0", "hwmon2", "hwmon10"]);
    }
}
