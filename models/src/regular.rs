//! Files whose reading ends: a pipe waits for its writer, a device may have no end.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

/// Opens a regular file, or a link to one.
///
/// # Errors
/// `InvalidInput`, "not a regular file", for a folder, pipe, socket or device; else what the system says.
pub fn open(path: &Path) -> io::Result<File> {
    // Asked before opening: opening a pipe would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    File::open(path)
}

/// What a regular file holds.
///
/// # Errors
/// As [`open`], and when it cannot be read.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What a regular file holds, as UTF-8.
///
/// # Errors
/// As [`read`]; `InvalidData` for other text.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    io::read_to_string(open(path)?)
}
