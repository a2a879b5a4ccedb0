//! Segments cut out of the graph that the engine optimised as a whole.

use std::path::{Path, PathBuf};

use offramp_graph::{Model, fuse, partition};
use offramp_models::Bundle;

use super::cache::{self, Draft};
use super::optimised::{self, guess, optimised};
use super::{Note, PrepareOptions, Progress, Segments, key, load};
use crate::backend::{Backend, EngineError};
use crate::pipeline::Pipeline;

/// Segments of the optimised graph.
pub(super) struct Whole {
    pub(super) pipeline: Pipeline,
    pub(super) segments: Segments,
    /// Whether they are in the cache.
    pub(super) kept: bool,
}

/// Takes the segments from the cache, or makes and keeps them.
///
/// # Errors
/// Why the bundle's own segments must do.
pub(super) fn prepare(
    bundle: &Bundle,
    backend: &dyn Backend,
    options: &PrepareOptions,
    progress: &mut dyn FnMut(Progress),
    notes: &mut Vec<Note>,
) -> Result<Whole, Note> {
    let key = key::of(bundle, backend);
    let mut cache = options.cache.as_deref();
    if let Some(Err((folder, source))) = cache.map(|cache| cache::trust(cache, &key)) {
        notes.push(Note::NotTrusted { folder, source });
        cache = None;
    }
    if let Some(files) = cache.and_then(|cache| cache::find(cache, &key)) {
        // What cannot be loaded is made again.
        if let Ok(pipeline) = load(bundle, backend, options, &files, true, progress) {
            return Ok(Whole { pipeline, segments: Segments::Cached, kept: true });
        }
    }
    progress(Progress::Optimising);
    if let Some(folder) = cache {
        match draft(bundle, backend, options, Some(folder)) {
            Ok(draft) => {
                let pipeline = parts(bundle, backend, options, &draft, progress)?;
                let kept = draft.keep(folder, &key).map_err(|source| not_cached(folder, source.into()));
                let is_kept = kept.is_ok();
                notes.extend(kept.err());
                return Ok(Whole { pipeline, segments: Segments::Optimised, kept: is_kept });
            }
            Err(Failure::Write { source, .. }) => notes.push(not_cached(folder, source)),
            Err(Failure::Cut(source)) => return Err(Note::Uncut { source }),
        }
    }
    let draft = draft(bundle, backend, options, None).map_err(|failure| match failure {
        Failure::Write { folder, source } => Note::Unwritten { folder, source },
        Failure::Cut(source) => Note::Uncut { source },
    })?;
    let pipeline = parts(bundle, backend, options, &draft, progress)?;
    Ok(Whole { pipeline, segments: Segments::Optimised, kept: false })
}

fn not_cached(cache: &Path, source: EngineError) -> Note {
    Note::NotCached { cache: cache.to_owned(), source }
}

fn parts(
    bundle: &Bundle,
    backend: &dyn Backend,
    options: &PrepareOptions,
    draft: &Draft,
    progress: &mut dyn FnMut(Progress),
) -> Result<Pipeline, Note> {
    load(bundle, backend, options, &draft.segments(), true, progress)
        .map_err(|source| Note::Uncut { source: source.into() })
}

/// Why there are no parts.
enum Failure {
    /// Files cannot be written to this folder.
    Write { folder: PathBuf, source: EngineError },
    /// The graph does not allow it.
    Cut(EngineError),
}

/// The parts in a folder of their own, in `cache` if there is one.
fn draft(
    bundle: &Bundle,
    backend: &dyn Backend,
    options: &PrepareOptions,
    cache: Option<&Path>,
) -> Result<Draft, Failure> {
    let folder = || cache.map_or_else(std::env::temp_dir, Path::to_owned);
    let mut draft =
        Draft::new(cache).map_err(|source| Failure::Write { folder: folder(), source: source.into() })?;
    match cut(bundle, backend, options, &mut draft) {
        Ok(()) => Ok(draft),
        // Engines do not say that it was the disk.
        Err(error) => Err(match draft.obstacle() {
            Some(source) => Failure::Write { folder: folder(), source: source.into() },
            None => Failure::Cut(error),
        }),
    }
}

/// Fuses, lets the engine optimise, cuts at the exits, writes the parts into the draft.
fn cut(
    bundle: &Bundle,
    backend: &dyn Backend,
    options: &PrepareOptions,
    draft: &mut Draft,
) -> Result<(), EngineError> {
    let parts = bundle.manifest().segments.iter().map(|segment| bundle.dir().join(&segment.file));
    let whole = fuse(&parts.map(Model::read).collect::<Result<Vec<_>, _>>()?)?;
    write_parts(bundle, draft, &optimised(&whole, "all segments", draft.path(), backend, options.threads)?)?;
    Ok(std::fs::remove_file(draft.path().join(optimised::FILE))?)
}

fn write_parts(bundle: &Bundle, draft: &mut Draft, model: &Model) -> Result<(), EngineError> {
    let logits: Vec<String> = bundle.manifest().exits.iter().map(|exit| exit.logits.clone()).collect();
    for (index, part) in partition(model, &logits, &|tensor| guess(model, tensor))?.into_iter().enumerate() {
        let written = part.write(draft.path().join(format!("{index}.onnx")))?;
        draft.add(&written.path, written.sha256, true);
        if let Some(data) = written.data {
            draft.add(&data.path, data.sha256, false);
        }
    }
    Ok(())
}
