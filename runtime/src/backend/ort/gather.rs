//! Choosing images on the device, by a graph of one `Gather`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use offramp_graph::Model;
use offramp_graph::ir::{Attribute, ElementType, Graph, Node, ValueInfo};
use offramp_models::DType;
use ort::session::Session;
use ort::value::DynTensor;

use super::super::{GraphSource, Origin, RunError, RunnerOptions};
use super::{Engine, Provider, session};

const INTO: &str = "chosen";

/// A session per element type and axis.
#[derive(Debug, Default)]
pub(super) struct Gathers(Mutex<HashMap<(DType, usize), Shared>>);

/// A session that tensors hold on to.
pub(super) type Shared = Arc<Mutex<Session>>;

impl Gathers {
    /// The session that gathers tensors of `dtype` along `axis`, made when it is first asked for.
    pub(super) fn session(&self, engine: &Engine, dtype: DType, axis: usize) -> Result<Shared, RunError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.entry((dtype, axis)) {
            Entry::Occupied(session) => Ok(Arc::clone(session.get())),
            Entry::Vacant(place) => {
                let fail = |source| RunError::Engine { graph: "the choice of images".to_owned(), source };
                let bytes = model(dtype, axis).to_bytes().map_err(|source| fail(source.into()))?;
                let graph =
                    GraphSource { label: "the choice of images".to_owned(), origin: Origin::Bytes(&bytes) };
                let engine = Engine::new(engine.library, gathering(&engine.provider));
                let session = session::commit(&engine, &graph, &RunnerOptions::default(), None);
                let session = session.map_err(|source| fail(source.into()))?;
                Ok(Arc::clone(place.insert(Arc::new(Mutex::new(session)))))
            }
        }
    }
}

/// What gathers where `provider` computes: TensorRT would build an engine for every new number of images.
fn gathering(provider: &Provider) -> Provider {
    match provider {
        Provider::Cpu => Provider::Cpu,
        Provider::Cuda | Provider::TensorRt { .. } => Provider::Cuda,
    }
}

/// Fills `into` with the slices of `data` at `indices`, wherever both live.
pub(super) fn gather(
    session: &Mutex<Session>,
    data: &DynTensor,
    indices: Vec<i64>,
    into: &mut DynTensor,
) -> ort::Result<()> {
    let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
    let indices = ort::value::Tensor::from_array(([indices.len()], indices))?;
    let mut binding = session.create_binding()?;
    binding.bind_input("data", data)?;
    binding.bind_input("indices", &indices)?;
    binding.bind_output(INTO, into)?;
    session.run_binding(&binding)?;
    Ok(())
}

fn model(dtype: DType, axis: usize) -> Model {
    let tensor = |name: &str, dtype| ValueInfo {
        name: name.to_owned(),
        dtype: Some(ElementType::Known(dtype)),
        dims: None,
    };
    let node = Node {
        name: "gather".to_owned(),
        op: "Gather".to_owned(),
        inputs: vec!["data".to_owned(), "indices".to_owned()],
        outputs: vec![INTO.to_owned()],
        attributes: vec![("axis".to_owned(), Attribute::Int(i64::try_from(axis).unwrap_or(0)))],
        ..Node::default()
    };
    let graph = Graph {
        name: "gather".to_owned(),
        nodes: vec![node],
        inputs: vec![tensor("data", dtype), tensor("indices", DType::Int64)],
        outputs: vec![tensor(INTO, dtype)],
        ..Graph::default()
    };
    Model { ir_version: 8, opsets: [(String::new(), 13)].into(), graph, ..Model::default() }
}

#[cfg(test)]
mod tests {
    use ort::memory::Allocator;
    use ort::value::TensorElementType;

    use super::super::tests::library;
    use super::*;

    #[test]
    fn tensorrt_leaves_gathering_to_cuda() {
        assert_eq!(gathering(&Provider::TensorRt { fp16: true, cache: None }), Provider::Cuda);
        assert_eq!(gathering(&Provider::Cpu), Provider::Cpu);
    }

    #[test]
    fn a_session_is_made_once_per_element_type_and_axis() {
        let Some(library) = library() else { return };
        let engine = Engine::new(library, Provider::Cpu);
        let session = |dtype, axis| engine.gathers.session(&engine, dtype, axis).unwrap();
        let first = session(DType::Float32, 0);
        assert!(Arc::ptr_eq(&first, &session(DType::Float32, 0)));
        assert!(!Arc::ptr_eq(&first, &session(DType::Float32, 1)));
        assert!(!Arc::ptr_eq(&first, &session(DType::Uint8, 0)));
    }

    #[test]
    fn slices_are_gathered_along_the_axis_in_the_order_asked_for() {
        let Some(library) = library() else { return };
        let engine = Engine::new(library, Provider::Cpu);
        let session = engine.gathers.session(&engine, DType::Float32, 1).unwrap();
        let element = TensorElementType::Float32;
        let mut data = DynTensor::new(&Allocator::default(), element, [2_usize, 3]).unwrap();
        let numbers = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        data.try_extract_tensor_mut::<f32>().unwrap().1.copy_from_slice(&numbers);
        let mut into = DynTensor::new(&Allocator::default(), element, [2_usize, 2]).unwrap();
        gather(&session, &data, vec![2, 0], &mut into).unwrap();
        assert_eq!(into.try_extract_tensor::<f32>().unwrap().1, [2.0, 0.0, 5.0, 3.0]);
    }
}
