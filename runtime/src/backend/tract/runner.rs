//! A plan, and the plan wired to values.

use std::rc::Rc;

use offramp_models::TensorSpec;
use tract_onnx::prelude::*;

use super::super::{Bound, RunError, Runner, Value};
use super::buffer::TractBuffer;
use super::load::{Edge, Loaded};

/// One prepared graph.
pub(super) struct TractRunner {
    graph: String,
    loaded: Loaded,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
}

impl TractRunner {
    pub(super) fn new(graph: &str, loaded: Loaded) -> Self {
        let specs = |edges: &[Edge]| edges.iter().map(|edge| edge.spec.clone()).collect();
        let (inputs, outputs) = (specs(&loaded.inputs), specs(&loaded.outputs));
        Self { graph: graph.to_owned(), loaded, inputs, outputs }
    }

    fn form(&self, expected: String, found: String) -> RunError {
        RunError::Form { graph: self.graph.clone(), expected, found }
    }

    /// How often the plan runs for `batch` images.
    fn rows(&self, batch: usize) -> Result<usize, RunError> {
        match self.loaded.fixed {
            None => Ok(batch),
            Some(fixed) if fixed == batch => Ok(1),
            Some(fixed) => Err(self.form(format!("batch {fixed}"), format!("batch {batch}"))),
        }
    }
}

impl Runner for TractRunner {
    fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    fn threads(&self) -> Option<usize> {
        Some(1)
    }

    fn allocate(&self, input: usize, batch: usize) -> Result<Value, RunError> {
        let inputs = &self.loaded.inputs;
        let edge = inputs
            .get(input)
            .ok_or_else(|| self.form(format!("an input below {}", inputs.len()), format!("input {input}")))?;
        let (graph, rows) = (Rc::from(self.graph.as_str()), self.rows(batch)?);
        Ok(Rc::new(TractBuffer::zeros(&graph, edge, rows)?))
    }

    fn bind(&self, inputs: &[Value], batch: usize) -> Result<Box<dyn Bound>, RunError> {
        let (edges, rows) = (&self.loaded.inputs, self.rows(batch)?);
        if inputs.len() != edges.len() {
            return Err(self.form(format!("{} inputs", edges.len()), format!("{} inputs", inputs.len())));
        }
        for (value, edge) in inputs.iter().zip(edges) {
            let buffer = value.as_any().downcast_ref::<TractBuffer>();
            let buffer = buffer.ok_or_else(|| RunError::Foreign { graph: self.graph.clone() })?;
            if !buffer.is(edge, rows) {
                let expected = format!("{} at batch {batch}", edge.spec);
                return Err(self.form(expected, format!("{} {:?}", value.dtype(), value.shape())));
            }
        }
        let graph = Rc::from(self.graph.as_str());
        let output =
            |edge: &Edge| -> Result<Value, RunError> { Ok(Rc::new(TractBuffer::zeros(&graph, edge, rows)?)) };
        let state = self.loaded.plan.spawn();
        Ok(Box::new(TractBound {
            state: state
                .map_err(|source| RunError::Engine { graph: self.graph.clone(), source: source.into() })?,
            inputs: inputs.to_vec(),
            outputs: self.loaded.outputs.iter().map(output).collect::<Result<_, _>>()?,
            graph,
            rows,
        }))
    }
}

struct TractBound {
    graph: Rc<str>,
    state: TypedSimpleState,
    inputs: Vec<Value>,
    outputs: Vec<Value>,
    rows: usize,
}

impl TractBound {
    fn buffer<'v>(&self, value: &'v Value) -> Result<&'v TractBuffer, RunError> {
        let foreign = || RunError::Foreign { graph: self.graph.to_string() };
        value.as_any().downcast_ref::<TractBuffer>().ok_or_else(foreign)
    }
}

impl Bound for TractBound {
    fn outputs(&self) -> &[Value] {
        &self.outputs
    }

    fn run(&mut self) -> Result<(), RunError> {
        for row in 0..self.rows {
            let take = |value: &Value| {
                let missing = || RunError::Foreign { graph: self.graph.to_string() };
                self.buffer(value)?.row(row).ok_or_else(missing)
            };
            let inputs = self.inputs.iter().map(take).collect::<Result<TVec<_>, _>>()?;
            let results = self.state.run(inputs).map_err(|source| RunError::Engine {
                graph: self.graph.to_string(),
                source: source.into(),
            })?;
            for (output, result) in self.outputs.iter().zip(results) {
                self.buffer(output)?.set(row, result);
            }
        }
        Ok(())
    }
}
