//! Confidence and decision against a plain softmax loop over the same logits: each by itself, then their ratio from one
//! interleaved run.

#![expect(clippy::expect_used, reason = "a benchmark may fail anywhere")]
#![expect(clippy::print_stdout, reason = "criterion prints no ratios")]

use std::convert::Infallible;
use std::hint::black_box;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use offramp_runtime::bench::{Protocol, Sample, Subject, compare};
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

const CLASSES: [usize; 3] = [10, 100, 1000];
const MEASURES: [Measure; 3] = [Measure::MaxSoftmax, Measure::Entropy, Measure::Margin];
/// At most this many times as long as the plain loop.
const LIMIT: f64 = 1.5;

fn logits(classes: usize) -> Vec<f32> {
    (0..classes).map(|class| ((class * 7919) % 97) as f32 / 10.0).collect()
}

fn confidence(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("confidence");
    for classes in CLASSES {
        let logits = logits(classes);
        let mut probabilities = vec![0.0; classes];
        group.bench_function(BenchmarkId::new("plain softmax", classes), |bencher| {
            bencher.iter(|| softmax(black_box(&logits), &mut probabilities));
        });
        for measure in MEASURES {
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

/// A subject that does its work this often per sample: one time is shorter than a clock's resolution.
fn repeated<'a>(name: impl Into<String>, mut work: impl FnMut() + 'a) -> Subject<'a, Infallible> {
    let run = Box::new(move |_| {
        let started = Instant::now();
        (0..REPEATS).for_each(|_| work());
        Ok(Sample { exit: 0, latency: started.elapsed() / REPEATS })
    });
    Subject { name: name.into(), run }
}

const REPEATS: u32 = 200;

fn ratios(_criterion: &mut Criterion) {
    for classes in CLASSES {
        let logits = logits(classes);
        let mut probabilities = vec![0.0; classes];
        let plain = || {
            black_box(softmax(black_box(&logits), &mut probabilities));
        };
        let mut subjects = vec![repeated(format!("plain softmax of {classes}"), plain)];
        for measure in MEASURES {
            let fitted = PolicySpec::confidence(measure, Threshold::DEFAULT).fit(2);
            let policy = fitted.expect("one threshold fits any network");
            let logits = &logits;
            subjects.push(repeated(measure.name(), move || {
                let prediction = Prediction::of(0, black_box(logits));
                let answer = prediction.map(|prediction| conclude(policy.as_ref(), 2, &[prediction]));
                black_box(answer.expect("the logits are finite"));
            }));
        }
        let Ok(found) = compare(&mut subjects, &Protocol::default());
        for ratio in &found.ratios {
            let interval = &ratio.ratio;
            let judged = if interval.estimate <= LIMIT { "within" } else { "BEYOND" };
            println!(
                "{} / {}: {:.2} (95 % {:.2} to {:.2}), {judged} {LIMIT}",
                ratio.name, ratio.against, interval.estimate, interval.low, interval.high
            );
        }
    }
}

criterion_group!(benches, confidence, ratios);
criterion_main!(benches);
