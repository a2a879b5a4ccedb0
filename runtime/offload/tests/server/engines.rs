//! Real engines behind a server.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use offramp_models::TensorSpec;
use offramp_offload::oip::ModelInferRequest;
use offramp_offload::oip::model_infer_request::InferInputTensor;
use offramp_offload::server::{Model, Signature};
use offramp_runtime::backend::ort::{Library, OrtBackend, Pool, Provider, silence_telemetry};
use offramp_runtime::backend::tract::TractBackend;
use offramp_runtime::backend::{Backend, GraphSource, Origin, Runner, RunnerOptions};
use tokio::task::JoinSet;

use crate::scripted::{Running, floats, loopback};

/// ONNX Runtime where the environment names it, and tract.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn backends() -> Vec<Box<dyn Backend>> {
    let mut backends: Vec<Box<dyn Backend>> = vec![Box::new(TractBackend::new())];
    let Some(path) = std::env::var_os("ORT_DYLIB_PATH") else {
        let required = std::env::var("OFFRAMP_REQUIRE").unwrap_or_default();
        assert!(!required.split(',').any(|name| name == "ort"), "ORT_DYLIB_PATH is not set");
        eprintln!("skipped on ONNX Runtime: ORT_DYLIB_PATH is not set");
        return backends;
    };
    // SAFETY: other threads of this test binary touch the environment through std alone.
    let silence = unsafe { silence_telemetry() };
    let library = Library::load(Path::new(&path), Pool::default(), silence).unwrap();
    backends.push(Box::new(OrtBackend::new(library, Provider::Cpu)));
    backends
}

/// The shipped network as a tail that takes the image.
fn graph() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/zoo/shapes-sdn.onnx")
}

fn runner(backend: &dyn Backend) -> Box<dyn Runner> {
    let source = |host_outputs| {
        let source = GraphSource { label: "network".to_owned(), origin: Origin::File(Path::new(graph())) };
        backend.prepare(&source, &RunnerOptions { host_outputs, ..RunnerOptions::default() }).unwrap()
    };
    let names = source(Vec::new()).outputs().iter().map(|spec| spec.name.clone()).collect();
    source(names)
}

/// An image of its own for every number, [0, 1].
fn image(number: usize, elements: usize) -> Vec<u8> {
    let sample = |element: usize| ((number * 31 + element * 7) % 256) as f32 / 255.0;
    (0..elements).flat_map(|element| sample(element).to_le_bytes()).collect()
}

fn request(input: &TensorSpec, images: &[usize]) -> ModelInferRequest {
    let tensor = InferInputTensor {
        name: input.name.clone(),
        datatype: "FP32".to_owned(),
        shape: offramp_offload::tensor::filled(input, images.len()),
        ..InferInputTensor::default()
    };
    let raw: Vec<u8> = images.iter().flat_map(|number| image(*number, input.elements_per_image())).collect();
    ModelInferRequest {
        model_name: "network".to_owned(),
        inputs: vec![tensor],
        raw_input_contents: vec![Bytes::from(raw)],
        ..ModelInferRequest::default()
    }
}

/// Logits of one image, exit after exit, as the engine gives them without a server.
fn alone(runner: &dyn Runner, number: usize) -> Vec<f32> {
    let input = runner.allocate(0, 1).unwrap();
    input.write_bytes(0, &image(number, runner.inputs()[0].elements_per_image())).unwrap();
    let mut bound = runner.bind(std::slice::from_ref(&input), 1).unwrap();
    bound.run().unwrap();
    let read = |value: &offramp_runtime::backend::Value| {
        let mut logits = vec![0.0; value.shape().iter().product()];
        value.read(&mut logits).unwrap();
        logits
    };
    bound.outputs().iter().flat_map(read).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_those_of_the_engine_however_requests_are_joined() {
    for backend in backends() {
        let engine = backend.describe().name;
        let runner = runner(backend.as_ref());
        let batch = |spec: &TensorSpec| {
            let rest = spec.shape.iter().skip(1).copied();
            TensorSpec { shape: std::iter::once(None).chain(rest).collect(), ..spec.clone() }
        };
        let signature = Signature {
            name: "network".to_owned(),
            inputs: runner.inputs().iter().map(batch).collect(),
            outputs: runner.outputs().iter().map(batch).collect(),
        };
        let input = signature.inputs[0].clone();
        let origin = Origin::File(Path::new(graph()));
        let model = Model::prepare(signature, origin, backend.as_ref(), Some(1)).unwrap();
        let expected: Arc<Vec<Vec<f32>>> =
            Arc::new((0..24).map(|number| alone(runner.as_ref(), number)).collect());
        let running = Running::start(loopback(), vec![model]);
        let (client, mut asked) = (running.client().await, JoinSet::new());
        for first in (0..24).step_by(3) {
            let (mut client, expected) = (client.clone(), Arc::clone(&expected));
            let images = [first, first + 1, first + 2];
            let request = request(&input, &images);
            asked.spawn(async move {
                let answer = client.model_infer(request).await.unwrap().into_inner();
                let exits = answer.outputs.len();
                let outputs: Vec<Vec<f32>> = (0..exits).map(|output| floats(&answer, output)).collect();
                for (slot, number) in images.into_iter().enumerate() {
                    let rows = outputs.iter().flat_map(|logits| {
                        let classes = logits.len() / images.len();
                        logits[slot * classes..(slot + 1) * classes].to_vec()
                    });
                    for (found, expected) in rows.zip(&expected[number]) {
                        // Engines add in another order when there are more images.
                        let tolerance = 1e-4 * expected.abs().max(1.0);
                        assert!((found - expected).abs() <= tolerance, "{engine}: {found} for {expected}");
                    }
                }
            });
        }
        assert_eq!(asked.join_all().await.len(), 8);
    }
}
