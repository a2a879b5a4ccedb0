//! From [`Model`]s to ONNX files, in one pass.
//!
//! Constants go from where they are straight to the file and through the digest: no message that holds them is ever
//! built.

mod convert;
mod external;
mod sink;
mod stream;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use offramp_models::Sha256;

use crate::error::WriteError;
use crate::ir::Model;
use external::Layout;
use sink::FileSink;

/// Weights beyond this many bytes go to a file of their own, see [`Model::write_with_limit`].
pub const DEFAULT_WEIGHT_LIMIT: u64 = 1900 << 20;

/// The most bytes that readers of protobuf accept in one message.
const PROTOBUF_LIMIT: u64 = i32::MAX as u64;

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where it is.
    pub path: PathBuf,
    /// Digest of its content.
    pub sha256: Sha256,
    /// Its length in bytes.
    pub bytes: u64,
    /// The file of external data beside it.
    pub data: Option<WrittenData>,
}

/// A file of external data that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenData {
    /// Where it is.
    pub path: PathBuf,
    /// Digest of its content.
    pub sha256: Sha256,
    /// Its length in bytes.
    pub bytes: u64,
}

impl Model {
    /// Writes an ONNX file. Weights of more than [`DEFAULT_WEIGHT_LIMIT`] go to `<path>.data`.
    ///
    /// The file must not be one that constants of this model were read from.
    ///
    /// # Errors
    /// `Io`, `FileName`, or `TooLarge` when even without weights protobuf does not carry the graph.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<Written, WriteError> {
        self.write_with_limit(path, DEFAULT_WEIGHT_LIMIT)
    }

    /// [`Model::write`], with weights outside the file when together they take more than `limit` bytes.
    ///
    /// # Errors
    /// As [`Model::write`].
    pub fn write_with_limit(&self, path: impl AsRef<Path>, limit: u64) -> Result<Written, WriteError> {
        let path = path.as_ref();
        let sizes = self.graph.initializers.iter().map(|init| init.tensor.data.len() as u64);
        let outside = sizes.sum::<u64>() > limit;
        let layout = if outside { Layout::beside(path, &self.graph)? } else { Layout::default() };
        fits(stream::size(self, &layout))?;

        let data = layout.file().map(|file| -> Result<_, WriteError> {
            let mut sink = FileSink::create(file)?;
            layout.write(&self.graph, &mut sink).map_err(|source| sink.failed(source))?;
            let (sha256, bytes) = sink.finish()?;
            Ok(WrittenData { path: file.into(), sha256, bytes })
        });
        let data = data.transpose()?;
        let mut sink = FileSink::create(path)?;
        stream::write(self, &layout, &mut sink).map_err(|source| sink.failed(source))?;
        let (sha256, bytes) = sink.finish()?;
        Ok(Written { path: path.into(), sha256, bytes, data })
    }

    /// The model as ONNX bytes, all weights inside.
    ///
    /// # Errors
    /// `TooLarge` when protobuf does not carry the model.
    pub fn to_bytes(&self) -> Result<Bytes, WriteError> {
        let layout = Layout::default();
        let size = stream::size(self, &layout);
        fits(size)?;
        let mut bytes = Vec::with_capacity(size as usize);
        let path = PathBuf::new();
        stream::write(self, &layout, &mut bytes).map_err(|source| WriteError::Io { path, source })?;
        Ok(bytes.into())
    }
}

fn fits(bytes: u64) -> Result<(), WriteError> {
    match bytes <= PROTOBUF_LIMIT {
        true => Ok(()),
        false => Err(WriteError::TooLarge { bytes, limit: PROTOBUF_LIMIT }),
    }
}
