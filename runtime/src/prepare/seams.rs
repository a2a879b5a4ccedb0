//! Segments' files held against what the manifest says of them, before any engine sees them.

use offramp_graph::ir::{Dim, ElementType, ValueInfo};
use offramp_graph::{Model, ReadError};
use offramp_models::{Bundle, TensorSpec};

/// A segment's file that is not the segment that the manifest describes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeamError {
    /// The file is no graph.
    #[error("segment {segment} cannot be read")]
    Read {
        /// The segment.
        segment: usize,
        /// Why.
        source: ReadError,
    },
    /// The manifest names a tensor that the graph does not have at its edge.
    #[error("the manifest says that segment {segment} {verb} {expected}, its file does not")]
    Missing {
        /// The segment.
        segment: usize,
        /// `takes` or `gives`.
        verb: &'static str,
        /// The tensor.
        expected: TensorSpec,
    },
    /// The graph has a tensor at its edge that the manifest does not name.
    #[error("segment {segment} {verb} \"{tensor}\", which the manifest does not say")]
    Extra {
        /// The segment.
        segment: usize,
        /// `takes` or `gives`.
        verb: &'static str,
        /// The tensor.
        tensor: String,
    },
    /// Type or shape differ.
    #[error("the manifest says that segment {segment} {verb} {expected}, its file says {found}")]
    Form {
        /// The segment.
        segment: usize,
        /// `takes` or `gives`.
        verb: &'static str,
        /// The tensor as the manifest has it.
        expected: TensorSpec,
        /// Type and shape in the file, `?` for what it does not state.
        found: String,
    },
}

/// Compares names, types and shapes at the edges of every segment.
pub(super) fn check(bundle: &Bundle) -> Result<(), SeamError> {
    for segment in &bundle.manifest().segments {
        let index = segment.index;
        let graph = Model::read(bundle.dir().join(&segment.file))
            .map_err(|source| SeamError::Read { segment: index, source })?
            .graph;
        edge(index, "takes", &segment.inputs, &graph.inputs)?;
        edge(index, "gives", &segment.outputs, &graph.outputs)?;
    }
    Ok(())
}

fn edge(
    segment: usize,
    verb: &'static str,
    expected: &[TensorSpec],
    found: &[ValueInfo],
) -> Result<(), SeamError> {
    for spec in expected {
        let Some(info) = found.iter().find(|info| info.name == spec.name) else {
            return Err(SeamError::Missing { segment, verb, expected: spec.clone() });
        };
        if !agree(spec, info) {
            return Err(SeamError::Form { segment, verb, expected: spec.clone(), found: tell(info) });
        }
    }
    match found.iter().find(|info| expected.iter().all(|spec| spec.name != info.name)) {
        Some(info) => Err(SeamError::Extra { segment, verb, tensor: info.name.clone() }),
        None => Ok(()),
    }
}

fn agree(spec: &TensorSpec, info: &ValueInfo) -> bool {
    let same = |(expected, found): (&Option<usize>, &Dim)| match (expected, found) {
        (Some(expected), Dim::Known(found)) => expected == found,
        (None, Dim::Named(_) | Dim::Unknown) => true,
        _ => false,
    };
    let dims = info.dims.as_deref().unwrap_or_default();
    info.dtype == Some(ElementType::Known(spec.dtype))
        && dims.len() == spec.shape.len()
        && spec.shape.iter().zip(dims).all(same)
}

fn tell(info: &ValueInfo) -> String {
    let dtype = match info.dtype {
        Some(ElementType::Known(dtype)) => dtype.name().to_owned(),
        Some(ElementType::Other(number)) => format!("element type {number}"),
        None => "?".to_owned(),
    };
    let dim = |dim: &Dim| match dim {
        Dim::Known(extent) => extent.to_string(),
        Dim::Named(name) => name.clone(),
        Dim::Unknown => "?".to_owned(),
    };
    match &info.dims {
        Some(dims) => format!("{dtype} [{}]", dims.iter().map(dim).collect::<Vec<_>>().join(", ")),
        None => format!("{dtype} of unknown shape"),
    }
}
