//! A graph in a session, and the shapes it was seen to give.

use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use offramp_models::TensorSpec;
use ort::session::{IoBinding, Session};

use super::super::{BackendError, Bound, RunError, Runner, RunnerOptions, Share, Value};
use super::Engine;
use super::bound::OrtBound;
use super::buffer::{Layout, OrtBuffer, Place};
use super::form::{Form, forms};
use super::shapes::{Observed, Shapes};

/// One prepared graph.
pub(super) struct OrtRunner {
    engine: Arc<Engine>,
    graph: Arc<str>,
    /// Locked to bind and to observe shapes; running does not take the lock.
    session: Mutex<Session>,
    inputs: Vec<Form>,
    outputs: Vec<Form>,
    input_specs: Vec<TensorSpec>,
    output_specs: Vec<TensorSpec>,
    /// Per output: where it is kept.
    places: Vec<Place>,
    observed: Mutex<Observed>,
    threads: Option<usize>,
    shares: Vec<Share>,
}

impl OrtRunner {
    pub(super) fn new(
        engine: Arc<Engine>,
        label: &str,
        session: Session,
        options: &RunnerOptions,
    ) -> Result<Self, BackendError> {
        let (inputs, outputs) = forms(label, session.inputs(), session.outputs())?;
        let place = |form: &Form| match options.host_outputs.contains(&form.spec.name) {
            true => Place::Host,
            false => Place::of(&engine.provider),
        };
        let specs = |forms: &[Form]| forms.iter().map(|form| form.spec.clone()).collect();
        Ok(Self {
            threads: options.threads.or(engine.library.pool().threads),
            shares: Vec::new(),
            places: outputs.iter().map(place).collect(),
            input_specs: specs(&inputs),
            output_specs: specs(&outputs),
            inputs,
            outputs,
            engine,
            graph: label.into(),
            session: Mutex::new(session),
            observed: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, source: ort::Error) -> RunError {
        RunError::Engine { graph: self.graph.to_string(), source: source.into() }
    }

    /// The inputs as buffers of this engine, of the right form.
    fn check<'v>(&self, inputs: &'v [Value], batch: usize) -> Result<Vec<&'v OrtBuffer>, RunError> {
        let form = |expected, found| RunError::Form { graph: self.graph.to_string(), expected, found };
        if inputs.len() != self.inputs.len() {
            let found = format!("{} inputs", inputs.len());
            return Err(form(format!("{} inputs", self.inputs.len()), found));
        }
        let foreign = || RunError::Foreign { graph: self.graph.to_string() };
        let pairs = inputs.iter().zip(&self.inputs).map(|(value, expected)| {
            let buffer = value.as_any().downcast_ref::<OrtBuffer>().ok_or_else(foreign)?;
            if buffer.place() == Place::Device && Place::of(&self.engine.provider) == Place::Host {
                return Err(foreign());
            }
            let shape = value.shape();
            if value.dtype() != expected.spec.dtype || !expected.admits(&shape, batch) {
                let found = format!("{} {shape:?}", value.dtype());
                return Err(form(format!("{} at batch {batch}", expected.spec), found));
            }
            Ok(buffer)
        });
        pairs.collect()
    }

    fn observed(&self) -> MutexGuard<'_, Observed> {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shapes of the outputs at `batch`: as stated, or as runs show. The first batch of several images shows those of
    /// one image too, so that no smaller batch has to be tried when it is wired.
    fn shapes(&self, inputs: &[Value], batch: usize) -> Result<Shapes, RunError> {
        let stated: Option<Vec<_>> = self.outputs.iter().map(|form| form.shape_at(batch)).collect();
        if let Some(stated) = stated {
            return Ok(stated.into());
        }
        let known = self.observed().at(batch);
        if let Some(known) = known {
            return Ok(known);
        }
        let shapes: Shapes = self.observe(&self.check(inputs, batch)?)?.into();
        self.observed().see(batch, Arc::clone(&shapes));
        if batch > 1 && !self.observed().has_seen(1) {
            // A graph that runs at one batch only has no other shapes.
            let _unknown = self.single(inputs);
        }
        Ok(shapes)
    }

    /// Shapes of the outputs for the first image alone.
    fn single(&self, inputs: &[Value]) -> Result<Shapes, RunError> {
        let known = self.observed().at(1);
        if let Some(known) = known {
            return Ok(known);
        }
        let single = inputs.iter().map(|value| value.select(&[0])).collect::<Result<Vec<_>, _>>()?;
        self.shapes(&single, 1)
    }

    /// Runs once with outputs that ONNX Runtime allocates, for their shapes.
    fn observe(&self, inputs: &[&OrtBuffer]) -> Result<Vec<Vec<usize>>, RunError> {
        let mut session = self.lock();
        let run = |session: &mut Session| -> ort::Result<Vec<Vec<usize>>> {
            let mut binding = session.create_binding()?;
            for (form, buffer) in self.inputs.iter().zip(inputs) {
                binding.bind_input(&form.spec.name, buffer.tensor())?;
            }
            for (form, place) in self.outputs.iter().zip(&self.places) {
                binding.bind_output_to_device(&form.spec.name, &place.memory()?)?;
            }
            let outputs = session.run_binding(&binding)?;
            let shape = |form: &Form| {
                let shape = outputs.get(&*form.spec.name).map(|value| value.shape().to_vec());
                let extents = shape.unwrap_or_default();
                extents.into_iter().map(|extent| usize::try_from(extent).unwrap_or(0)).collect()
            };
            Ok(self.outputs.iter().map(shape).collect())
        };
        run(&mut session).map_err(|source| self.fail(source))
    }

    /// The axis of each output along which images lie.
    fn axes(&self, inputs: &[Value], shapes: &Shapes, batch: usize) -> Result<Vec<Option<usize>>, RunError> {
        if batch == 1 {
            let first = |form: &Form| Some(form.batch_axis().unwrap_or(0));
            return Ok(self.outputs.iter().map(first).collect());
        }
        if let Some(named) = self.outputs.iter().map(|form| form.batch_axis().map(Some)).collect() {
            return Ok(named);
        }
        let Ok(singles) = self.single(inputs) else {
            // A graph that runs at one batch only is never compacted.
            return Ok(vec![Some(0); shapes.len()]);
        };
        let differs = |(form, (one, many)): (&Form, (&Vec<usize>, &Vec<usize>))| {
            form.batch_axis().or_else(|| one.iter().zip(many).position(|(one, many)| one != many))
        };
        Ok(self.outputs.iter().zip(singles.iter().zip(shapes.iter())).map(differs).collect())
    }

    /// Whether one image's inputs can be made from what the graph states.
    pub(super) fn states_inputs(&self) -> bool {
        self.inputs.iter().all(|form| form.shape_at(1).is_some())
    }

    /// Ends the profile that the session was committed with, and says where it is.
    pub(super) fn end_profiling(&self) -> ort::Result<String> {
        self.lock().end_profiling()
    }

    /// Notes what ran the graph's nodes.
    pub(super) fn with_shares(mut self, shares: Vec<Share>) -> Self {
        self.shares = shares;
        self
    }

    fn buffer(&self, place: Place, session: &Session, layout: &Layout<'_>) -> Result<OrtBuffer, RunError> {
        OrtBuffer::new(&self.engine, &self.graph, place, Some(session), layout)
    }
}

impl Runner for OrtRunner {
    fn inputs(&self) -> &[TensorSpec] {
        &self.input_specs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.output_specs
    }

    fn threads(&self) -> Option<usize> {
        self.threads
    }

    fn shares(&self) -> &[Share] {
        &self.shares
    }

    fn allocate(&self, input: usize, batch: usize) -> Result<Value, RunError> {
        let form = |expected, found| RunError::Form { graph: self.graph.to_string(), expected, found };
        let wanted = self
            .inputs
            .get(input)
            .ok_or_else(|| form(format!("an input below {}", self.inputs.len()), format!("input {input}")))?;
        let shape = wanted.shape_at(batch).ok_or_else(|| {
            form(format!("an input of known shape, {} is not", wanted.spec), "no value".to_owned())
        })?;
        let layout = Layout { dtype: wanted.spec.dtype, shape: &shape, axis: wanted.batch_axis(), batch };
        Ok(Rc::new(self.buffer(Place::Host, &self.lock(), &layout)?))
    }

    fn bind(&self, inputs: &[Value], batch: usize) -> Result<Box<dyn Bound>, RunError> {
        let buffers = self.check(inputs, batch)?;
        let shapes = self.shapes(inputs, batch)?;
        let axes = self.axes(inputs, &shapes, batch)?;
        let session = self.lock();
        let mut binding: IoBinding = session.create_binding().map_err(|source| self.fail(source))?;
        for (form, buffer) in self.inputs.iter().zip(&buffers) {
            binding.bind_input(&form.spec.name, buffer.tensor()).map_err(|source| self.fail(source))?;
        }
        let mut outputs: Vec<Value> = Vec::with_capacity(self.outputs.len());
        for (((form, place), shape), axis) in self.outputs.iter().zip(&self.places).zip(&*shapes).zip(axes) {
            let layout = Layout { dtype: form.spec.dtype, shape, axis, batch };
            let mut buffer = self.buffer(*place, &session, &layout)?;
            binding.bind_output(&form.spec.name, buffer.tensor_mut()).map_err(|source| self.fail(source))?;
            outputs.push(Rc::new(buffer));
        }
        let fed = inputs.iter().zip(&buffers).zip(&self.inputs);
        let refresh = fed.filter(|_| Place::of(&self.engine.provider) == Place::Device);
        let refresh = refresh
            .filter(|((_, buffer), _)| buffer.place() == Place::Host)
            .map(|((_, buffer), form)| (form.spec.name.as_str(), buffer.handle()));
        let bound = OrtBound::new(&self.graph, session.inner(), binding, inputs.to_vec(), outputs, refresh);
        Ok(Box::new(bound.map_err(|source| self.fail(source))?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Backend as _, GraphSource, HostTensor, Origin};
    use super::super::tests::{library, relu};
    use super::super::{OrtBackend, Provider, session};
    use super::*;

    #[test]
    fn wiring_what_is_left_of_a_batch_runs_nothing_where_shapes_are_not_stated() {
        let Some(library) = library() else { return };
        let backend = OrtBackend::new(library, Provider::Cpu);
        let stated = relu(Some(4)).to_bytes().unwrap();
        let graph = GraphSource { label: "relu".to_owned(), origin: Origin::Bytes(&stated) };
        let first = backend.prepare(&graph, &RunnerOptions::default()).unwrap();
        let unstated = relu(None).to_bytes().unwrap();
        let graph = GraphSource { label: "relu".to_owned(), origin: Origin::Bytes(&unstated) };
        let options = RunnerOptions { host_outputs: vec!["y".to_owned()], ..RunnerOptions::default() };
        let session = session::commit(&backend.engine, &graph, &options, None).unwrap();
        let second = OrtRunner::new(Arc::clone(&backend.engine), "relu", session, &options).unwrap();

        let images = first.allocate(0, 3).unwrap();
        let pixels: Vec<f32> = (0..12_u8).map(f32::from).collect();
        images.write(HostTensor::Float32(&pixels)).unwrap();
        second.bind(std::slice::from_ref(&images), 3).unwrap();
        assert!(second.observed().has_seen(1) && second.observed().has_seen(3));
        let left = images.select(&[2, 0]).unwrap();
        let mut rest = second.bind(&[left], 2).unwrap();
        assert!(!second.observed().has_seen(2));
        rest.run().unwrap();
        let mut found = [0.0; 8];
        rest.outputs()[0].read(&mut found).unwrap();
        assert_eq!(found, [8.0, 9.0, 10.0, 11.0, 0.0, 1.0, 2.0, 3.0]);
        let last = rest.outputs()[0].select(&[1]).unwrap();
        last.read(&mut found[..4]).unwrap();
        assert_eq!(found[..4], [0.0, 1.0, 2.0, 3.0]);
    }
}
