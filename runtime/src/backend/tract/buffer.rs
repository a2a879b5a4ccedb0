//! Tensors of tract, one per image.

use std::any::Any;
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use offramp_models::DType;
use tract_onnx::prelude::{IntoTValue, TValue, Tensor};

use super::super::{Buffer, HostTensor, RunError, Value, refuse_odd_truth};
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

    /// The rows that `len` bytes from `at` on are.
    fn rows_of(&self, at: usize, len: usize) -> Result<Range<usize>, RunError> {
        let (row, rows) = ((self.width() * self.dtype.size()).max(1), self.rows.borrow().len());
        let whole = at.is_multiple_of(row) && len.is_multiple_of(row) && (self.axis == 0 || rows == 1);
        let range = at / row..(at / row).saturating_add(len / row);
        if !whole || range.end > rows || cfg!(target_endian = "big") {
            return Err(
                self.refuse(format!("{len} bytes at {at}, images of {row} bytes along axis {}", self.axis))
            );
        }
        Ok(range)
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

    fn write_bytes(&self, at: usize, from: &[u8]) -> Result<(), RunError> {
        let range = self.rows_of(at, from.len())?;
        refuse_odd_truth(self.dtype, from).map_err(|found| self.refuse(found))?;
        let refuse = |source: tract_onnx::prelude::TractError| self.refuse(source.to_string());
        let datum = element::datum(self.dtype).ok_or_else(|| self.refuse(self.dtype.to_string()))?;
        let mut rows = self.rows.borrow_mut();
        let row = (self.width() * self.dtype.size()).max(1);
        for (slot, bytes) in rows[range].iter_mut().zip(from.chunks_exact(row)) {
            // SAFETY: every bit pattern is a value of every type that crosses cuts but `bool`, which was looked at.
            *slot = unsafe { Tensor::from_raw_dt(datum, &self.row, bytes) }.map_err(refuse)?.into_tvalue();
        }
        Ok(())
    }

    fn read_bytes(&self, at: usize, into: &mut [u8]) -> Result<(), RunError> {
        let range = self.rows_of(at, into.len())?;
        let rows = self.rows.borrow();
        let row = (self.width() * self.dtype.size()).max(1);
        for (tensor, into) in rows[range].iter().zip(into.chunks_exact_mut(row)) {
            let view = tensor.try_as_plain_ram().map_err(|source| self.refuse(source.to_string()))?;
            into.copy_from_slice(view.as_bytes());
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
