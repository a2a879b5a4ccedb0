//! Which weights lie outside the model file, and where.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::WriteError;
use crate::ir::Graph;
use crate::wire::StringStringEntryProto;

/// Offsets are multiples of a page, so that readers can map single weights.
const ALIGNMENT: u64 = 4096;

/// Smaller constants stay inside: shapes and axes, which engines want to see when they load a graph.
const SMALLEST: usize = 1024;

/// Places of weights in a file beside the model; without one, all are inside.
#[derive(Default)]
pub(super) struct Layout {
    file: Option<PathBuf>,
    location: String,
    offsets: Vec<Option<u64>>,
}

impl Layout {
    /// Places the weights of `graph` in `<path>.data`.
    pub(super) fn beside(path: &Path, graph: &Graph) -> Result<Self, WriteError> {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return Err(WriteError::FileName { path: path.into() });
        };
        let location = format!("{name}.data");
        let mut end = 0_u64;
        let mut place = |length: usize| {
            (length >= SMALLEST).then(|| {
                let offset = end.next_multiple_of(ALIGNMENT);
                end = offset + length as u64;
                offset
            })
        };
        let offsets = graph.initializers.iter().map(|init| place(init.tensor.data.len())).collect();
        Ok(Self { file: Some(path.with_file_name(&location)), location, offsets })
    }

    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// `TensorProto.external_data` of an initializer, `None` where it is inside.
    pub(super) fn entries(&self, initializer: usize, length: usize) -> Option<Vec<StringStringEntryProto>> {
        let offset = self.offsets.get(initializer).copied().flatten()?;
        let entry = |key: &str, value: String| StringStringEntryProto { key: key.into(), value };
        Some(vec![
            entry("location", self.location.clone()),
            entry("offset", offset.to_string()),
            entry("length", length.to_string()),
        ])
    }

    /// Writes the weights that lie outside.
    pub(super) fn write(&self, graph: &Graph, out: &mut impl Write) -> io::Result<()> {
        let mut at = 0;
        for (init, offset) in graph.initializers.iter().zip(&self.offsets) {
            let Some(offset) = *offset else { continue };
            let padding = [0; ALIGNMENT as usize];
            out.write_all(padding.get(..(offset - at) as usize).unwrap_or(&padding))?;
            out.write_all(&init.tensor.data)?;
            at = offset + init.tensor.data.len() as u64;
        }
        Ok(())
    }
}
