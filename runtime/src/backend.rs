//! The seam to engines: graphs in, tensors to tensors.
//!
//! Three lifetimes: a [`Backend`] prepares graphs, a [`Runner`] is one prepared graph, a [`Bound`] runs it on values
//! wired once for one batch size. A backend never knows exits, thresholds or confidence.

pub mod fake;
pub mod ort;
pub mod processor;
pub mod slowed;
pub mod tract;

use std::any::Any;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use offramp_models::{DType, TensorSpec};

/// An engine.
pub trait Backend: Send + Sync {
    /// What runs, for reports.
    fn describe(&self) -> Description;

    /// Loads and, if asked, optimises `graph`.
    ///
    /// # Errors
    /// [`BackendError`]: an operator the engine lacks, a provider that cannot run the whole graph, a broken file.
    fn prepare(
        &self,
        graph: &GraphSource<'_>,
        options: &RunnerOptions,
    ) -> Result<Box<dyn Runner>, BackendError>;

    /// Whether graphs can be saved as this engine optimised them, and loaded so.
    fn saves_optimised(&self) -> bool {
        false
    }
}

/// Name, provider and version of an engine: `ort`, `cpu`, `1.31.1`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Description {
    /// `ort`, `tract` or `fake`.
    pub name: &'static str,
    /// `cpu`, `cuda` or `tensorrt`.
    pub provider: &'static str,
    /// Version of the engine's library.
    pub version: String,
}

/// Nodes of a graph that one provider ran.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Share {
    /// The engine's name of the provider: `CUDAExecutionProvider`.
    pub provider: String,
    /// How many, after the engine's optimisations.
    pub nodes: usize,
}

/// A graph and how errors call it: `segment 1`.
#[derive(Clone, Debug)]
pub struct GraphSource<'a> {
    /// Name for people.
    pub label: String,
    /// Where its bytes are.
    pub origin: Origin<'a>,
}

/// Where a graph's ONNX bytes are.
#[derive(Clone, Copy, Debug)]
pub enum Origin<'a> {
    /// A file; external data lies beside it.
    File(&'a Path),
    /// Bytes without external data.
    Bytes(&'a [u8]),
}

/// How a graph is prepared.
#[derive(Clone, Debug, Default)]
pub struct RunnerOptions {
    /// Threads inside one operator, where the engine has a choice; `None` leaves it to the engine.
    /// [`Runner::threads`] says what came of it.
    pub threads: Option<usize>,
    /// The graph was optimised before: load it as it is.
    pub as_is: bool,
    /// Outputs that the host reads; all others stay where the engine computes.
    pub host_outputs: Vec<String>,
    /// Save the graph as the engine optimised it.
    pub save_optimised: Option<PathBuf>,
}

/// One prepared graph; may be shared by threads.
pub trait Runner: Send + Sync {
    /// Inputs in the graph's order.
    fn inputs(&self) -> &[TensorSpec];

    /// Outputs in the graph's order; extents the graph does not state are `None` too.
    fn outputs(&self) -> &[TensorSpec];

    /// Threads that one operator runs on, whatever was asked for; `None` where the engine chooses.
    fn threads(&self) -> Option<usize> {
        None
    }

    /// What ran the graph's nodes when it was prepared, by provider; empty where the engine has no choice, or does not
    /// tell.
    fn shares(&self) -> &[Share] {
        &[]
    }

    /// Room for an input that the host fills.
    ///
    /// # Errors
    /// [`RunError`] when memory cannot be had.
    fn allocate(&self, input: usize, batch: usize) -> Result<Value, RunError>;

    /// Wires the graph to `inputs`, in the graph's order, for one batch size.
    ///
    /// # Errors
    /// [`RunError`] when a value has the wrong type or shape, naming graph, tensor, expected and found.
    fn bind(&self, inputs: &[Value], batch: usize) -> Result<Box<dyn Bound>, RunError>;
}

/// A graph wired to its values.
pub trait Bound {
    /// The values that [`Bound::run`] fills, in the graph's order.
    fn outputs(&self) -> &[Value];

    /// Computes the outputs from what the inputs hold now.
    ///
    /// # Errors
    /// [`RunError`] from the engine.
    fn run(&mut self) -> Result<(), RunError>;
}

/// A tensor that lives where its engine computes; shared between the graph that fills it and those that read it.
pub type Value = Rc<dyn Buffer>;

/// What the host may do with a value.
pub trait Buffer: Any {
    /// Element type.
    fn dtype(&self) -> DType;

    /// Extents, batch filled in.
    fn shape(&self) -> Vec<usize>;

    /// Copies `from` in. Only for values made by [`Runner::allocate`].
    ///
    /// # Errors
    /// [`RunError::Form`] when type or length differ.
    fn write(&self, from: HostTensor<'_>) -> Result<(), RunError>;

    /// Copies out as float32. Only for values the host may read (`host_outputs`).
    ///
    /// # Errors
    /// [`RunError::Form`] when type or length differ.
    fn read(&self, into: &mut [f32]) -> Result<(), RunError>;

    /// Copies little-endian elements in, row-major, from byte `at` of the value on. Only for values made by
    /// [`Runner::allocate`].
    ///
    /// # Errors
    /// [`RunError::Form`] when they do not lie inside, or do not start and end where the engine keeps rows apart.
    fn write_bytes(&self, at: usize, from: &[u8]) -> Result<(), RunError>;

    /// Copies little-endian elements out, row-major, from byte `at` of the value on. Only for values the host may read
    /// (`host_outputs`).
    ///
    /// # Errors
    /// As [`Buffer::write_bytes`].
    fn read_bytes(&self, at: usize, into: &mut [u8]) -> Result<(), RunError>;

    /// A new value holding these images of the batch, in this order.
    ///
    /// # Errors
    /// [`RunError`] when memory cannot be had.
    fn select(&self, images: &[usize]) -> Result<Value, RunError>;

    /// The engine's own type.
    fn as_any(&self) -> &dyn Any;
}

/// Truth values are bytes 0 and 1; bytes from elsewhere may be others, which no engine may see.
fn refuse_odd_truth(dtype: DType, bytes: &[u8]) -> Result<(), String> {
    match bytes.iter().find(|byte| dtype == DType::Bool && **byte > 1) {
        Some(byte) => Err(format!("byte {byte} as a truth value")),
        None => Ok(()),
    }
}

/// Elements in host memory, row-major.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum HostTensor<'a> {
    /// float32.
    Float32(&'a [f32]),
    /// uint8.
    Uint8(&'a [u8]),
}

impl HostTensor<'_> {
    /// Element type.
    pub fn dtype(&self) -> DType {
        match self {
            Self::Float32(_) => DType::Float32,
            Self::Uint8(_) => DType::Uint8,
        }
    }

    /// Elements.
    pub fn len(&self) -> usize {
        match self {
            Self::Float32(elements) => elements.len(),
            Self::Uint8(elements) => elements.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl std::fmt::Display for HostTensor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} elements of {}", self.len(), self.dtype())
    }
}

/// A graph that cannot be prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The engine lacks an operator.
    #[error("{backend} cannot run operator {op} (node \"{node}\") of {graph}")]
    Operator {
        /// The engine.
        backend: &'static str,
        /// The operator, with its domain if it is not ai.onnx.
        op: String,
        /// The node's name.
        node: String,
        /// The graph.
        graph: String,
    },
    /// The engine's library is not there or cannot be used.
    #[error("ONNX Runtime is not available")]
    Library(#[source] LibraryError),
    /// A provider that was asked for cannot run.
    #[error("execution provider {provider} cannot run {graph}")]
    Provider {
        /// `cuda` or `tensorrt`.
        provider: &'static str,
        /// The graph.
        graph: String,
        /// The engine's reason.
        #[source]
        source: EngineError,
    },
    /// Another provider than the one asked for ran a part of the graph.
    #[error("execution provider {provider} was asked for, but {found} ran {op} (node \"{node}\") of {graph}")]
    Elsewhere {
        /// `cuda` or `tensorrt`.
        provider: &'static str,
        /// The engine's name of the provider that ran it.
        found: String,
        /// The operator.
        op: String,
        /// The node's name.
        node: String,
        /// The graph.
        graph: String,
    },
    /// The graph was loaded, and its first run failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The engine refused the graph.
    #[error("{backend} cannot prepare {graph}")]
    Prepare {
        /// The engine.
        backend: &'static str,
        /// The graph.
        graph: String,
        /// The engine's reason.
        #[source]
        source: EngineError,
    },
    /// A graph whose form the runtime does not carry.
    #[error("{graph}: {tensor} has a type that images cannot cross cuts in")]
    Tensor {
        /// The graph.
        graph: String,
        /// The tensor.
        tensor: String,
    },
}

/// Why ONNX Runtime's shared library cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LibraryError {
    /// Nowhere to be found.
    #[error("no ONNX Runtime library in {}", searched.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", "))]
    NotFound {
        /// Places that were looked into.
        searched: Vec<PathBuf>,
    },
    /// Found, but it cannot be loaded.
    #[error("cannot load {}", path.display())]
    Load {
        /// The library.
        path: PathBuf,
        /// The loader's reason.
        #[source]
        source: EngineError,
    },
    /// A process holds one ONNX Runtime, and it holds another.
    #[error("cannot load {}: this process runs {}", path.display(), loaded.display())]
    Taken {
        /// The library asked for.
        path: PathBuf,
        /// The library that was loaded before.
        loaded: PathBuf,
    },
    /// Older than the API this build needs.
    #[error("{} is ONNX Runtime {found}, this build needs {needed} or newer", path.display())]
    TooOld {
        /// The library.
        path: PathBuf,
        /// Its version.
        found: String,
        /// The oldest that serves.
        needed: &'static str,
    },
}

/// A run that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A value of the wrong type or shape.
    #[error("{graph} expects {expected}, got {found}")]
    Form {
        /// The graph or value.
        graph: String,
        /// Type and shape expected.
        expected: String,
        /// Type and shape found.
        found: String,
    },
    /// A value of another engine.
    #[error("{graph} was given a value of another backend")]
    Foreign {
        /// The graph.
        graph: String,
    },
    /// The engine failed.
    #[error("{graph} failed")]
    Engine {
        /// The graph.
        graph: String,
        /// The engine's reason.
        #[source]
        source: EngineError,
    },
}

/// An engine's own error, kept whole.
pub type EngineError = Box<dyn std::error::Error + Send + Sync>;
