//! From a bundle to segments that are ready on this device.
//!
//! A bundle's segments run anywhere as they are. An engine that optimises a whole graph better than its pieces is
//! given all segments fused; what it made of them is cut at the same exits, and those parts run instead. They belong
//! to one device and one release of the engine, so they are kept under a key of both and never used elsewhere.

mod cache;
mod departures;
mod key;
mod optimised;
pub mod pair;
mod seams;
mod trust;
mod whole;

pub use departures::{DepartureError, departures};
pub use seams::SeamError;
pub use trust::TrustError;

use std::path::PathBuf;

use offramp_models::{Bundle, BundleError, Wire};

use crate::backend::{Backend, BackendError, EngineError, GraphSource, Origin, Runner, RunnerOptions};
use crate::pipeline::{Pipeline, PipelineError};

/// How segments are prepared.
#[derive(Clone, Debug, Default)]
pub struct PrepareOptions {
    /// Threads inside one operator; `None` leaves it to the engine.
    pub threads: Option<usize>,
    /// Folder for what is worth keeping; `None` keeps nothing.
    pub cache: Option<PathBuf>,
    /// Runs the bundle's own segments even where optimised ones are to be had.
    pub as_bundled: bool,
    /// Lets images leave between segments in this form; segments then run as bundled, since tensors of the optimised graph
    /// are laid out for one engine.
    pub offload: Option<Wire>,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Comparing the bundle's files with their digests.
    Checking,
    /// Letting the engine optimise all segments as one graph.
    Optimising,
    /// Loading a segment; TensorRT builds its engine here.
    Segment {
        /// Zero-based.
        index: usize,
        /// Segments in all.
        of: usize,
    },
    /// Running every segment once, so that no engine is built and no memory touched for the first image.
    TryingOut,
}

/// A bundle on a device.
pub struct Prepared {
    /// The segments, wired.
    pub pipeline: Pipeline,
    /// What the segments are.
    pub segments: Segments,
    /// Whether the cache holds optimised segments for the next time.
    pub kept: bool,
    /// What went otherwise than asked, for people.
    pub notes: Vec<Note>,
}

/// What prepared segments are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Segments {
    /// The bundle's own.
    AsBundled,
    /// Parts of the graph that the engine optimised as a whole, now.
    Optimised,
    /// The same, from the cache.
    Cached,
}

/// Something that did not go as asked, and does not change any result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Note {
    /// The optimised graph cannot be cut; the bundle's own segments run.
    #[error("the segments run as bundled, the optimised graph cannot be cut at the exits")]
    Uncut {
        /// Why.
        #[source]
        source: EngineError,
    },
    /// The optimised graph cannot be written down, to the cache or for the time being; the bundle's own segments run.
    #[error("the segments run as bundled, the optimised ones cannot be written to {}", folder.display())]
    Unwritten {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: EngineError,
    },
    /// The cache did not take the optimised segments; they are made again next time.
    #[error("cannot keep the optimised segments in {}", cache.display())]
    NotCached {
        /// The cache.
        cache: PathBuf,
        /// Why.
        #[source]
        source: EngineError,
    },
    /// Somebody else could have written the cache; it is neither read nor written.
    #[error("the cache {} is not used", folder.display())]
    NotTrusted {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: TrustError,
    },
}

/// A bundle that cannot be prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// The bundle is not what was written.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A segment's file is not what the manifest says.
    #[error(transparent)]
    Seam(#[from] SeamError),
    /// The engine cannot prepare a segment, or cannot run it.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The segments do not fit together.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
}

/// Checks a bundle's digests, prepares its segments on `backend` and runs each once.
///
/// # Errors
/// `Bundle` for a file that is missing or was changed, `Seam` for one that takes or gives other tensors than the
/// manifest says, `Backend` when the engine cannot run a segment, `Pipeline` when
/// the files are not the segments that the manifest describes.
pub fn prepare(
    bundle: &Bundle,
    backend: &dyn Backend,
    options: &PrepareOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Prepared, PrepareError> {
    progress(Progress::Checking);
    bundle.check()?;
    seams::check(bundle)?;
    let mut notes = Vec::new();
    let many = bundle.manifest().segments.len() > 1;
    if many && backend.saves_optimised() && !options.as_bundled && options.offload.is_none() {
        match whole::prepare(bundle, backend, options, progress, &mut notes) {
            Ok(whole) => {
                let whole::Whole { pipeline, segments, kept } = whole;
                return Ok(Prepared { pipeline, segments, kept, notes });
            }
            Err(note) => notes.push(note),
        }
    }
    let segments = &bundle.manifest().segments;
    let files = segments.iter().map(|segment| bundle.dir().join(&segment.file)).collect::<Vec<_>>();
    let pipeline = load(bundle, backend, options, &files, false, progress)?;
    Ok(Prepared { pipeline, segments: Segments::AsBundled, kept: false, notes })
}

/// Loads one file per exit, wires them and tries them out.
fn load(
    bundle: &Bundle,
    backend: &dyn Backend,
    options: &PrepareOptions,
    files: &[PathBuf],
    as_is: bool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Pipeline, PrepareError> {
    let exits = &bundle.manifest().exits;
    let mut runners: Vec<(Box<dyn Runner>, _)> = Vec::with_capacity(files.len());
    for (index, file) in files.iter().enumerate() {
        progress(Progress::Segment { index, of: files.len() });
        let graph = GraphSource { label: format!("segment {index}"), origin: Origin::File(file) };
        let runner = RunnerOptions {
            threads: options.threads,
            as_is,
            host_outputs: match (options.offload, bundle.manifest().segments.get(index)) {
                (Some(Wire::F32), Some(segment)) => {
                    segment.outputs.iter().map(|spec| spec.name.clone()).collect()
                }
                _ => exits.get(index).map(|exit| exit.logits.clone()).into_iter().collect(),
            },
            save_optimised: None,
        };
        runners.push((backend.prepare(&graph, &runner)?, backend.describe()));
    }
    let pipeline = Pipeline::new(bundle.manifest(), runners)?;
    progress(Progress::TryingOut);
    pipeline.try_out().map_err(BackendError::Run)?;
    Ok(pipeline)
}
