//! ONNX Runtime, loaded when the program runs.
//!
//! [`Library`] finds and loads it, [`OrtBackend`] prepares graphs on one execution provider. A provider that was asked
//! for runs the whole graph or preparing fails: nothing falls back to the CPU in silence.

mod assignment;
mod bound;
mod buffer;
mod element;
mod form;
mod gather;
mod library;
mod log;
mod operator;
mod runner;
mod session;
mod shapes;

use std::path::PathBuf;
use std::sync::Arc;

pub use assignment::{AssignmentError, NodeRun, assignments};
pub use library::{Library, Pool, Silence, needed_version, search, silence_telemetry};

use super::{Backend, BackendError, Description, GraphSource, Runner, RunnerOptions};
use runner::OrtRunner;

/// What runs the operators.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Provider {
    /// The processor.
    Cpu,
    /// An NVIDIA GPU, operator by operator.
    Cuda,
    /// An NVIDIA GPU, through engines that TensorRT builds.
    TensorRt {
        /// Lets layers run in half precision.
        fp16: bool,
        /// Where built engines are kept; `None` builds them in every process.
        cache: Option<PathBuf>,
    },
}

impl Provider {
    /// `cpu`, `cuda` or `tensorrt`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::TensorRt { .. } => "tensorrt",
        }
    }

    /// ONNX Runtime's own name, as [`Library::providers`] lists it.
    pub fn engine_name(&self) -> &'static str {
        match self {
            Self::Cpu => "CPUExecutionProvider",
            Self::Cuda => "CUDAExecutionProvider",
            Self::TensorRt { .. } => "TensorrtExecutionProvider",
        }
    }
}

/// ONNX Runtime on one execution provider.
#[derive(Clone, Debug)]
pub struct OrtBackend {
    engine: Arc<Engine>,
}

/// What every graph of a backend shares.
#[derive(Debug)]
struct Engine {
    library: Library,
    provider: Provider,
    gathers: gather::Gathers,
}

impl Engine {
    fn new(library: Library, provider: Provider) -> Self {
        Self { library, provider, gathers: gather::Gathers::default() }
    }
}

impl OrtBackend {
    /// A backend for `provider`. Whether the provider works shows when the first graph is prepared.
    pub fn new(library: Library, provider: Provider) -> Self {
        Self { engine: Arc::new(Engine::new(library, provider)) }
    }

    /// The provider that was asked for.
    pub fn provider(&self) -> &Provider {
        &self.engine.provider
    }
}

impl Backend for OrtBackend {
    fn describe(&self) -> Description {
        Description {
            name: "ort",
            provider: self.engine.provider.name(),
            version: self.engine.library.version().to_owned(),
        }
    }

    fn prepare(
        &self,
        graph: &GraphSource<'_>,
        options: &RunnerOptions,
    ) -> Result<Box<dyn Runner>, BackendError> {
        // ONNX Runtime has nothing beside the CPU to run nodes on unless it is given something.
        if self.engine.provider != Provider::Cpu {
            return Ok(Box::new(assignment::proved(&self.engine, graph, options)?));
        }
        let session = session::commit(&self.engine, graph, options, None)?;
        Ok(Box::new(OrtRunner::new(Arc::clone(&self.engine), &graph.label, session, options)?))
    }

    fn saves_optimised(&self) -> bool {
        self.engine.provider == Provider::Cpu
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::OnceLock;

    use offramp_graph::Model;
    use offramp_graph::ir::{Dim, ElementType, Graph, Node, ValueInfo};
    use offramp_models::DType;

    use super::*;

    /// ONNX Runtime from `ORT_DYLIB_PATH`; without it the tests that need it say so and pass, unless
    /// `OFFRAMP_REQUIRE` names `ort`.
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    pub(super) fn library() -> Option<Library> {
        static LIBRARY: OnceLock<Option<Library>> = OnceLock::new();
        *LIBRARY.get_or_init(|| {
            let Some(path) = std::env::var_os("ORT_DYLIB_PATH") else {
                let required = std::env::var("OFFRAMP_REQUIRE").unwrap_or_default();
                assert!(!required.split(',').any(|name| name == "ort"), "ORT_DYLIB_PATH is not set");
                eprintln!("skipped on ONNX Runtime: ORT_DYLIB_PATH is not set");
                return None;
            };
            // SAFETY: other threads of this test binary touch the environment through std alone.
            let silence = unsafe { silence_telemetry() };
            Some(Library::load(Path::new(&path), Pool::default(), silence).unwrap())
        })
    }

    /// One node that says of its tensors that they are `[batch, columns]`, or nothing.
    pub(super) fn relu(columns: Option<usize>) -> Model {
        let dims = columns.map(|columns| vec![Dim::Named("batch".to_owned()), Dim::Known(columns)]);
        let tensor = |name: &str| ValueInfo {
            name: name.to_owned(),
            dtype: Some(ElementType::Known(DType::Float32)),
            dims: dims.clone(),
        };
        let node = Node {
            name: "relu".to_owned(),
            op: "Relu".to_owned(),
            inputs: vec!["x".to_owned()],
            outputs: vec!["y".to_owned()],
            ..Node::default()
        };
        let graph = Graph {
            name: "relu".to_owned(),
            nodes: vec![node],
            inputs: vec![tensor("x")],
            outputs: vec![tensor("y")],
            ..Graph::default()
        };
        Model { ir_version: 8, opsets: [(String::new(), 13)].into(), graph, ..Model::default() }
    }
}
