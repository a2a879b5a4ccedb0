//! Policy replay of 10,000 images, 7 exits, 3 measures x 100 thresholds and every patience, by the sweep and by
//! evaluating policy after policy.

#![expect(clippy::expect_used, reason = "a benchmark may fail anywhere")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use offramp_models::Sha256;
use offramp_runtime::policy::Fallback;
use offramp_runtime::recording::Recording;
use offramp_runtime::replay::Replay;
use offramp_study::metrics::sweep::{Family, sweep};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

const IMAGES: usize = 10_000;
const EXITS: usize = 7;
const CLASSES: usize = 10;

fn recording() -> Recording {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let logits = (0..IMAGES * EXITS * CLASSES).map(|_| random.random::<f32>() * 12.0).collect();
    let labels = (0..IMAGES).map(|image| Some(image % CLASSES)).collect();
    Recording::new(EXITS, CLASSES, logits, labels, Sha256::of(b"")).expect("the lengths agree")
}

fn replay(criterion: &mut Criterion) {
    let recording = recording();
    let macs: Vec<u64> = (1..=EXITS as u64).collect();
    let families = Family::all(100);
    let mut group = criterion.benchmark_group("10,000 images x 7 exits x 4 policies x 100 thresholds");
    group.sample_size(10);
    group.bench_function("recording and sweep", |bencher| {
        bencher.iter(|| {
            let replay = Replay::new(black_box(&recording)).expect("the logits are finite");
            sweep(&replay, &macs, &families, Fallback::MostConfident)
        });
    });
    let replay = Replay::new(&recording).expect("the logits are finite");
    group.bench_function("sweep", |bencher| {
        bencher.iter(|| sweep(black_box(&replay), &macs, &families, Fallback::MostConfident));
    });
    let candidates = sweep(&replay, &macs, &families, Fallback::MostConfident);
    group.bench_function("policy by policy", |bencher| {
        bencher.iter(|| {
            let evaluated = candidates.iter().map(|candidate| {
                let policy = candidate.policy.fit(EXITS).expect("the sweep fits its network");
                replay.evaluate(policy.as_ref(), &macs)
            });
            evaluated.collect::<Vec<_>>()
        });
    });
    group.finish();
}

criterion_group!(benches, replay);
criterion_main!(benches);
