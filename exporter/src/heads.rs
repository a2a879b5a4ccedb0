//! What exits cost by themselves: their internal classifiers, without the trunk that later exits need as well.

use std::path::PathBuf;

use offramp_graph::error::ReadError;
use offramp_graph::ir::Model;
use offramp_graph::macs::{self, Counting, MacsError};
use offramp_graph::shape::{self, ShapeError};
use offramp_graph::{Index, index::NodeSet};
use offramp_models::Bundle;

/// A bundle whose heads cannot be counted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeadsError {
    /// A segment is no model.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A segment's shapes cannot be told.
    #[error("the shapes of {} cannot be told", path.display())]
    Shapes {
        /// The segment's file.
        path: PathBuf,
        /// Why not.
        source: Box<ShapeError>,
    },
    /// A segment's work cannot be counted.
    #[error("the work of {} cannot be counted", path.display())]
    Macs {
        /// The segment's file.
        path: PathBuf,
        /// Why not.
        source: Box<MacsError>,
    },
    /// A segment that is not counted as the manifest counts it: its parts would not add up.
    #[error("segment {segment} has {found} MACs, the manifest says {expected}")]
    Counted {
        /// The segment.
        segment: usize,
        /// MACs in the manifest.
        expected: u64,
        /// MACs of the file.
        found: u64,
    },
}

/// Multiply-adds for one image that no exit but this one needs, an entry for every exit of `bundle` but the final one.
///
/// The head of exit *i* are the nodes of segment *i* that its logits need and nothing that later segments take; logits
/// that later segments take leave no head. It is what a network without the exit does not compute. The final exit has
/// none: without it there is no answer to those that nothing else answers.
///
/// # Errors
/// [`HeadsError`] names the segment. The files' digests are not checked.
pub fn macs(bundle: &Bundle) -> Result<Vec<u64>, HeadsError> {
    let segments = &bundle.manifest().segments;
    let early = segments.len().saturating_sub(1);
    let mut heads = Vec::with_capacity(early);
    for (number, segment) in segments.iter().enumerate().take(early) {
        let path = bundle.dir().join(&segment.file);
        let model = Model::read(&path)?;
        let shapes = shape::infer(&model)
            .map_err(|source| HeadsError::Shapes { path: path.clone(), source: Box::new(source) })?;
        let costs = macs::count(&model, &shapes, Counting::Macs)
            .map_err(|source| HeadsError::Macs { path, source: Box::new(source) })?;
        let (expected, found) = (segment.macs, costs.total().macs);
        if expected != found {
            return Err(HeadsError::Counted { segment: number, expected, found });
        }
        let later = || segments.iter().skip(number + 1).flat_map(|segment| &segment.inputs);
        let index = Index::new(&model.graph);
        let outputs = segment.outputs.iter().map(|output| output.name.as_str());
        let taken = outputs.filter(|name| later().any(|input| input.name == *name));
        let trunk: Vec<NodeSet> = taken.map(|name| index.ancestors(name)).collect();
        let head = (0..model.graph.nodes.len()).filter(|node| !trunk.iter().any(|set| set.contains(*node)));
        heads.push(costs.sum(head).macs);
    }
    Ok(heads)
}
