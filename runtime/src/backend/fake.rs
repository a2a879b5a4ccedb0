//! A scripted engine for tests and examples: logits by image, no arithmetic.
//!
//! The first element of an image is its number. A graph looks its logits up under that number and hands the number on,
//! so segments work wherever real ones do: one image or many, in any order, after any [`Buffer::select`].

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use offramp_models::{DType, TensorSpec};

use super::{
    Backend, BackendError, Bound, Buffer, Description, GraphSource, HostTensor, RunError, Runner,
    RunnerOptions, Value,
};

/// What waits when a graph takes its time; a test advances its own clock here.
pub type Sleep = Arc<dyn Fn(Duration) + Send + Sync>;

/// Plays scripts, one per graph, found by the graph's label.
#[derive(Clone, Default)]
pub struct FakeBackend {
    scripts: BTreeMap<String, Arc<Script>>,
    sleep: Option<Sleep>,
}

/// What one graph does.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Inputs: the image, or an earlier graph's `boundary`. Only the first is read.
    pub inputs: Vec<TensorSpec>,
    /// Name of the logits.
    pub logits: String,
    /// Name of what the next graph reads, shape `[batch, 1]`, float32; `None` in the last graph.
    pub boundary: Option<String>,
    /// Logits by image number, all of one length. NaN passes through.
    pub answers: Vec<Vec<f32>>,
    /// How long an image takes.
    pub delay: Duration,
    /// The image number at which the graph fails.
    pub fails_at: Option<usize>,
}

/// What a script says when it is told to fail or has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// No script bears the graph's label.
    #[error("no script for this graph")]
    NoScript,
    /// The answers differ in length, or there are none.
    #[error("answers of one length are needed")]
    Ragged,
    /// The script has no answer for this image.
    #[error("no answer for image {image}")]
    NoAnswer {
        /// The image's number.
        image: usize,
    },
    /// The script fails here.
    #[error("scripted failure at image {image}")]
    Scripted {
        /// The image's number.
        image: usize,
    },
}

impl FakeBackend {
    /// A backend without scripts; its delays take no time.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the script of the graph called `label`.
    #[must_use]
    pub fn with_script(mut self, label: impl Into<String>, script: Script) -> Self {
        self.scripts.insert(label.into(), Arc::new(script));
        self
    }

    /// Lets delays call `sleep`, once per run.
    #[must_use]
    pub fn with_sleep(mut self, sleep: Sleep) -> Self {
        self.sleep = Some(sleep);
        self
    }
}

impl fmt::Debug for FakeBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeBackend").field("scripts", &self.scripts).finish_non_exhaustive()
    }
}

impl Backend for FakeBackend {
    fn describe(&self) -> Description {
        Description { name: "fake", provider: "cpu", version: env!("CARGO_PKG_VERSION").to_owned() }
    }

    fn prepare(
        &self,
        graph: &GraphSource<'_>,
        _options: &RunnerOptions,
    ) -> Result<Box<dyn Runner>, BackendError> {
        let refuse = |source: ScriptError| BackendError::Prepare {
            backend: "fake",
            graph: graph.label.clone(),
            source: source.into(),
        };
        let script = self.scripts.get(&graph.label).ok_or_else(|| refuse(ScriptError::NoScript))?;
        let classes = script.answers.first().map_or(0, Vec::len);
        if classes == 0 || script.answers.iter().any(|answer| answer.len() != classes) {
            return Err(refuse(ScriptError::Ragged));
        }
        let output = |name: &String, width: usize| TensorSpec {
            name: name.clone(),
            dtype: DType::Float32,
            shape: vec![None, Some(width)],
        };
        let boundary = script.boundary.iter().map(|name| output(name, 1));
        let outputs = std::iter::once(output(&script.logits, classes)).chain(boundary).collect();
        Ok(Box::new(FakeRunner {
            graph: graph.label.clone(),
            script: Arc::clone(script),
            outputs,
            sleep: self.sleep.clone(),
        }))
    }
}

struct FakeRunner {
    graph: String,
    script: Arc<Script>,
    outputs: Vec<TensorSpec>,
    sleep: Option<Sleep>,
}

impl Runner for FakeRunner {
    fn inputs(&self) -> &[TensorSpec] {
        &self.script.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    fn threads(&self) -> Option<usize> {
        Some(1)
    }

    fn allocate(&self, input: usize, batch: usize) -> Result<Value, RunError> {
        let spec = self.script.inputs.get(input).ok_or_else(|| RunError::Form {
            graph: self.graph.clone(),
            expected: format!("an input below {}", self.script.inputs.len()),
            found: format!("input {input}"),
        })?;
        Ok(FakeBuffer::zeros(spec.dtype, spec.shape_at(batch)))
    }

    fn bind(&self, inputs: &[Value], batch: usize) -> Result<Box<dyn Bound>, RunError> {
        let form =
            |expected: String, found: String| RunError::Form { graph: self.graph.clone(), expected, found };
        let specs = &self.script.inputs;
        if inputs.len() != specs.len() {
            return Err(form(format!("{} inputs", specs.len()), inputs.len().to_string()));
        }
        for (value, spec) in inputs.iter().zip(specs) {
            if !value.as_any().is::<FakeBuffer>() {
                return Err(RunError::Foreign { graph: self.graph.clone() });
            }
            let (shape, expected) = (value.shape(), spec.shape_at(batch));
            if value.dtype() != spec.dtype || shape != expected {
                return Err(form(
                    format!("\"{}\" {} {expected:?}", spec.name, spec.dtype),
                    format!("{} {shape:?}", value.dtype()),
                ));
            }
        }
        let Some(ids) = inputs.first().cloned() else { return Err(form("an input".into(), "none".into())) };
        let outputs = self.outputs.iter().map(|spec| FakeBuffer::zeros(spec.dtype, spec.shape_at(batch)));
        Ok(Box::new(FakeBound {
            graph: self.graph.clone(),
            script: Arc::clone(&self.script),
            sleep: self.sleep.clone(),
            ids,
            outputs: outputs.collect(),
            batch,
        }))
    }
}

struct FakeBound {
    graph: String,
    script: Arc<Script>,
    sleep: Option<Sleep>,
    ids: Value,
    outputs: Vec<Value>,
    batch: usize,
}

impl FakeBound {
    fn fail(&self, source: ScriptError) -> RunError {
        RunError::Engine { graph: self.graph.clone(), source: source.into() }
    }
}

impl Bound for FakeBound {
    fn outputs(&self) -> &[Value] {
        &self.outputs
    }

    fn run(&mut self) -> Result<(), RunError> {
        if let Some(sleep) = &self.sleep {
            sleep(self.script.delay * u32::try_from(self.batch).unwrap_or(u32::MAX));
        }
        let foreign = || RunError::Foreign { graph: self.graph.clone() };
        let fake = |value: &'_ Value| value.as_any().is::<FakeBuffer>();
        debug_assert!(fake(&self.ids) && self.outputs.iter().all(fake));
        let ids = self.ids.as_any().downcast_ref::<FakeBuffer>().ok_or_else(foreign)?.data.borrow();
        for (slot, output) in self.outputs.iter().enumerate() {
            let output = output.as_any().downcast_ref::<FakeBuffer>().ok_or_else(foreign)?;
            let mut rows = output.data.borrow_mut();
            let width = rows.len() / self.batch.max(1);
            let rows = rows.chunks_exact_mut(width.max(1));
            for (row, image) in rows.zip(ids.chunks_exact((ids.len() / self.batch.max(1)).max(1))) {
                let id = image.first().copied().unwrap_or(f32::NAN);
                let number = id as usize;
                if slot > 0 {
                    row.fill(id);
                    continue;
                }
                if self.script.fails_at == Some(number) {
                    return Err(self.fail(ScriptError::Scripted { image: number }));
                }
                match self.script.answers.get(number) {
                    Some(answer) => row.copy_from_slice(answer),
                    None => return Err(self.fail(ScriptError::NoAnswer { image: number })),
                }
            }
        }
        Ok(())
    }
}

struct FakeBuffer {
    dtype: DType,
    shape: Vec<usize>,
    data: RefCell<Vec<f32>>,
}

impl FakeBuffer {
    fn zeros(dtype: DType, shape: Vec<usize>) -> Value {
        let data = RefCell::new(vec![0.0; shape.iter().product()]);
        Rc::new(Self { dtype, shape, data })
    }

    /// The elements that `len` bytes from `at` on are.
    fn elements(&self, at: usize, len: usize) -> Option<Range<usize>> {
        let size = self.dtype.size();
        let whole = at.is_multiple_of(size) && len.is_multiple_of(size);
        whole.then(|| at / size..(at / size).saturating_add(len / size))
    }

    fn refuse(&self, found: String) -> RunError {
        RunError::Form {
            graph: "a value".to_owned(),
            expected: format!("{} {:?}", self.dtype, self.shape),
            found,
        }
    }
}

impl Buffer for FakeBuffer {
    fn dtype(&self) -> DType {
        self.dtype
    }

    fn shape(&self) -> Vec<usize> {
        self.shape.clone()
    }

    fn write(&self, from: HostTensor<'_>) -> Result<(), RunError> {
        let mut data = self.data.borrow_mut();
        match from {
            HostTensor::Float32(from) if self.dtype == DType::Float32 && from.len() == data.len() => {
                data.copy_from_slice(from);
            }
            HostTensor::Uint8(from) if self.dtype == DType::Uint8 && from.len() == data.len() => {
                data.iter_mut().zip(from).for_each(|(to, from)| *to = f32::from(*from));
            }
            other => return Err(self.refuse(other.to_string())),
        }
        Ok(())
    }

    fn read(&self, into: &mut [f32]) -> Result<(), RunError> {
        let data = self.data.borrow();
        if into.len() != data.len() {
            return Err(self.refuse(format!("room for {}", into.len())));
        }
        into.copy_from_slice(&data);
        Ok(())
    }

    fn write_bytes(&self, at: usize, from: &[u8]) -> Result<(), RunError> {
        let refuse = || self.refuse(format!("{} bytes at {at}", from.len()));
        let mut data = self.data.borrow_mut();
        let size = self.dtype.size();
        let elements =
            self.elements(at, from.len()).and_then(|range| data.get_mut(range)).ok_or_else(refuse)?;
        for (element, bytes) in elements.iter_mut().zip(from.chunks_exact(size)) {
            *element = match *bytes {
                [byte] => f32::from(byte),
                [a, b, c, d] => f32::from_le_bytes([a, b, c, d]),
                _ => return Err(refuse()),
            };
        }
        Ok(())
    }

    fn read_bytes(&self, at: usize, into: &mut [u8]) -> Result<(), RunError> {
        let refuse = || self.refuse(format!("room for {} bytes at {at}", into.len()));
        let data = self.data.borrow();
        let size = self.dtype.size();
        let elements = self.elements(at, into.len()).and_then(|range| data.get(range)).ok_or_else(refuse)?;
        for (element, bytes) in elements.iter().zip(into.chunks_exact_mut(size)) {
            match self.dtype {
                DType::Uint8 => bytes.copy_from_slice(&[*element as u8]),
                _ => bytes.copy_from_slice(&element.to_le_bytes()),
            }
        }
        Ok(())
    }

    fn select(&self, images: &[usize]) -> Result<Value, RunError> {
        let batch = self.shape.first().copied().unwrap_or(1).max(1);
        let data = self.data.borrow();
        let width = data.len() / batch;
        let mut rows = Vec::with_capacity(images.len() * width);
        for &image in images {
            let row = data.get(image * width..(image + 1) * width);
            rows.extend_from_slice(row.ok_or_else(|| self.refuse(format!("image {image}")))?);
        }
        let mut shape = self.shape.clone();
        if let Some(batch) = shape.first_mut() {
            *batch = images.len();
        }
        Ok(Rc::new(Self { dtype: self.dtype, shape, data: RefCell::new(rows) }))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
