//! What the executor adds to the segments, and what calibration takes.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a benchmark may fail anywhere")]

#[path = "../tests/scripted/mod.rs"]
mod scripted;

use std::hint::black_box;
use std::num::NonZeroUsize;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use offramp_models::Sha256;
use offramp_runtime::backend::HostTensor;
use offramp_runtime::calibrate::{Costs, Demand, Family, calibrate};
use offramp_runtime::confidence::{Measure, Threshold};
use offramp_runtime::executor::Executor;
use offramp_runtime::policy::{Constraint, Fallback, PolicySpec};
use offramp_runtime::recording::Recording;
use scripted::Table;

/// Logits that grow surer with depth, the same on every run.
fn table(images: usize, exits: usize, classes: usize) -> Table {
    let mut state = 1_u32;
    let mut logits = Vec::with_capacity(images * exits * classes);
    for at in 0..images * exits * classes {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let depth = at / classes % exits;
        let noise = (state >> 8) as f32 / (1 << 24) as f32;
        let lead = if at % classes == at / (classes * exits) % classes { 1.0 + depth as f32 } else { 0.0 };
        logits.push(lead + 3.0 * noise);
    }
    Table { exits, classes, logits }
}

fn executor(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("executor");
    let table = table(64, 7, 10);
    let pipeline = table.pipeline(None);
    let spec = PolicySpec::confidence(Measure::MaxSoftmax, Threshold::DEFAULT);
    let policy = spec.fit(7).expect("one threshold fits any network");
    let images: Vec<f32> = (0..64_u8).map(f32::from).collect();
    group.throughput(Throughput::Elements(64));
    for batch in [1, 8, 64] {
        let size = NonZeroUsize::new(batch).expect("not zero");
        let mut executor = Executor::new(&pipeline, policy.as_ref(), size).expect("the table can be wired");
        group.bench_function(BenchmarkId::new("64 images in batches of", batch), |bencher| {
            bencher.iter(|| {
                for images in images.chunks(batch) {
                    let done = executor.run_batch(0, HostTensor::Float32(images));
                    black_box(done.expect("the table has all images").compactions());
                }
            });
        });
    }
    group.finish();
}

fn calibration(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("calibrate 10000 images, 7 exits");
    group.sample_size(10);
    let Table { exits, classes, logits } = table(10_000, 7, 10);
    let labels = (0..10_000).map(|image| Some(image % 10)).collect();
    let recording = Recording::new(exits, classes, logits, labels, Sha256::of(b"calibration"));
    let recording = recording.expect("the table holds together");
    let costs = Costs { macs: &[15, 30, 45, 60, 75, 90, 100], latency_s: None, energy_j: None };
    for (name, per_exit) in [("one threshold", false), ("one per exit", true)] {
        let family = Family::Confidence { measure: Measure::MaxSoftmax, per_exit };
        let constraint = Constraint::MaxMacs { limit: 0.5 };
        let demand = Demand { constraint, family, fallback: Fallback::Final };
        group.bench_function(name, |bencher| {
            bencher.iter(|| calibrate(&recording, &demand, &costs).expect("half the MACs suffice"));
        });
    }
    group.finish();
}

criterion_group!(benches, executor, calibration);
criterion_main!(benches);
