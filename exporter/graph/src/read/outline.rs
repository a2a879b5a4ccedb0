//! The outermost fields of a file: is it ONNX, and is all of it there?

use crate::error::{Foreign, ModelError};

/// Number and wire type of the fields of `ModelProto`.
const FIELDS: [(u64, u64); 12] = [
    (1, VARINT),
    (2, LENGTH),
    (3, LENGTH),
    (4, LENGTH),
    (5, VARINT),
    (6, LENGTH),
    (7, LENGTH),
    (8, LENGTH),
    (14, LENGTH),
    (20, LENGTH),
    (25, LENGTH),
    (26, LENGTH),
];
const GRAPH: u64 = 7;
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED32: u64 = 5;

/// Passes bytes whose outermost fields are those of a model with a graph.
pub(super) fn check(bytes: &[u8]) -> Result<(), ModelError> {
    let found = bytes.len() as u64;
    match walk(bytes) {
        Outline::Model { graph: true } => Ok(()),
        outline => Err(match (by_magic(bytes), outline) {
            (Some(found), _) => ModelError::NotOnnx { found },
            (None, Outline::Model { .. }) => ModelError::NoGraph,
            (None, Outline::Truncated { expected }) => ModelError::Truncated { expected, found },
            (None, Outline::Foreign) => ModelError::NotOnnx { found: by_look(bytes) },
        }),
    }
}

enum Outline {
    Model { graph: bool },
    Truncated { expected: u64 },
    Foreign,
}

fn walk(bytes: &[u8]) -> Outline {
    let (mut rest, mut graph, mut known) = (bytes, false, false);
    while !rest.is_empty() {
        let at = (bytes.len() - rest.len()) as u64;
        let cut = |expected| if known { Outline::Truncated { expected } } else { Outline::Foreign };
        let Some(key) = varint(&mut rest) else { return cut(at + 2) };
        let (number, wire) = (key >> 3, key & 7);
        match FIELDS.iter().find(|field| field.0 == number) {
            Some(field) if field.1 != wire => return Outline::Foreign,
            Some(_) => known = true,
            None if number == 0 => return Outline::Foreign,
            None => {}
        }
        let cut = |expected| if known { Outline::Truncated { expected } } else { Outline::Foreign };
        let length = match wire {
            VARINT => varint(&mut rest).map(|_| 0),
            FIXED64 => Some(8),
            LENGTH => varint(&mut rest),
            FIXED32 => Some(4),
            _ => return Outline::Foreign,
        };
        let at = (bytes.len() - rest.len()) as u64;
        let Some(length) = length else { return cut(at + 1) };
        let skipped = usize::try_from(length).ok().and_then(|length| rest.get(length..));
        let Some(after) = skipped else { return cut(at.saturating_add(length)) };
        rest = after;
        graph |= number == GRAPH;
    }
    if known { Outline::Model { graph } } else { Outline::Foreign }
}

/// Takes a varint off the front of `bytes`; `None` when they end too early or it is longer than ten bytes.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn by_magic(bytes: &[u8]) -> Option<Foreign> {
    let at_four = bytes.get(4..8);
    Some(match bytes {
        [] => Foreign::Empty,
        [b'P', b'K', 3 | 5, 4 | 6, ..] => Foreign::Zip,
        [0x80, 2..=5, ..] => Foreign::Pickle,
        [0x89, b'H', b'D', b'F', ..] => Foreign::Hdf5,
        [b'G', b'G', b'U', b'F', ..] => Foreign::Gguf,
        _ if bytes.starts_with(b"version https://git-lfs") => Foreign::LfsPointer,
        [_, _, _, _, _, _, 0, 0, b'{', ..] => Foreign::Safetensors,
        _ if at_four == Some(b"TFL3") => Foreign::TfLite,
        _ if at_four == Some(b"ORTM") => Foreign::OrtFormat,
        _ => return None,
    })
}

fn by_look(bytes: &[u8]) -> Foreign {
    let start = bytes.get(..64).unwrap_or(bytes);
    if start.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) {
        return Foreign::Text;
    }
    let mut first = [0; 4];
    for (to, from) in first.iter_mut().zip(bytes) {
        *to = *from;
    }
    Foreign::Bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: &[u8]) -> String {
        check(bytes).unwrap_err().to_string()
    }

    #[test]
    fn other_formats_are_called_by_name() {
        assert_eq!(message(b""), "expected an ONNX model, found an empty file");
        assert!(message(b"PK\x03\x04\x00\x00").contains("zip archive, as PyTorch"));
        assert!(message(b"\x80\x02\x8a\x0a").contains("pickle"));
        assert!(message(b"\x89HDF\r\n\x1a\n").contains("HDF5"));
        assert!(message(b"\x1c\0\0\0TFL3\0").contains("TensorFlow Lite"));
        assert!(message(b"\x20\0\0\0ORTM\0").contains(".ort"));
        assert!(message(b"\x10\x01\0\0\0\0\0\0{\"w\":").contains("safetensors"));
        assert!(message(b"version https://git-lfs.github.com/spec/v1\n").contains("Git LFS"));
        assert!(message(b"<!DOCTYPE html>").ends_with("found text"));
        assert!(message(b"\x7fELF\x02").ends_with("starts with bytes 7f 45 4c 46"));
    }

    #[test]
    fn a_field_that_ends_after_the_file_is_truncation() {
        let model = b"\x08\x08\x3a\x64\x0a\x10";
        assert_eq!(
            message(model),
            "truncated: the model goes on to byte 104 at least, the file ends at byte 6"
        );
        assert_eq!(message(b"\x08\x08"), "the model has no graph");
    }
}
