//! Confidence and decision against a plain softmax loop over the same logits.

#![expect(clippy::expect_used, reason = "a benchmark may fail anywhere")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use offramp_runtime::confidence::{Measure, Prediction, Threshold};
use offramp_runtime::policy::{PolicySpec, conclude};

/// What anyone would write first; returns the largest probability.
fn softmax(logits: &[f32], probabilities: &mut [f32]) -> f32 {
    let largest = logits.iter().copied().fold(f32::MIN, f32::max);
    let mut sum = 0.0;
    for (probability, logit) in probabilities.iter_mut().zip(logits) {
        *probability = (logit - largest).exp();
        sum += *probability;
    }
    let mut confidence = 0.0_f32;
    for probability in probabilities {
        *probability /= sum;
        confidence = confidence.max(*probability);
    }
    confidence
}

fn confidence(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("confidence");
    for classes in [10, 100, 1000] {
        let logits: Vec<f32> = (0..classes).map(|class| ((class * 7919) % 97) as f32 / 10.0).collect();
        let mut probabilities = vec![0.0; classes];
        group.bench_function(BenchmarkId::new("plain softmax", classes), |bencher| {
            bencher.iter(|| softmax(black_box(&logits), &mut probabilities));
        });
        for measure in [Measure::MaxSoftmax, Measure::Entropy, Measure::Margin] {
            let fitted = PolicySpec::confidence(measure, Threshold::DEFAULT).fit(2);
            let policy = fitted.expect("one threshold fits any network");
            group.bench_function(BenchmarkId::new(measure.name(), classes), |bencher| {
                bencher.iter(|| {
                    let prediction = Prediction::of(0, black_box(&logits));
                    prediction.map(|prediction| conclude(policy.as_ref(), 2, &[prediction]))
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, confidence);
criterion_main!(benches);
