//! Heap allocations per image in steady state.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod scripted;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::num::NonZeroUsize;

use offramp_runtime::backend::HostTensor;
use offramp_runtime::confidence::{Measure, Threshold};
use offramp_runtime::executor::Executor;
use offramp_runtime::policy::{Fallback, PolicySpec, Rule};
use scripted::Table;

struct Counting;

thread_local! {
    // Per thread: the test harness allocates on its own.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System.alloc` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn an_image_is_run_without_a_heap_allocation() {
    let (exits, classes, images) = (5, 10, 64);
    let logits = (0..exits * classes * images).map(|at| ((at * 7919) % 23) as f32).collect();
    let pipeline = Table { exits, classes, logits }.pipeline(None);
    let rule = |measure| Rule::Confidence { measure, thresholds: vec![Threshold::DEFAULT] };
    let rules = [
        rule(Measure::MaxSoftmax),
        rule(Measure::Entropy),
        rule(Measure::Margin),
        Rule::Patience { patience: 2 },
        Rule::Fixed { exit: 4 },
    ];
    for rule in rules {
        let policy = PolicySpec { rule, fallback: Fallback::MostConfident }.fit(exits).unwrap();
        let mut executor = Executor::new(&pipeline, policy.as_ref(), NonZeroUsize::MIN).unwrap();
        let before = ALLOCATIONS.get();
        let mut depth = 0;
        for image in 0..images {
            let outcome = executor.run_one(image, HostTensor::Float32(&[image as f32])).unwrap();
            depth += outcome.exit + outcome.confidences().len();
        }
        let allocated = ALLOCATIONS.get() - before;
        assert!(depth > 0);
        assert_eq!(allocated, 0, "{allocated} allocations over {images} images");
    }
}
