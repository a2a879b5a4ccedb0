//! The header of numpy's `.npy` format, versions 1 to 3.
//!
//! Source: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use std::io::{self, Read, Write};

use crate::DType;

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// numpy itself refuses longer headers, because they may hang its parser.
const LONGEST_HEADER: u32 = 10_000;

/// Element type and shape of an array in C order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Byte order, kind and size: `|u1`, `<f4`, `<i8`.
    pub descr: String,
    /// Extents.
    pub shape: Vec<usize>,
}

/// numpy's name of a type. numpy has no brain floats: they are two bytes of nothing in particular.
pub(super) const fn descr(dtype: DType) -> &'static str {
    match dtype {
        DType::Float32 => "<f4",
        DType::Float16 => "<f2",
        DType::Float64 => "<f8",
        DType::BFloat16 => "|V2",
        DType::Uint8 => "|u1",
        DType::Int8 => "|i1",
        DType::Int16 => "<i2",
        DType::Uint16 => "<u2",
        DType::Int32 => "<i4",
        DType::Uint32 => "<u4",
        DType::Int64 => "<i8",
        DType::Uint64 => "<u8",
        DType::Bool => "|b1",
    }
}

/// An array of the wrong form.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NpyError {
    /// The data ends early or fails its checksum.
    #[error("its data cannot be read")]
    Read(#[source] io::Error),
    /// Not an array at all.
    #[error("it does not begin like an npy array of format version 1, 2 or 3")]
    Magic,
    /// A header longer than any that numpy reads.
    #[error("its header has {found} bytes, expected at most {LONGEST_HEADER}")]
    HeaderLength {
        /// Bytes.
        found: u32,
    },
    /// A header of another form.
    #[error("its header is {found:?}, expected a dictionary of descr, fortran_order and shape")]
    Header {
        /// The header.
        found: String,
    },
    /// Columns first.
    #[error("it is in Fortran order, expected C order")]
    Fortran,
    /// Elements of another type.
    #[error("its elements are \"{found}\", expected {expected}")]
    Type {
        /// What would fit.
        expected: &'static str,
        /// numpy's name of the type.
        found: String,
    },
    /// Another number of axes, or an axis without extent.
    #[error("its shape is {found:?}, expected {expected}")]
    Shape {
        /// What would fit.
        expected: &'static str,
        /// Extents.
        found: Vec<usize>,
    },
    /// Other extents than those that are known to be right.
    #[error("its shape is {found:?}, expected {expected:?}")]
    Extents {
        /// What would fit.
        expected: Vec<usize>,
        /// Extents.
        found: Vec<usize>,
    },
    /// More or fewer bytes than the shape needs.
    #[error("it has {found} bytes, its header and shape {shape:?} need {expected}")]
    Length {
        /// Extents.
        shape: Vec<usize>,
        /// Bytes of header and elements.
        expected: u64,
        /// Bytes that the archive declares.
        found: u64,
    },
    /// More bytes than can come out of the archive.
    #[error("it declares {declared} bytes, which {compressed} compressed bytes cannot hold")]
    Bomb {
        /// Bytes declared.
        declared: u64,
        /// Bytes in the archive.
        compressed: u64,
    },
    /// More than fits in memory.
    #[error("its shape {found:?} does not fit in memory")]
    Memory {
        /// Extents.
        found: Vec<usize>,
    },
}

impl Header {
    /// Reads a header and how many bytes it took, leaving `from` at the first element.
    pub fn read(from: &mut impl Read) -> Result<(Self, u64), NpyError> {
        let mut start = [0; 8];
        from.read_exact(&mut start).map_err(NpyError::Read)?;
        let version = start[6];
        if !start.starts_with(MAGIC) || !(1..=3).contains(&version) {
            return Err(NpyError::Magic);
        }
        let mut length = [0; 4];
        let width = if version == 1 { 2 } else { 4 };
        from.read_exact(&mut length[..width]).map_err(NpyError::Read)?;
        let length = u32::from_le_bytes(length);
        if length > LONGEST_HEADER {
            return Err(NpyError::HeaderLength { found: length });
        }
        let mut text = vec![0; length as usize];
        from.read_exact(&mut text).map_err(NpyError::Read)?;
        let header = match Dictionary(&text).header() {
            Some(header) => header?,
            None => return Err(NpyError::Header { found: String::from_utf8_lossy(&text).trim().to_owned() }),
        };
        Ok((header, (start.len() + width) as u64 + u64::from(length)))
    }

    /// Writes the header as numpy does: version 1, elements aligned to 64 bytes.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let extents = match self.shape.as_slice() {
            [only] => format!("{only},"),
            several => several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        let text = format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({extents}), }}", self.descr);
        let unpadded = MAGIC.len() + 4 + text.len() + 1;
        let padding = unpadded.next_multiple_of(64) - unpadded;
        to.write_all(MAGIC)?;
        to.write_all(&[1, 0])?;
        to.write_all(&((text.len() + padding + 1) as u16).to_le_bytes())?;
        writeln!(to, "{text}{:padding$}", "")
    }
}

/// The rest of a Python dictionary literal.
struct Dictionary<'a>(&'a [u8]);

impl Dictionary<'_> {
    /// `None` where the text is not such a dictionary.
    fn header(mut self) -> Option<Result<Header, NpyError>> {
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        self.take(b"{")?;
        while self.take(b"}").is_none() {
            let key = self.string()?;
            self.take(b":")?;
            match key.as_str() {
                "descr" => descr = Some(self.string()?),
                "fortran_order" => fortran = Some(self.truth()?),
                "shape" => shape = Some(self.extents()?),
                _ => return None,
            }
            if self.take(b",").is_none() {
                self.take(b"}")?;
                break;
            }
        }
        let (descr, shape) = (descr?, shape?);
        let c_order = !fortran? && self.0.trim_ascii().is_empty();
        if !self.0.trim_ascii().is_empty() {
            return None;
        }
        Some(if c_order { Ok(Header { descr, shape }) } else { Err(NpyError::Fortran) })
    }

    fn take(&mut self, token: &[u8]) -> Option<()> {
        self.0 = self.0.trim_ascii_start().strip_prefix(token)?;
        Some(())
    }

    fn string(&mut self) -> Option<String> {
        let (&quote, rest) = self.0.trim_ascii_start().split_first()?;
        if !matches!(quote, b'\'' | b'"') {
            return None;
        }
        let end = rest.iter().position(|byte| *byte == quote)?;
        let text = std::str::from_utf8(&rest[..end]).ok()?.to_owned();
        self.0 = &rest[end + 1..];
        Some(text)
    }

    fn truth(&mut self) -> Option<bool> {
        self.take(b"True").map(|()| true).or_else(|| self.take(b"False").map(|()| false))
    }

    fn extents(&mut self) -> Option<Vec<usize>> {
        let mut extents = Vec::new();
        self.take(b"(")?;
        while self.take(b")").is_none() {
            let text = self.0.trim_ascii_start();
            let (digits, rest) = text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count());
            extents.push(std::str::from_utf8(digits).ok()?.parse().ok()?);
            self.0 = rest;
            if self.take(b",").is_none() {
                self.take(b")")?;
                break;
            }
        }
        Some(extents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Header, NpyError> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.as_bytes());
        Header::read(&mut bytes.as_slice()).map(|(header, _)| header)
    }

    #[test]
    fn headers_are_read_as_numpy_writes_them() {
        let header = |descr: &str, shape: &[usize]| Header { descr: descr.to_owned(), shape: shape.to_vec() };
        let found =
            read("{'descr': '|u1', 'fortran_order': False, 'shape': (10, 3, 32, 32), }    \n").unwrap();
        assert_eq!(found, header("|u1", &[10, 3, 32, 32]));
        assert_eq!(
            read("{'shape':(5,),\"fortran_order\":False,'descr':'<i8'}").unwrap(),
            header("<i8", &[5])
        );
        assert_eq!(
            read("{'descr': '<f4', 'fortran_order': False, 'shape': ()}").unwrap(),
            header("<f4", &[])
        );
    }

    #[test]
    fn written_headers_are_read_back_and_align_the_elements() {
        for shape in [vec![], vec![7], vec![1017, 3, 32, 32], vec![usize::MAX; 4]] {
            let header = Header { descr: "<f4".to_owned(), shape };
            let mut bytes = Vec::new();
            header.write(&mut bytes).unwrap();
            let (found, length) = Header::read(&mut bytes.as_slice()).unwrap();
            assert_eq!((found, length), (header, bytes.len() as u64));
            assert_eq!(bytes.len() % 64, 0);
        }
    }

    #[test]
    fn headers_of_another_form_are_refused_by_name() {
        let message = |text: &str| read(text).unwrap_err().to_string();
        assert_eq!(
            message("{'descr': '<f4', 'fortran_order': True, 'shape': (1,)}"),
            "it is in Fortran order, expected C order"
        );
        for text in [
            "",
            "{",
            "{'descr': '<f4'}",
            "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} {}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        ] {
            assert!(matches!(read(text), Err(NpyError::Header { .. })), "{text}");
        }
        assert!(matches!(Header::read(&mut b"\x93NUMPX\x01\0\0\0".as_slice()), Err(NpyError::Magic)));
        let long = b"\x93NUMPY\x02\0\xff\xff\xff\xff".as_slice();
        assert!(matches!(Header::read(&mut { long }), Err(NpyError::HeaderLength { found: u32::MAX })));
    }
}
