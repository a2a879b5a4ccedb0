//! `.npz` archives in the making: named arrays, one after the other.
//!
//! Nothing is compressed, and the same arrays give the same bytes. The file appears when it is complete.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::npy::{self, Header};
use super::picture::for_le_bytes;
use crate::DType;
use crate::partial::Partial;

/// An archive under construction; dropped unfinished, it vanishes.
pub struct ArchiveWriter {
    zip: ZipWriter<Medium>,
    partial: Partial,
    path: PathBuf,
}

impl ArchiveWriter {
    /// Starts what will be the archive at `path`.
    ///
    /// # Errors
    /// When the folder cannot be written, or something that is no file is at `path`.
    pub fn create(path: &Path) -> io::Result<Self> {
        // The finished file is renamed into place, which would put it where a device or pipe was.
        if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let (partial, file) = Partial::file(path)?;
        let zip = ZipWriter::new(Medium::new(file));
        Ok(Self { zip, partial, path: path.to_owned() })
    }

    /// Begins an array of `shape` whose elements, `size` bytes each, are of numpy's type `descr`; its bytes follow.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn array(&mut self, name: &str, descr: &str, shape: Vec<usize>, size: u64) -> io::Result<()> {
        let bytes = shape.iter().fold(size, |bytes, extent| bytes.saturating_mul(*extent as u64));
        // Archives get no time stamp of their own, so that the same images give the same bytes.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(zip::DateTime::DEFAULT)
            .large_file(bytes > 1 << 31);
        self.zip.start_file(format!("{name}.npy"), options).map_err(plain)?;
        Header { descr: descr.to_owned(), shape }.write(&mut self.zip)
    }

    /// Adds elements to the array begun last.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn bytes(&mut self, elements: &[u8]) -> io::Result<()> {
        self.zip.write_all(elements)
    }

    /// Adds elements to the array begun last.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn floats(&mut self, elements: &[f32]) -> io::Result<()> {
        let mut written = Ok(());
        for_le_bytes(elements, |bytes| {
            if written.is_ok() {
                written = self.zip.write_all(bytes);
            }
        });
        written
    }

    /// Writes a whole array of int64, shape `[numbers]`.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn integers(&mut self, name: &str, numbers: impl ExactSizeIterator<Item = i64>) -> io::Result<()> {
        self.array(name, "<i8", vec![numbers.len()], 8)?;
        for number in numbers {
            self.zip.write_all(&number.to_le_bytes())?;
        }
        Ok(())
    }

    /// Writes a whole array of `dtype` and `shape`; its elements are little-endian.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn elements(
        &mut self,
        name: &str,
        dtype: DType,
        shape: Vec<usize>,
        elements: &[u8],
    ) -> io::Result<()> {
        self.array(name, npy::descr(dtype), shape, dtype.size() as u64)?;
        self.bytes(elements)
    }

    /// Lets the archive appear under its name.
    ///
    /// # Errors
    /// When the disk is full or the name cannot be taken.
    pub fn finish(self) -> io::Result<()> {
        let mut medium = self.zip.finish().map_err(plain)?;
        medium.flush()?;
        medium.file.get_ref().sync_all()?;
        self.partial.publish(&self.path)
    }
}

/// The error beneath, which an archive's error would tell twice.
fn plain(error: ZipError) -> io::Error {
    match error {
        ZipError::Io(error) => error,
        other => other.into(),
    }
}

/// A file that fails once and then takes everything: a [`ZipWriter`] completes its archive when it is dropped, and prints
/// to stderr that it cannot.
struct Medium {
    file: BufWriter<File>,
    failed: bool,
    /// Where the next byte goes, and how many there are, whether the file took them or not.
    position: u64,
    length: u64,
}

impl Medium {
    fn new(file: File) -> Self {
        let file = BufWriter::with_capacity(1 << 18, file);
        Self { file, failed: false, position: 0, length: 0 }
    }

    /// What `act` makes of the file, or `otherwise` once it has failed.
    fn once<T>(
        &mut self,
        otherwise: T,
        act: impl FnOnce(&mut BufWriter<File>) -> io::Result<T>,
    ) -> io::Result<T> {
        if self.failed {
            return Ok(otherwise);
        }
        act(&mut self.file).inspect_err(|_| self.failed = true)
    }
}

impl Write for Medium {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.once(bytes.len(), |file| file.write(bytes))?;
        self.position += taken as u64;
        self.length = self.length.max(self.position);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.once((), BufWriter::flush)
    }
}

impl Seek for Medium {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(start) => start,
            SeekFrom::Current(by) => self.position.saturating_add_signed(by),
            SeekFrom::End(by) => self.length.saturating_add_signed(by),
        };
        self.position = self.once(target, |file| file.seek(to))?;
        Ok(self.position)
    }
}
