//! What is sent at every cut, out of the tails of a bundle.

use offramp_models::{Bundle, Tail, Wire};

use crate::backend::{Backend, BackendError, GraphSource, Origin, RunnerOptions};
use crate::executor::Departure;
use crate::pipeline::Pipeline;

/// A cut that nothing can be sent at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DepartureError {
    /// The prepared segments do not give what crosses the cut.
    #[error("\"{tensor}\", which crosses cut {cut}, is not there before segment {cut} runs")]
    Tensor {
        /// The cut.
        cut: usize,
        /// The tensor.
        tensor: String,
    },
    /// The engine cannot run the device's end of the cut.
    #[error("the {wire} form of cut {cut} cannot be prepared")]
    Encoder {
        /// The cut.
        cut: usize,
        /// The form that is sent.
        wire: Wire,
        /// The engine's reason.
        source: BackendError,
    },
}

/// What `pipeline` sends at the cuts of `tails`, by the segment that would run next. The pipeline's segments are those of
/// the bundle, prepared with [`super::PrepareOptions::offload`].
///
/// # Errors
/// `Tensor` when segments were prepared otherwise, `Encoder` when the engine cannot run the device's end of a cut.
pub fn departures(
    bundle: &Bundle,
    tails: &[Tail],
    pipeline: &Pipeline,
    backend: &dyn Backend,
    threads: Option<usize>,
) -> Result<Vec<Option<Departure>>, DepartureError> {
    let mut departures: Vec<Option<Departure>> = pipeline.stages().iter().map(|_| None).collect();
    for tail in tails {
        let Tail { cut, wire, .. } = *tail;
        let encoder = match &tail.encoder {
            None => None,
            Some(file) => {
                let path = bundle.dir().join(&file.file);
                let graph =
                    GraphSource { label: format!("{wire} form of cut {cut}"), origin: Origin::File(&path) };
                let runner = backend.prepare(&graph, &RunnerOptions { threads, ..RunnerOptions::default() });
                let prepared = runner.and_then(|runner| {
                    // What is sent is read by the host, and its names are known only now.
                    let host_outputs = runner.outputs().iter().map(|spec| spec.name.clone()).collect();
                    let options = RunnerOptions { threads, host_outputs, ..RunnerOptions::default() };
                    backend.prepare(&graph, &options)
                });
                Some(prepared.map_err(|source| DepartureError::Encoder { cut, wire, source })?)
            }
        };
        let taken = encoder.as_ref().map_or(&*tail.inputs, |encoder| encoder.inputs());
        let feed = |tensor: &String| {
            let missing = || DepartureError::Tensor { cut, tensor: tensor.clone() };
            pipeline.feed(tensor, cut).ok_or_else(missing)
        };
        let feeds = taken.iter().map(|spec| feed(&spec.name)).collect::<Result<_, _>>()?;
        if let Some(slot) = departures.get_mut(cut) {
            *slot = Some(Departure { feeds, wire: encoder });
        }
    }
    Ok(departures)
}
