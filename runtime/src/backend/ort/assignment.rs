//! Which provider ran which node, from ONNX Runtime's own profile.

use std::path::Path;

use serde::Deserialize;

use super::super::{BackendError, GraphSource, RunError, Runner, RunnerOptions};
use super::runner::OrtRunner;
use super::{OrtBackend, session};

/// A node of a graph, run once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRun {
    /// The node's name, after ONNX Runtime's optimisations.
    pub node: String,
    /// Its operator. `MemcpyToHost` and `MemcpyFromHost` are copies between host and device.
    pub op: String,
    /// ONNX Runtime's name of the provider that ran it.
    pub provider: String,
}

/// Nodes that cannot be listed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssignmentError {
    /// The graph cannot be prepared.
    #[error(transparent)]
    Prepare(#[from] BackendError),
    /// The graph cannot run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// No profile was written.
    #[error("{graph} left no profile")]
    Profile {
        /// The graph.
        graph: String,
        /// Why.
        #[source]
        source: super::super::EngineError,
    },
}

/// Runs `graph` once on zeros at batch 1 and lists what ran where, in the order of running. `scratch` is a folder for
/// the profile, which is removed.
///
/// # Errors
/// [`AssignmentError`]: the graph cannot be prepared or run, or an input's shape is not stated.
pub fn assignments(
    backend: &OrtBackend,
    graph: &GraphSource<'_>,
    options: &RunnerOptions,
    scratch: &Path,
) -> Result<Vec<NodeRun>, AssignmentError> {
    let session = session::commit(&backend.engine, graph, options, Some(&scratch.join("profile")))?;
    let runner = OrtRunner::new(backend.engine.clone(), &graph.label, session, options)?;
    let inputs = (0..runner.inputs().len()).map(|input| runner.allocate(input, 1));
    let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
    runner.bind(&inputs, 1)?.run()?;
    let fail = |source| AssignmentError::Profile { graph: graph.label.clone(), source };
    let path = runner.end_profiling().map_err(|source| fail(source.into()))?;
    let text = std::fs::read(&path).map_err(|source| fail(source.into()))?;
    std::fs::remove_file(&path).map_err(|source| fail(source.into()))?;
    let events: Vec<Event> = serde_json::from_slice(&text).map_err(|source| fail(source.into()))?;
    Ok(events.into_iter().filter_map(Event::node_run).collect())
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    cat: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    args: Args,
}

#[derive(Default, Deserialize)]
struct Args {
    op_name: Option<String>,
    provider: Option<String>,
}

impl Event {
    fn node_run(self) -> Option<NodeRun> {
        let node = self.name.strip_suffix("_kernel_time").filter(|_| self.cat == "Node")?.to_owned();
        Some(NodeRun { node, op: self.args.op_name?, provider: self.args.provider? })
    }
}
