//! Tensors of tract, one per image.

use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;

use offramp_models::DType;
use tract_onnx::prelude::{IntoTValue, TValue, Tensor};

use super::super::{Buffer, HostTensor, RunError, Value};
use super::element;
use super::load::Edge;

/// A value: one tensor per image, each with the batch that the plan has.
pub(super) struct TractBuffer {
    graph: Rc<str>,
    dtype: DType,
    /// Shape of one row.
    row: Vec<usize>,
    /// The axis along which rows would be joined.
    axis: usize,
    rows: RefCell<Vec<TValue>>,
}

impl TractBuffer {
    /// Zeros for `edge`.
    pub(super) fn zeros(graph: &Rc<str>, edge: &Edge, rows: usize) -> Result<Self, RunError> {
        let (dtype, row) = (edge.spec.dtype, &edge.row);
        let fail = |source: tract_onnx::prelude::TractError| RunError::Engine {
            graph: graph.to_string(),
            source: source.into(),
        };
        let datum = element::datum(dtype).ok_or_else(|| RunError::Form {
            graph: graph.to_string(),
            expected: "an element type that tract has".to_owned(),
            found: dtype.to_string(),
        })?;
        let zero = Tensor::zero_dt(datum, row).map_err(fail)?.into_tvalue();
        let rows = RefCell::new(vec![zero; rows]);
        Ok(Self { graph: Rc::clone(graph), dtype, row: row.clone(), axis: edge.batch_axis(), rows })
    }

    /// Whether this is `rows` rows of `edge`.
    pub(super) fn is(&self, edge: &Edge, rows: usize) -> bool {
        self.dtype == edge.spec.dtype && self.row == edge.row && self.rows.borrow().len() == rows
    }

    /// The tensor of one row, shared.
    pub(super) fn row(&self, row: usize) -> Option<TValue> {
        self.rows.borrow().get(row).cloned()
    }

    /// Puts a tensor into a row.
    pub(super) fn set(&self, row: usize, value: TValue) {
        if let Some(slot) = self.rows.borrow_mut().get_mut(row) {
            *slot = value;
        }
    }

    fn refuse(&self, found: String) -> RunError {
        let graph = format!("a value of {}", self.graph);
        RunError::Form { graph, expected: format!("{} {:?}", self.dtype, self.shape()), found }
    }

    fn width(&self) -> usize {
        self.row.iter().product()
    }

    fn fill<T: tract_onnx::prelude::Datum + Copy>(&self, from: &[T]) -> Result<(), RunError> {
        let mut rows = self.rows.borrow_mut();
        for (slot, elements) in rows.iter_mut().zip(from.chunks_exact(self.width().max(1))) {
            let tensor = Tensor::from_shape(&self.row, elements);
            *slot = tensor.map_err(|source| self.refuse(source.to_string()))?.into_tvalue();
        }
        Ok(())
    }
}

impl Buffer for TractBuffer {
    fn dtype(&self) -> DType {
        self.dtype
    }

    fn shape(&self) -> Vec<usize> {
        let mut shape = self.row.clone();
        if let Some(batch) = shape.get_mut(self.axis) {
            *batch *= self.rows.borrow().len();
        }
        shape
    }

    fn write(&self, from: HostTensor<'_>) -> Result<(), RunError> {
        if from.dtype() != self.dtype || from.len() != self.width() * self.rows.borrow().len() {
            return Err(self.refuse(from.to_string()));
        }
        match from {
            HostTensor::Float32(elements) => self.fill(elements),
            HostTensor::Uint8(elements) => self.fill(elements),
        }
    }

    fn read(&self, into: &mut [f32]) -> Result<(), RunError> {
        let rows = self.rows.borrow();
        if into.len() != self.width() * rows.len() {
            return Err(self.refuse(format!("room for {}", into.len())));
        }
        for (row, into) in rows.iter().zip(into.chunks_exact_mut(self.width().max(1))) {
            let refuse = |source: tract_onnx::prelude::TractError| self.refuse(source.to_string());
            let view = row.try_as_plain_ram().map_err(refuse)?;
            into.copy_from_slice(view.as_slice::<f32>().map_err(refuse)?);
        }
        Ok(())
    }

    fn select(&self, images: &[usize]) -> Result<Value, RunError> {
        let row = |&image: &usize| self.row(image).ok_or_else(|| self.refuse(format!("image {image}")));
        let rows = images.iter().map(row).collect::<Result<_, _>>()?;
        Ok(Rc::new(Self {
            graph: Rc::clone(&self.graph),
            dtype: self.dtype,
            row: self.row.clone(),
            axis: self.axis,
            rows: RefCell::new(rows),
        }))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
