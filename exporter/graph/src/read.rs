//! From ONNX files to [`Model`]s, without trust.
//!
//! A file is mapped, not copied: constants are slices of the map. Typed fields become raw little-endian bytes,
//! nodes are put into topological order, and every name is checked.

mod convert;
mod external;
mod outline;
mod tensor;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use memmap2::Mmap;
use prost::Message;

use crate::error::{ModelError, Protobuf, ReadError};
use crate::ir::Model;
use crate::{order, wire};

impl Model {
    /// Reads an ONNX file and the external data beside it.
    ///
    /// The files stay mapped as long as any constant of the model lives: they must not be shortened or overwritten
    /// meanwhile.
    ///
    /// # Errors
    /// `Open` when the file cannot be read, `Model` when its content or its external data cannot be used.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ReadError> {
        let path = path.as_ref();
        let bytes = map(path).map_err(|source| ReadError::Open { path: path.into(), source })?;
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        decode(bytes, Some(folder)).map_err(|source| ReadError::Model { path: path.into(), source })
    }

    /// Reads ONNX bytes; constants are slices of them.
    ///
    /// # Errors
    /// [`ModelError`]; external data is an error too.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, ModelError> {
        decode(bytes, None)
    }
}

fn decode(bytes: Bytes, folder: Option<PathBuf>) -> Result<Model, ModelError> {
    outline::check(&bytes)?;
    let proto = wire::ModelProto::decode(bytes).map_err(|error| ModelError::Malformed(Protobuf(error)))?;
    let mut model = convert::Converter::new(folder).model(proto)?;
    order::settle(&mut model.graph)?;
    Ok(model)
}

/// Maps a regular file.
fn map(path: &Path) -> io::Result<Bytes> {
    // Asked before opening: opening a pipe would wait for its writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let file = File::open(path)?;
    // SAFETY: the map is read-only and nothing here writes to model files. Another process that shortens the file
    // while it is mapped would break this; `Model::read` tells callers not to.
    let map = unsafe { Mmap::map(&file) }?;
    Ok(Bytes::from_owner(map))
}
