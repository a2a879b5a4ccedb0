//! Which provider ran which node, from ONNX Runtime's own profile.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use offramp_models::partial::Partial;
use serde::Deserialize;

use super::super::{BackendError, EngineError, GraphSource, RunError, Runner, RunnerOptions, Share};
use super::runner::OrtRunner;
use super::{Engine, OrtBackend, Provider, session};

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
    /// Zeros of unknown shape cannot be made.
    #[error("{graph} does not state the shapes of its inputs")]
    Unstated {
        /// The graph.
        graph: String,
    },
    /// No profile was written.
    #[error("{graph} left no profile")]
    Profile {
        /// The graph.
        graph: String,
        /// Why.
        #[source]
        source: EngineError,
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
    let (_, runs) = tried(&backend.engine, graph, options, scratch)?;
    runs.ok_or_else(|| AssignmentError::Unstated { graph: graph.label.clone() })
}

/// Loads a graph and runs it once, which builds TensorRT's engines; refuses it unless the provider that was asked for
/// ran every node. That the fallback to the CPU is disabled says the same before; this is the proof. A graph that does
/// not state the shapes of its inputs cannot be tried.
pub(super) fn proved(
    engine: &Arc<Engine>,
    graph: &GraphSource<'_>,
    options: &RunnerOptions,
) -> Result<OrtRunner, BackendError> {
    let refuse = |source| BackendError::Prepare { backend: "ort", graph: graph.label.clone(), source };
    let scratch = Partial::folder(&std::env::temp_dir().join("offramp-profile"));
    let scratch = scratch.map_err(|source| refuse(source.into()))?;
    let (runner, runs) = tried(engine, graph, options, scratch.path()).map_err(|error| match error {
        AssignmentError::Prepare(error) => error,
        AssignmentError::Run(error) => BackendError::Run(error),
        other @ (AssignmentError::Unstated { .. } | AssignmentError::Profile { .. }) => refuse(other.into()),
    })?;
    let shares = shares(&engine.provider, &graph.label, &runs.unwrap_or_default())?;
    Ok(runner.with_shares(shares))
}

/// How many nodes each provider ran, all of them the one that was asked for. Copies between host and device are nobody's.
fn shares(provider: &Provider, graph: &str, runs: &[NodeRun]) -> Result<Vec<Share>, BackendError> {
    let mut nodes: BTreeMap<&str, usize> = BTreeMap::new();
    for run in runs.iter().filter(|run| !run.op.starts_with("Memcpy")) {
        if run.provider != provider.engine_name() {
            return Err(BackendError::Elsewhere {
                provider: provider.name(),
                found: run.provider.clone(),
                op: run.op.clone(),
                node: run.node.clone(),
                graph: graph.to_owned(),
            });
        }
        *nodes.entry(&run.provider).or_default() += 1;
    }
    let share = |(provider, nodes): (&str, usize)| Share { provider: provider.to_owned(), nodes };
    Ok(nodes.into_iter().map(share).collect())
}

/// Loads a graph, runs it once on zeros at batch 1, and tells what ran where; nothing for inputs of unknown shapes.
fn tried(
    engine: &Arc<Engine>,
    graph: &GraphSource<'_>,
    options: &RunnerOptions,
    scratch: &Path,
) -> Result<(OrtRunner, Option<Vec<NodeRun>>), AssignmentError> {
    let session = session::commit(engine, graph, options, Some(&scratch.join("profile")))?;
    let runner = OrtRunner::new(Arc::clone(engine), &graph.label, session, options)?;
    let stated = runner.states_inputs();
    if stated {
        let inputs = (0..runner.inputs().len()).map(|input| runner.allocate(input, 1));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        runner.bind(&inputs, 1)?.run()?;
    }
    let fail = |source| AssignmentError::Profile { graph: graph.label.clone(), source };
    let path = runner.end_profiling().map_err(|source| fail(source.into()))?;
    let text = std::fs::read(&path).map_err(|source| fail(source.into()))?;
    std::fs::remove_file(&path).map_err(|source| fail(source.into()))?;
    let events: Vec<Event> = serde_json::from_slice(&text).map_err(|source| fail(source.into()))?;
    let runs = events.into_iter().filter_map(Event::node_run).collect();
    Ok((runner, stated.then_some(runs)))
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

#[cfg(test)]
mod tests {
    use super::super::super::Origin;
    use super::super::tests::{library, relu};
    use super::*;

    fn run(node: &str, op: &str, provider: &str) -> NodeRun {
        NodeRun { node: node.to_owned(), op: op.to_owned(), provider: provider.to_owned() }
    }

    #[test]
    fn nodes_are_counted_by_provider_and_copies_are_not() {
        let cuda = Provider::Cuda.engine_name();
        let runs = [
            run("copy", "MemcpyFromHost", "CPUExecutionProvider"),
            run("a", "Conv", cuda),
            run("b", "Relu", cuda),
        ];
        let found = shares(&Provider::Cuda, "segment 0", &runs).unwrap();
        assert_eq!(found, [Share { provider: cuda.to_owned(), nodes: 2 }]);
    }

    #[test]
    fn a_node_that_ran_elsewhere_is_an_error_that_names_it() {
        let runs = [
            run("a", "Conv", Provider::Cuda.engine_name()),
            run("shape", "Shape", Provider::Cpu.engine_name()),
        ];
        insta::assert_snapshot!(
            shares(&Provider::Cuda, "segment 2", &runs).unwrap_err(),
            @r#"execution provider cuda was asked for, but CPUExecutionProvider ran Shape (node "shape") of segment 2"#
        );
    }

    #[test]
    fn a_graph_that_was_tried_says_what_ran_it_and_records_no_more() {
        let Some(library) = library() else { return };
        let backend = OrtBackend::new(library, Provider::Cpu);
        let model = relu(Some(4)).to_bytes().unwrap();
        let graph = GraphSource { label: "relu".to_owned(), origin: Origin::Bytes(&model) };
        let options = RunnerOptions { threads: Some(2), ..RunnerOptions::default() };
        let runner = proved(&backend.engine, &graph, &options).unwrap();
        let cpu = Provider::Cpu.engine_name().to_owned();
        assert_eq!(runner.shares(), [Share { provider: cpu, nodes: 1 }]);
        assert_eq!(runner.threads(), Some(2));
        runner.bind(&[runner.allocate(0, 3).unwrap()], 3).unwrap().run().unwrap();
        let model = relu(None).to_bytes().unwrap();
        let graph = GraphSource { label: "relu".to_owned(), origin: Origin::Bytes(&model) };
        assert!(proved(&backend.engine, &graph, &options).unwrap().shares().is_empty());
        let scratch = tempfile::tempdir().unwrap();
        let error = assignments(&backend, &graph, &options, scratch.path()).unwrap_err();
        insta::assert_snapshot!(error, @"relu does not state the shapes of its inputs");
    }
}
