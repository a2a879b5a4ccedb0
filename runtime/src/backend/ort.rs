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
        let session = session::commit(&self.engine, graph, options, None)?;
        Ok(Box::new(OrtRunner::new(Arc::clone(&self.engine), &graph.label, session, options)?))
    }

    fn saves_optimised(&self) -> bool {
        self.engine.provider == Provider::Cpu
    }
}
