//! Bound graphs do not allocate on Rust's heap.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use crate::engines::{expected, fill, library, prepare};
use offramp_models::{DType, TensorSpec};
use offramp_runtime::backend::fake::{FakeBackend, Script};
use offramp_runtime::backend::ort::{OrtBackend, Provider};
use offramp_runtime::backend::{Backend, Bound, GraphSource, HostTensor, Origin, RunnerOptions};

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that is ending has no counter.
        let _counted = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of this thread in a hundred runs, after two.
fn allocations(bound: &mut dyn Bound) -> usize {
    bound.run().unwrap();
    bound.run().unwrap();
    let before = COUNT.get();
    for _ in 0..100 {
        bound.run().unwrap();
    }
    COUNT.get() - before
}

#[test]
fn the_fake_does_not_allocate() {
    let script = Script {
        inputs: vec![TensorSpec {
            name: "image".to_owned(),
            dtype: DType::Float32,
            shape: vec![None, Some(1)],
        }],
        logits: "logits".to_owned(),
        boundary: Some("h".to_owned()),
        answers: vec![vec![0.5; 10]],
        delay: Duration::ZERO,
        fails_at: None,
    };
    let backend = FakeBackend::new().with_script("segment 0", script);
    let graph = GraphSource { label: "segment 0".to_owned(), origin: Origin::Bytes(&[]) };
    let runner = backend.prepare(&graph, &RunnerOptions::default()).unwrap();
    let mut bound = runner.bind(&[runner.allocate(0, 4).unwrap()], 4).unwrap();
    assert_eq!(allocations(&mut *bound), 0);
}

#[test]
fn onnx_runtime_makes_us_allocate_nothing() {
    let Some(library) = library() else { return };
    let backend = OrtBackend::new(library, Provider::Cpu);
    let (images, _) = expected("residual");
    let (first, second) =
        (prepare(&backend, "residual-0", &["exit0"]), prepare(&backend, "residual-1", &["exit1"]));
    let image = fill(&*first, 3, HostTensor::Float32(&images));
    let mut start = first.bind(std::slice::from_ref(&image), 3).unwrap();
    let mut rest = second.bind(&start.outputs()[1..], 3).unwrap();
    assert_eq!(allocations(&mut *start), 0);
    assert_eq!(allocations(&mut *rest), 0);
    let mut logits = [0.0; 12];
    let before = COUNT.get();
    image.write(HostTensor::Float32(&images)).unwrap();
    rest.outputs()[0].read(&mut logits).unwrap();
    assert_eq!(COUNT.get(), before);
}
