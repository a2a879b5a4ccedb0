//! Segments cut out of the graph that the engine optimised as a whole.

use std::path::{Path, PathBuf};

use offramp_graph::ir::ValueInfo;
use offramp_graph::{Model, fuse, partition};
use offramp_models::Bundle;

use super::cache::{self, Draft};
use super::{Note, PrepareOptions, Progress, Segments, key, load};
use crate::backend::{Backend, EngineError, GraphSource, Origin, RunnerOptions};
use crate::pipeline::Pipeline;

/// Takes the segments from the cache, or makes and keeps them.
pub(super) fn prepare(
    bundle: &Bundle,
    backend: &dyn Backend,
    options: &PrepareOptions,
    progress: &mut dyn FnMut(Progress),
    notes: &mut Vec<Note>,
) -> Result<(Pipeline, Segments), EngineError> {
    let key = key::of(bundle, backend);
    let kept = options.cache.as_ref().and_then(|cache| cache::find(cache, &key));
    if let Some(files) = kept {
        // What cannot be loaded is made again.
        if let Ok(pipeline) = load(bundle, backend, options, &files, true, progress) {
            return Ok((pipeline, Segments::Cached));
        }
    }
    progress(Progress::Optimising);
    let mut cache = options.cache.as_ref();
    let draft = cache.map(|cache| Draft::new(Some(cache)).map_err(|source| (cache, source)));
    let mut draft = match draft {
        Some(Ok(draft)) => draft,
        Some(Err((folder, source))) => {
            notes.push(Note::NotCached { cache: folder.clone(), source: source.into() });
            cache = None;
            Draft::new(None)?
        }
        None => Draft::new(None)?,
    };
    cut(bundle, backend, options, &mut draft)?;
    let pipeline = load(bundle, backend, options, &draft.segments(), true, progress)?;
    if let Some(cache) = cache
        && let Err(source) = draft.keep(cache, &key)
    {
        notes.push(Note::NotCached { cache: cache.clone(), source: source.into() });
    }
    Ok((pipeline, Segments::Optimised))
}

/// Fuses, lets the engine optimise, cuts at the exits, writes the parts into the draft.
fn cut(
    bundle: &Bundle,
    backend: &dyn Backend,
    options: &PrepareOptions,
    draft: &mut Draft,
) -> Result<(), EngineError> {
    let (fused, optimised) = (draft.path().join("fused.onnx"), draft.path().join("optimised.onnx"));
    let written = {
        let parts = bundle.manifest().segments.iter().map(|segment| bundle.dir().join(&segment.file));
        let parts = parts.map(Model::read).collect::<Result<Vec<_>, _>>()?;
        fuse(&parts)?.write(&fused)?
    };
    let graph = GraphSource { label: "all segments".to_owned(), origin: Origin::File(&fused) };
    let saving = RunnerOptions {
        threads: options.threads,
        save_optimised: Some(optimised.clone()),
        ..RunnerOptions::default()
    };
    drop(backend.prepare(&graph, &saving)?);
    remove(std::iter::once(fused).chain(written.data.map(|data| data.path)))?;
    write_parts(bundle, draft, &optimised)?;
    remove(std::iter::once(optimised))?;
    Ok(())
}

fn write_parts(bundle: &Bundle, draft: &mut Draft, optimised: &Path) -> Result<(), EngineError> {
    let model = Model::read(optimised)?;
    let logits: Vec<String> = bundle.manifest().exits.iter().map(|exit| exit.logits.clone()).collect();
    let stated = |name: &str| {
        let graph = &model.graph;
        let mut infos = graph.inputs.iter().chain(&graph.outputs).chain(&graph.value_info);
        infos.any(|info| info.name == name && info.dtype.is_some())
    };
    // Operators of the engine's own carry types that the file does not always state; they are made for floats, and a
    // wrong guess is an error when the part is loaded.
    let types = |name: &str| (!stated(name)).then(|| ValueInfo::float32(name));
    for (index, part) in partition(&model, &logits, &types)?.into_iter().enumerate() {
        let written = part.write(draft.path().join(format!("{index}.onnx")))?;
        draft.add(&written.path, written.sha256, true);
        if let Some(data) = written.data {
            draft.add(&data.path, data.sha256, false);
        }
    }
    Ok(())
}

fn remove(mut files: impl Iterator<Item = PathBuf>) -> Result<(), EngineError> {
    Ok(files.try_for_each(std::fs::remove_file)?)
}
