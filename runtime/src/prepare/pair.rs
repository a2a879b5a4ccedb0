//! Two graphs that run one after the other, the second on outputs of the first and on inputs that come between.
//!
//! An engine that optimises both as one graph keeps what crosses in the layout it computes in; prepared one by one,
//! each would translate at the cut.

use offramp_graph::{Model, fuse, stage};
use offramp_models::partial::Partial;

use super::optimised::{guess, optimised};
use crate::backend::{Backend, BackendError, EngineError, GraphSource, Origin, Runner, RunnerOptions};

/// One graph of a pair.
#[derive(Clone, Debug)]
pub struct Half<'a> {
    /// The graph.
    pub model: &'a Model,
    /// How errors call it.
    pub label: &'a str,
    /// Outputs that the host reads; all others stay where the engine computes.
    pub host_outputs: Vec<String>,
}

/// Two prepared graphs; every input of the second is an input of the first, an output of the first or a late one.
pub struct Pair {
    /// The first.
    pub first: Box<dyn Runner>,
    /// The second.
    pub second: Box<dyn Runner>,
    /// Why the two were not optimised as one, where the engine could have.
    pub apart: Option<EngineError>,
}

/// What runs while neither engine nor graph says otherwise.
const SCRATCH: &str = "offramp-pair";

/// Prepares `first` and `second` on `backend`; `late` are the second's inputs that the first does not give.
///
/// # Errors
/// [`BackendError`] when the engine cannot run one of them.
pub fn pair(
    first: &Half<'_>,
    second: &Half<'_>,
    late: &[String],
    backend: &dyn Backend,
    threads: Option<usize>,
) -> Result<Pair, BackendError> {
    let apart = match backend.saves_optimised().then(|| as_one(first, second, late, backend, threads)) {
        Some(Ok([first, second])) => return Ok(Pair { first, second, apart: None }),
        Some(Err(error)) => Some(error),
        None => None,
    };
    let one = |half: &Half<'_>| {
        let bytes = half.model.to_bytes().map_err(|source| BackendError::Prepare {
            backend: backend.describe().name,
            graph: half.label.to_owned(),
            source: source.into(),
        })?;
        load(half, Origin::Bytes(&bytes), false, backend, threads)
    };
    Ok(Pair { first: one(first)?, second: one(second)?, apart })
}

fn load(
    half: &Half<'_>,
    origin: Origin<'_>,
    as_is: bool,
    backend: &dyn Backend,
    threads: Option<usize>,
) -> Result<Box<dyn Runner>, BackendError> {
    let graph = GraphSource { label: half.label.to_owned(), origin };
    let host_outputs = half.host_outputs.clone();
    backend.prepare(&graph, &RunnerOptions { threads, as_is, host_outputs, save_optimised: None })
}

fn as_one(
    first: &Half<'_>,
    second: &Half<'_>,
    late: &[String],
    backend: &dyn Backend,
    threads: Option<usize>,
) -> Result<[Box<dyn Runner>; 2], EngineError> {
    let scratch = Partial::folder(&std::env::temp_dir().join(SCRATCH))?;
    let mut whole = fuse(&[first.model.clone(), second.model.clone()])?;
    // What only the second takes is nobody's output now.
    let read = |name: &String| first.host_outputs.contains(name) || second.host_outputs.contains(name);
    whole.graph.outputs.retain(|output| read(&output.name));
    let model = optimised(&whole, "both graphs", scratch.path(), backend, threads)?;
    let parts = stage(&model, late, &|tensor| guess(&model, tensor))?;
    let mut runners = Vec::with_capacity(2);
    for (half, (part, file)) in [first, second].into_iter().zip(parts.iter().zip(["first", "second"])) {
        let path = scratch.path().join(file).with_extension("onnx");
        part.write(&path)?;
        runners.push(load(half, Origin::File(&path), true, backend, threads)?);
    }
    <[_; 2]>::try_from(runners).map_err(|_| EngineError::from(offramp_graph::CutError::NoOutputs))
}
