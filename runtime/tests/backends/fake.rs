//! What the scripted engine does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use offramp_models::{DType, TensorSpec};
use offramp_runtime::backend::fake::{FakeBackend, Script};
use offramp_runtime::backend::{Backend, GraphSource, HostTensor, Origin, RunError, Runner, RunnerOptions};

fn script(input: &str, boundary: Option<&str>, answers: &[[f32; 2]]) -> Script {
    Script {
        inputs: vec![TensorSpec {
            name: input.to_owned(),
            dtype: DType::Float32,
            shape: vec![None, Some(1)],
        }],
        logits: "logits".to_owned(),
        boundary: boundary.map(str::to_owned),
        answers: answers.iter().map(|answer| answer.to_vec()).collect(),
        delay: Duration::from_millis(3),
        fails_at: None,
    }
}

fn runner(backend: &FakeBackend, label: &str) -> Box<dyn Runner> {
    let graph = GraphSource { label: label.to_owned(), origin: Origin::Bytes(&[]) };
    backend.prepare(&graph, &RunnerOptions::default()).unwrap()
}

fn two_segments() -> FakeBackend {
    FakeBackend::new()
        .with_script("segment 0", script("image", Some("h"), &[[0.0, 1.0], [2.0, f32::NAN], [4.0, 5.0]]))
        .with_script("segment 1", script("h", None, &[[10.0, 11.0], [12.0, 13.0], [14.0, 15.0]]))
}

#[test]
fn answers_follow_their_images_through_a_choice() {
    let backend = two_segments();
    let (first, second) = (runner(&backend, "segment 0"), runner(&backend, "segment 1"));
    let images = first.allocate(0, 3).unwrap();
    images.write(HostTensor::Float32(&[2.0, 0.0, 1.0])).unwrap();
    let mut start = first.bind(&[images], 3).unwrap();
    start.run().unwrap();
    let mut logits = [0.0; 6];
    start.outputs()[0].read(&mut logits).unwrap();
    assert_eq!(logits[..5], [4.0, 5.0, 0.0, 1.0, 2.0]);
    assert!(logits[5].is_nan());
    let mut rest = second.bind(&[start.outputs()[1].select(&[2, 0]).unwrap()], 2).unwrap();
    rest.run().unwrap();
    let mut logits = [0.0; 4];
    rest.outputs()[0].read(&mut logits).unwrap();
    assert_eq!(logits, [12.0, 13.0, 14.0, 15.0]);
}

#[test]
fn a_scripted_failure_names_graph_and_image() {
    let failing = Script { fails_at: Some(1), ..script("image", None, &[[0.0; 2]; 2]) };
    let backend = FakeBackend::new().with_script("segment 0", failing);
    let first = runner(&backend, "segment 0");
    let image = first.allocate(0, 1).unwrap();
    let mut bound = first.bind(std::slice::from_ref(&image), 1).unwrap();
    bound.run().unwrap();
    image.write(HostTensor::Float32(&[1.0])).unwrap();
    let Err(RunError::Engine { graph, source }) = bound.run() else { panic!("it ran") };
    assert_eq!((&*graph, &*source.to_string()), ("segment 0", "scripted failure at image 1"));
}

#[test]
fn delays_go_to_the_clock_that_was_given() {
    let slept = Arc::new(AtomicU64::new(0));
    let clock = Arc::clone(&slept);
    let backend = two_segments().with_sleep(Arc::new(move |delay: Duration| {
        clock.fetch_add(u64::try_from(delay.as_millis()).unwrap(), Ordering::Relaxed);
    }));
    let first = runner(&backend, "segment 0");
    let mut bound = first.bind(&[first.allocate(0, 4).unwrap()], 4).unwrap();
    bound.run().unwrap();
    assert_eq!(slept.load(Ordering::Relaxed), 12);
}

#[test]
fn a_graph_without_a_script_is_an_error() {
    let graph = GraphSource { label: "segment 9".to_owned(), origin: Origin::Bytes(&[]) };
    assert!(two_segments().prepare(&graph, &RunnerOptions::default()).is_err());
}
