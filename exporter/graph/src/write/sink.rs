//! A file that is hashed while it is written.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use offramp_models::Sha256;
use offramp_models::digest::Hasher;

use crate::error::WriteError;

/// Bytes hashed and written at a time: what was hashed is still in the cache when it is written.
const PIECE: usize = 256 << 10;

pub(super) struct FileSink {
    path: PathBuf,
    file: BufWriter<File>,
    hasher: Hasher,
    bytes: u64,
}

impl FileSink {
    pub(super) fn create(path: &Path) -> Result<Self, WriteError> {
        match File::create(path) {
            Ok(file) => Ok(Self {
                path: path.into(),
                file: BufWriter::with_capacity(PIECE, file),
                hasher: Hasher::default(),
                bytes: 0,
            }),
            Err(source) => Err(WriteError::Io { path: path.into(), source }),
        }
    }

    /// The error of a write that failed with `source`.
    pub(super) fn failed(&self, source: io::Error) -> WriteError {
        WriteError::Io { path: self.path.clone(), source }
    }

    /// Digest and length of the finished file.
    pub(super) fn finish(mut self) -> Result<(Sha256, u64), WriteError> {
        self.file.flush().map_err(|source| self.failed(source))?;
        Ok((self.hasher.finish(), self.bytes))
    }
}

impl Write for FileSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = bytes.get(..PIECE).unwrap_or(bytes);
        self.file.write_all(piece)?;
        self.hasher.write_all(piece)?;
        self.bytes += piece.len() as u64;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
