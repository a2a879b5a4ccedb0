//! A backend of tables: an image is its number, a segment looks its exit's logits up and hands the number on.
//!
//! Nothing is allocated while a bound segment runs.

use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use offramp_models::{Classes, DType, Exit, Input, Layout, Manifest, Sha256, Source, TensorSpec};
use offramp_runtime::backend::{Bound, Buffer, Description, HostTensor, RunError, Runner, Value};
use offramp_runtime::pipeline::Pipeline;

/// Logits by image, exit and class.
#[derive(Clone, Debug)]
pub struct Table {
    pub exits: usize,
    pub classes: usize,
    pub logits: Vec<f32>,
}

impl Table {
    pub fn row(&self, image: usize, exit: usize) -> &[f32] {
        let from = (image * self.exits + exit) * self.classes;
        &self.logits[from..from + self.classes]
    }

    pub fn images(&self) -> usize {
        self.logits.len() / (self.exits * self.classes)
    }

    /// A pipeline that answers from this table; exit `k` costs `k + 1` MACs. Odd segments also read the image.
    pub fn pipeline(&self, batch: Option<usize>) -> Pipeline {
        let table = Arc::new(self.clone());
        let runners = (0..self.exits).map(|segment| -> (Box<dyn Runner>, Description) {
            let runner = Lookup::new(Arc::clone(&table), segment, batch);
            (Box::new(runner), Description { name: "fake", provider: "cpu", version: "1".into() })
        });
        Pipeline::new(&self.manifest(batch), runners.collect()).unwrap()
    }

    fn manifest(&self, batch: Option<usize>) -> Manifest {
        let exits = (0..self.exits).map(|index| Exit {
            index,
            name: format!("exit{index}"),
            logits: format!("logits{index}"),
            segment: index,
            macs: index as u64 + 1,
            macs_fraction: (index + 1) as f64 / self.exits as f64,
            params: 0,
        });
        Manifest {
            schema_version: 1,
            name: "table".into(),
            producer: "tests".into(),
            source: Source { file: "table.onnx".into(), sha256: Sha256::of(b"table") },
            input: Input {
                name: "image".into(),
                dtype: DType::Float32,
                shape: vec![batch, Some(1), Some(1), Some(1)],
                layout: Layout::Nchw,
                range: [0.0, 1.0],
                mean: None,
                std: None,
            },
            classes: Classes { count: self.classes, names: None },
            exits: exits.collect(),
            segments: Vec::new(),
            extras: Vec::new(),
        }
    }
}

struct Lookup {
    table: Arc<Table>,
    segment: usize,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
}

impl Lookup {
    fn new(table: Arc<Table>, segment: usize, batch: Option<usize>) -> Self {
        let spec = |name: String, extents: &[usize]| TensorSpec {
            name,
            dtype: DType::Float32,
            shape: std::iter::once(batch).chain(extents.iter().map(|extent| Some(*extent))).collect(),
        };
        let mut inputs = Vec::new();
        if segment > 0 {
            inputs.push(spec(format!("cut{}", segment - 1), &[1]));
        }
        if segment == 0 || segment % 2 == 1 {
            inputs.push(spec("image".into(), &[1, 1, 1]));
        }
        let mut outputs = vec![spec(format!("logits{segment}"), &[table.classes])];
        if segment + 1 < table.exits {
            outputs.push(spec(format!("cut{segment}"), &[1]));
        }
        Self { table, segment, inputs, outputs }
    }
}

impl Runner for Lookup {
    fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    fn allocate(&self, input: usize, batch: usize) -> Result<Value, RunError> {
        Ok(Memory::of(self.inputs[input].shape_at(batch)))
    }

    fn bind(&self, inputs: &[Value], batch: usize) -> Result<Box<dyn Bound>, RunError> {
        for (value, spec) in inputs.iter().zip(&self.inputs) {
            if value.shape() != spec.shape_at(batch) {
                return Err(form(format!("{:?}", spec.shape_at(batch)), format!("{:?}", value.shape())));
            }
        }
        assert_eq!(inputs.len(), self.inputs.len());
        let outputs: Vec<Value> =
            self.outputs.iter().map(|spec| -> Value { Memory::of(spec.shape_at(batch)) }).collect();
        let (table, segment) = (Arc::clone(&self.table), self.segment);
        Ok(Box::new(Wired { table, segment, inputs: inputs.to_vec(), outputs }))
    }
}

struct Wired {
    table: Arc<Table>,
    segment: usize,
    inputs: Vec<Value>,
    outputs: Vec<Value>,
}

impl Bound for Wired {
    fn outputs(&self) -> &[Value] {
        &self.outputs
    }

    fn run(&mut self) -> Result<(), RunError> {
        let numbers = memory(&self.inputs[0]).elements.borrow();
        for other in &self.inputs[1..] {
            assert_eq!(*memory(other).elements.borrow(), *numbers, "inputs hold different images");
        }
        let mut logits = memory(&self.outputs[0]).elements.borrow_mut();
        for (number, logits) in numbers.iter().zip(logits.chunks_exact_mut(self.table.classes)) {
            let image = *number as usize;
            if image >= self.table.images() {
                let graph = format!("segment {}", self.segment);
                return Err(RunError::Engine { graph, source: format!("no image {image}").into() });
            }
            logits.copy_from_slice(self.table.row(image, self.segment));
        }
        if let Some(cut) = self.outputs.get(1) {
            memory(cut).elements.borrow_mut().copy_from_slice(&numbers);
        }
        Ok(())
    }
}

struct Memory {
    shape: Vec<usize>,
    elements: RefCell<Vec<f32>>,
}

impl Memory {
    fn of(shape: Vec<usize>) -> Rc<Self> {
        let elements = RefCell::new(vec![0.0; shape.iter().product()]);
        Rc::new(Self { shape, elements })
    }
}

fn memory(value: &Value) -> &Memory {
    value.as_any().downcast_ref().unwrap()
}

fn form(expected: String, found: String) -> RunError {
    RunError::Form { graph: "value".into(), expected, found }
}

impl Buffer for Memory {
    fn dtype(&self) -> DType {
        DType::Float32
    }

    fn shape(&self) -> Vec<usize> {
        self.shape.clone()
    }

    fn write(&self, from: HostTensor<'_>) -> Result<(), RunError> {
        match from {
            HostTensor::Float32(from) if from.len() == self.elements.borrow().len() => {
                self.elements.borrow_mut().copy_from_slice(from);
                Ok(())
            }
            _ => Err(form("float32".into(), "other elements".into())),
        }
    }

    fn read(&self, into: &mut [f32]) -> Result<(), RunError> {
        let elements = self.elements.borrow();
        if into.len() != elements.len() {
            return Err(form(elements.len().to_string(), into.len().to_string()));
        }
        into.copy_from_slice(&elements);
        Ok(())
    }

    fn write_bytes(&self, _: usize, from: &[u8]) -> Result<(), RunError> {
        Err(form("elements".into(), format!("{} bytes", from.len())))
    }

    fn read_bytes(&self, at: usize, into: &mut [u8]) -> Result<(), RunError> {
        let bytes: Vec<u8> =
            self.elements.borrow().iter().flat_map(|element| element.to_le_bytes()).collect();
        let range = bytes.get(at..at + into.len());
        into.copy_from_slice(range.ok_or_else(|| form(bytes.len().to_string(), format!("bytes from {at}")))?);
        Ok(())
    }

    fn select(&self, images: &[usize]) -> Result<Value, RunError> {
        let mut shape = self.shape.clone();
        let elements = self.elements.borrow();
        let row = elements.len() / shape[0];
        let rows = images.iter().flat_map(|image| &elements[image * row..][..row]).copied();
        shape[0] = images.len();
        Ok(Rc::new(Self { shape, elements: RefCell::new(rows.collect()) }))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
