//! numpy archives: images in `x`, labels in `y`.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use zip::ZipArchive;
use zip::result::ZipError;

use super::npy::{self, Header};
use super::{Chw, DataError, NpyError, Samples, Stack};
use crate::{DType, regular};

type Archive = ZipArchive<BufReader<File>>;

/// Deflate cannot make more than this of one byte.
const DEFLATE_RATIO: u64 = 1032;

/// The first `limit` images of the archive at `path`.
pub(super) fn open(path: &Path, limit: usize) -> Result<Stack, DataError> {
    let read = |source| DataError::Read { path: path.to_owned(), source };
    let refused = |source| DataError::Archive { path: path.to_owned(), source };
    let file = regular::open(path).map_err(read)?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(refused)?;
    let Some((images, shape, samples)) = array(&mut archive, path, "x", |array| array.images(limit))? else {
        return Err(DataError::NoArray { path: path.to_owned(), array: "x".to_owned() });
    };
    let labels = array(&mut archive, path, "y", |array| array.labels(limit))?;
    let name = path.display().to_string();
    if let Some((count, _)) = &labels
        && *count != images
    {
        return Err(DataError::Labels { what: name, images, labels: *count });
    }
    let label = |(image, found): (usize, i128)| {
        usize::try_from(found).map_err(|_| DataError::Label { image, found, classes: None })
    };
    let labels = labels.map(|(_, labels)| labels.into_iter().enumerate().map(label).collect()).transpose()?;
    Stack::new(name, shape, samples, labels)
}

/// Arrays of an archive that are no pictures, whole.
pub struct ArchiveReader {
    archive: Archive,
    path: PathBuf,
}

impl ArchiveReader {
    /// Opens the archive at `path`.
    ///
    /// # Errors
    /// `Read` or `Archive` names the file.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let file = regular::open(path).map_err(|source| DataError::Read { path: path.to_owned(), source })?;
        let archive = ZipArchive::new(BufReader::new(file))
            .map_err(|source| DataError::Archive { path: path.to_owned(), source })?;
        Ok(Self { archive, path: path.to_owned() })
    }

    /// Extents and elements of a float32 array.
    ///
    /// # Errors
    /// `NoArray`, or `Array` for another type or bytes that do not fit the shape.
    pub fn floats(&mut self, name: &str) -> Result<(Vec<usize>, Vec<f32>), DataError> {
        self.read(name, |array| array.floats())
    }

    /// Elements of an array of integers of one axis.
    ///
    /// # Errors
    /// As [`ArchiveReader::floats`].
    pub fn integers(&mut self, name: &str) -> Result<Vec<i128>, DataError> {
        self.read(name, |array| array.labels(usize::MAX).map(|(_, found)| found))
    }

    /// Little-endian elements of an array of just this type and shape.
    ///
    /// # Errors
    /// As [`ArchiveReader::floats`].
    pub fn elements(&mut self, name: &str, dtype: DType, shape: &[usize]) -> Result<Vec<u8>, DataError> {
        self.read(name, |array| array.of(dtype, shape))
    }

    fn read<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Array<'_>) -> Result<T, NpyError>,
    ) -> Result<T, DataError> {
        let found = array(&mut self.archive, &self.path, name, read)?;
        found.ok_or_else(|| DataError::NoArray { path: self.path.clone(), array: name.to_owned() })
    }
}

/// What `read` makes of an array, `None` where the archive has none of that name.
fn array<T>(
    archive: &mut Archive,
    path: &Path,
    name: &str,
    read: impl FnOnce(Array<'_>) -> Result<T, NpyError>,
) -> Result<Option<T>, DataError> {
    let mut entry = match archive.by_name(&format!("{name}.npy")) {
        Ok(entry) => entry,
        Err(ZipError::FileNotFound) => return Ok(None),
        Err(source) => return Err(DataError::Archive { path: path.to_owned(), source }),
    };
    let (declared, compressed) = (entry.size(), entry.compressed_size());
    let array = Array::begin(&mut entry, declared, compressed).and_then(read);
    let refused = |source| DataError::Array { path: path.to_owned(), array: name.to_owned(), source };
    array.map(Some).map_err(refused)
}

/// An array whose header was read.
struct Array<'a> {
    header: Header,
    header_bytes: u64,
    declared: u64,
    elements: &'a mut dyn Read,
}

impl<'a> Array<'a> {
    fn begin(elements: &'a mut impl Read, declared: u64, compressed: u64) -> Result<Self, NpyError> {
        if declared / DEFLATE_RATIO > compressed {
            return Err(NpyError::Bomb { declared, compressed });
        }
        let (header, header_bytes) = Header::read(elements)?;
        Ok(Self { header, header_bytes, declared, elements })
    }

    /// Number of images in the array; shape and samples of the first `limit`.
    fn images(self, limit: usize) -> Result<(usize, Chw, Samples), NpyError> {
        let expected = "uint8 or little-endian float32";
        let size = match self.header.descr.as_str() {
            "|u1" | "u1" => 1,
            "<f4" => 4,
            found => return Err(NpyError::Type { expected, found: found.to_owned() }),
        };
        let &[images, channels, height, width] = self.header.shape.as_slice() else {
            return Err(self.wrong_shape("N,C,H,W"));
        };
        if channels.min(height).min(width) == 0 {
            return Err(self.wrong_shape("N,C,H,W with C, H and W above 0"));
        }
        let shape = Chw { channels, height, width };
        self.check_length(size)?;
        let count = images.min(limit) * shape.samples();
        let samples = match size {
            1 => Samples::U8(self.bytes(count, images <= limit)?),
            _ => Samples::F32(self.elements(count, images <= limit, f32::from_le_bytes)?),
        };
        Ok((images, shape, samples))
    }

    /// Extents and all elements, float32.
    fn floats(self) -> Result<(Vec<usize>, Vec<f32>), NpyError> {
        if self.header.descr != "<f4" {
            let found = self.header.descr;
            return Err(NpyError::Type { expected: "little-endian float32", found });
        }
        self.check_length(4)?;
        let shape = self.header.shape.clone();
        let count = shape.iter().product();
        Ok((shape, self.elements(count, true, f32::from_le_bytes)?))
    }

    /// All elements, as they are stored, of an array that must be of this type and shape.
    fn of(self, dtype: DType, shape: &[usize]) -> Result<Vec<u8>, NpyError> {
        if self.header.descr != npy::descr(dtype) {
            return Err(NpyError::Type { expected: npy::descr(dtype), found: self.header.descr });
        }
        if self.header.shape != shape {
            return Err(NpyError::Extents { expected: shape.to_vec(), found: self.header.shape });
        }
        self.check_length(dtype.size() as u64)?;
        let count = shape.iter().product::<usize>() * dtype.size();
        self.bytes(count, true)
    }

    /// Number of labels in the array, and the first `limit`.
    fn labels(self, limit: usize) -> Result<(usize, Vec<i128>), NpyError> {
        let &[labels] = self.header.shape.as_slice() else {
            return Err(self.wrong_shape("N"));
        };
        let (count, whole) = (labels.min(limit), labels <= limit);
        let descr = self.header.descr.clone();
        match descr.trim_start_matches(['<', '|']) {
            "i1" => self.integers(count, whole, i8::from_le_bytes),
            "i2" => self.integers(count, whole, i16::from_le_bytes),
            "i4" => self.integers(count, whole, i32::from_le_bytes),
            "i8" => self.integers(count, whole, i64::from_le_bytes),
            "u1" => self.integers(count, whole, u8::from_le_bytes),
            "u2" => self.integers(count, whole, u16::from_le_bytes),
            "u4" => self.integers(count, whole, u32::from_le_bytes),
            "u8" => self.integers(count, whole, u64::from_le_bytes),
            _ => Err(NpyError::Type { expected: "little-endian integers", found: descr.clone() }),
        }
        .map(|found| (labels, found))
    }

    fn integers<const SIZE: usize, T: Into<i128>>(
        self,
        count: usize,
        whole: bool,
        decode: fn([u8; SIZE]) -> T,
    ) -> Result<Vec<i128>, NpyError> {
        self.check_length(SIZE as u64)?;
        self.elements(count, whole, |bytes| decode(bytes).into())
    }

    fn wrong_shape(&self, expected: &'static str) -> NpyError {
        NpyError::Shape { expected, found: self.header.shape.clone() }
    }

    fn check_length(&self, size: u64) -> Result<(), NpyError> {
        let shape = &self.header.shape;
        let elements = shape.iter().try_fold(size, |bytes, extent| bytes.checked_mul(*extent as u64));
        let Some(expected) = elements.and_then(|bytes| bytes.checked_add(self.header_bytes)) else {
            return Err(NpyError::Memory { found: shape.clone() });
        };
        if expected != self.declared {
            return Err(NpyError::Length { shape: shape.clone(), expected, found: self.declared });
        }
        Ok(())
    }

    fn bytes(self, count: usize, whole: bool) -> Result<Vec<u8>, NpyError> {
        let mut bytes = Vec::new();
        if bytes.try_reserve_exact(count).is_err() {
            return Err(NpyError::Memory { found: self.header.shape });
        }
        self.elements.take(count as u64).read_to_end(&mut bytes).map_err(NpyError::Read)?;
        if bytes.len() < count {
            return Err(NpyError::Read(std::io::ErrorKind::UnexpectedEof.into()));
        }
        finish(self.elements, whole)?;
        Ok(bytes)
    }

    fn elements<const SIZE: usize, T>(
        self,
        count: usize,
        whole: bool,
        decode: impl Fn([u8; SIZE]) -> T,
    ) -> Result<Vec<T>, NpyError> {
        let mut elements = Vec::new();
        if elements.try_reserve_exact(count).is_err() {
            return Err(NpyError::Memory { found: self.header.shape });
        }
        let mut piece = [0; 1 << 13];
        while elements.len() < count {
            let wanted = (count - elements.len()).min(piece.len() / SIZE) * SIZE;
            self.elements.read_exact(&mut piece[..wanted]).map_err(NpyError::Read)?;
            elements.extend(piece[..wanted].as_chunks().0.iter().map(|bytes| decode(*bytes)));
        }
        finish(self.elements, whole)?;
        Ok(elements)
    }
}

/// Reads to the end of a whole array: only there its checksum is compared.
fn finish(elements: &mut dyn Read, whole: bool) -> Result<(), NpyError> {
    if whole {
        elements.read(&mut [0]).map_err(NpyError::Read)?;
    }
    Ok(())
}
