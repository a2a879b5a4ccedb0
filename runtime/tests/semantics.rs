//! A second implementation of the semantics, in plain loops over logits, agrees with executor and replay.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod scripted;

use std::error::Error as _;
use std::num::NonZeroUsize;

use offramp_models::Sha256;
use offramp_runtime::backend::HostTensor;
use offramp_runtime::confidence::{Measure, Threshold};
use offramp_runtime::executor::{Executor, ExecutorError};
use offramp_runtime::policy::{Fallback, PolicySpec, Rule};
use offramp_runtime::recording::{Recorder, Recording};
use offramp_runtime::replay::Replay;
use proptest::prelude::*;
use scripted::Table;

/// What both implementations must agree on, exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Said {
    exit: usize,
    answer_exit: usize,
    predicted: usize,
    confidence: f32,
}

/// The reference: no type of the library but what states the case.
mod reference {
    use super::{Fallback, Measure, PolicySpec, Rule, Said, Table};

    fn label(logits: &[f32]) -> usize {
        let mut best = 0;
        for class in 1..logits.len() {
            if logits[class] > logits[best] {
                best = class;
            }
        }
        best
    }

    /// Softmax with f32 exponentials, as the library's, and everything else in f64.
    fn confidence(measure: Measure, logits: &[f32]) -> f32 {
        let top = label(logits);
        let exps: Vec<f64> = logits.iter().map(|logit| f64::from((logit - logits[top]).exp())).collect();
        let sum: f64 = exps.iter().sum();
        let value = match measure {
            Measure::MaxSoftmax => 1.0 / sum,
            Measure::Entropy if logits.len() == 1 => 1.0,
            Measure::Entropy => {
                let mut weighted = 0.0;
                for (logit, exp) in logits.iter().zip(&exps) {
                    weighted += f64::from((logit - logits[top]) * (*exp as f32));
                }
                1.0 - (sum.ln() - weighted / sum) / (logits.len() as f64).ln()
            }
            Measure::Margin => {
                let others = exps.iter().enumerate().filter(|(class, _)| *class != top);
                (1.0 - others.map(|(_, exp)| *exp).fold(0.0, f64::max)) / sum
            }
        };
        value.clamp(0.0, 1.0) as f32
    }

    pub fn run(spec: &PolicySpec, table: &Table, image: usize) -> Said {
        let last = table.exits - 1;
        let measure = match &spec.rule {
            Rule::Confidence { measure, .. } => *measure,
            _ => Measure::MaxSoftmax,
        };
        let mut exit = last;
        for early in 0..=last {
            let takes = match &spec.rule {
                Rule::Confidence { thresholds, .. } if early < last => {
                    let threshold = if thresholds.len() == 1 { thresholds[0] } else { thresholds[early] };
                    confidence(measure, table.row(image, early)) >= threshold.get()
                }
                Rule::Patience { patience } if early < last && early + 1 >= *patience => {
                    let here = label(table.row(image, early));
                    (0..*patience).all(|back| label(table.row(image, early - back)) == here)
                }
                Rule::Fixed { exit } => early == *exit,
                _ => false,
            };
            if takes {
                exit = early;
                break;
            }
        }
        let mut answer_exit = exit;
        if exit == last
            && spec.fallback == Fallback::MostConfident
            && !matches!(spec.rule, Rule::Fixed { .. })
        {
            answer_exit = 0;
            for other in 1..=last {
                let surer = confidence(Measure::MaxSoftmax, table.row(image, other));
                if surer > confidence(Measure::MaxSoftmax, table.row(image, answer_exit)) {
                    answer_exit = other;
                }
            }
        }
        let logits = table.row(image, answer_exit);
        Said { exit, answer_exit, predicted: label(logits), confidence: confidence(measure, logits) }
    }

    /// A confidence that some image really has, for thresholds that tie.
    pub fn achieved(measure: Measure, table: &Table, pick: usize) -> f32 {
        let rows = table.images() * table.exits;
        confidence(measure, table.row(pick % rows / table.exits, pick % rows % table.exits))
    }
}

fn numbers(images: std::ops::Range<usize>) -> Vec<f32> {
    images.map(|image| image as f32).collect()
}

fn executed(spec: &PolicySpec, table: &Table, batch: usize) -> Vec<Said> {
    let pipeline = table.pipeline(None);
    let policy = spec.fit(table.exits).unwrap();
    let mut executor = Executor::new(&pipeline, policy.as_ref(), NonZeroUsize::new(batch).unwrap()).unwrap();
    let mut said = Vec::new();
    for first in (0..table.images()).step_by(batch) {
        let images = numbers(first..table.images().min(first + batch));
        let batch = executor.run_batch(first, HostTensor::Float32(&images)).unwrap();
        for outcome in batch.outcomes() {
            assert_eq!(outcome.image, said.len());
            assert_eq!(
                (outcome.confidences().len(), outcome.segments().len()),
                (outcome.exit + 1, outcome.exit + 1)
            );
            said.push(Said {
                exit: outcome.exit,
                answer_exit: outcome.answer_exit,
                predicted: outcome.predicted,
                confidence: outcome.confidence.get(),
            });
        }
    }
    said
}

fn replayed(spec: &PolicySpec, table: &Table) -> Vec<Said> {
    let unlabelled = vec![None; table.images()];
    let recording =
        Recording::new(table.exits, table.classes, table.logits.clone(), unlabelled, Sha256::of(b""))
            .unwrap();
    let replay = Replay::new(&recording).unwrap();
    let policy = spec.fit(table.exits).unwrap();
    let answers = replay.answers(policy.as_ref());
    let said = answers.map(|answer| Said {
        exit: answer.exit,
        answer_exit: answer.answer_exit,
        predicted: answer.predicted,
        confidence: answer.confidence.get(),
    });
    said.collect()
}

/// Tables with many equal logits, so that labels, confidences and exits tie.
fn tables() -> impl Strategy<Value = Table> {
    (1..6_usize, 1..5_usize, 1..80_usize).prop_flat_map(|(exits, classes, images)| {
        let coarse = (-3..4_i8).prop_map(f32::from);
        let logit = prop_oneof![2 => coarse, 1 => -6.0..6.0_f32];
        let logits = prop::collection::vec(logit, exits * classes * images);
        logits.prop_map(move |logits| Table { exits, classes, logits })
    })
}

fn specs(table: &Table) -> impl Strategy<Value = PolicySpec> + use<> {
    let (table, exits) = (table.clone(), table.exits);
    let measure = || prop_oneof![Just(Measure::MaxSoftmax), Just(Measure::Entropy), Just(Measure::Margin)];
    let by_confidence = (measure(), any::<bool>()).prop_flat_map(move |(measure, one)| {
        let table = table.clone();
        let count = if one { 1 } else { table.exits - 1 };
        let tied = any::<u16>().prop_map(move |pick| reference::achieved(measure, &table, pick.into()));
        let value = prop_oneof![4 => tied, 2 => 0.0..=1.0_f32, 1 => Just(0.0), 1 => Just(1.0)];
        let threshold = value.prop_map(|value| Threshold::new(value).unwrap());
        let thresholds = prop::collection::vec(threshold, count);
        thresholds.prop_map(move |thresholds| Rule::Confidence { measure, thresholds })
    });
    let rule = prop_oneof![
        4 => by_confidence,
        1 => (1..7_usize).prop_map(|patience| Rule::Patience { patience }),
        1 => (0..exits).prop_map(|exit| Rule::Fixed { exit }),
    ];
    let fallback = prop_oneof![Just(Fallback::Final), Just(Fallback::MostConfident)];
    (rule, fallback).prop_map(|(rule, fallback)| PolicySpec { rule, fallback })
}

fn cases() -> impl Strategy<Value = (Table, PolicySpec)> {
    tables().prop_flat_map(|table| {
        let specs = specs(&table);
        (Just(table), specs)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn executor_and_replay_agree_with_plain_loops_at_batch_1_7_and_64((table, spec) in cases()) {
        let expected: Vec<Said> =
            (0..table.images()).map(|image| reference::run(&spec, &table, image)).collect();
        prop_assert_eq!(&replayed(&spec, &table), &expected);
        for batch in [1, 7, 64] {
            prop_assert_eq!(&executed(&spec, &table, batch), &expected);
        }
    }

    #[test]
    fn a_recording_holds_what_the_segments_compute(table in tables(), batch in 1..20_usize) {
        let pipeline = table.pipeline(None);
        let mut recorder = Recorder::new(&pipeline, NonZeroUsize::new(batch).unwrap()).unwrap();
        for first in (0..table.images()).step_by(batch) {
            let images = numbers(first..table.images().min(first + batch));
            recorder.record(HostTensor::Float32(&images), &[Some(0)]).unwrap();
        }
        let recording = recorder.finish(Sha256::of(b"")).unwrap();
        let logits: Vec<f32> =
            (0..table.images()).filter_map(|image| recording.logits(image)).flatten().copied().collect();
        prop_assert_eq!(&logits, &table.logits);
        prop_assert_eq!(recording.labels()[0], Some(0));
    }
}

fn two_exits() -> Table {
    let logits = vec![0.0, 9.0, 0.0, 9.0, 1.0, 0.0, 9.0, 0.0, f32::NAN, 0.0, 9.0, 0.0];
    Table { exits: 2, classes: 2, logits }
}

#[test]
fn a_batch_is_compacted_only_when_some_stop_and_some_go_on() {
    let table = two_exits();
    let pipeline = table.pipeline(None);
    let policy = PolicySpec::default().fit(2).unwrap();
    let two = NonZeroUsize::new(2).unwrap();
    let mut executor = Executor::new(&pipeline, policy.as_ref(), two).unwrap();
    let mut run = |images: &[f32]| {
        let batch = executor.run_batch(0, HostTensor::Float32(images)).unwrap();
        let latest = batch.outcomes().map(|outcome| outcome.latency).max().unwrap();
        assert!(batch.compaction() <= latest);
        (batch.compactions(), batch.outcomes().map(|outcome| outcome.exit).collect::<Vec<_>>())
    };
    assert_eq!(run(&[0.0, 1.0]), (1, vec![0, 1]));
    assert_eq!(run(&[0.0, 0.0]), (0, vec![0, 0]));
    assert_eq!(run(&[1.0, 1.0]), (0, vec![1, 1]));
}

#[test]
fn segments_of_one_image_add_up_to_its_latency() {
    let table = two_exits();
    let pipeline = table.pipeline(Some(1));
    let policy = PolicySpec::fixed(1).fit(2).unwrap();
    let mut executor = Executor::new(&pipeline, policy.as_ref(), NonZeroUsize::MIN).unwrap();
    let outcome = executor.run_one(7, HostTensor::Float32(&[1.0])).unwrap();
    assert_eq!((outcome.image, outcome.exit), (7, 1));
    assert_eq!(outcome.segments().iter().sum::<std::time::Duration>(), outcome.latency);
}

#[test]
fn a_failure_names_image_and_segment_and_leaves_the_executor_usable() {
    let table = two_exits();
    let pipeline = table.pipeline(None);
    let policy = PolicySpec::default().fit(2).unwrap();
    let two = NonZeroUsize::new(2).unwrap();
    let mut executor = Executor::new(&pipeline, policy.as_ref(), two).unwrap();
    let mut refusal = |first, images: HostTensor<'_>| -> String {
        let error = executor.run_batch(first, images).unwrap_err();
        std::iter::successors(error.source(), |&source| source.source())
            .fold(error.to_string(), |text, source| format!("{text}: {source}"))
    };
    insta::assert_snapshot!(
        refusal(64, HostTensor::Float32(&[0.0, 2.0])),
        @"image 65 has no answer: exit 0 gives class 0 a logit of NaN, expected a finite number"
    );
    insta::assert_snapshot!(
        refusal(64, HostTensor::Float32(&[0.0, 9.0])),
        @"segment 0 cannot be run on images 64 to 65: segment 0 failed: no image 9"
    );
    insta::assert_snapshot!(
        refusal(3, HostTensor::Uint8(&[0])),
        @"image 3 cannot be given to the network: value expects float32, got other elements"
    );
    insta::assert_snapshot!(
        refusal(0, HostTensor::Float32(&[0.0; 3])),
        @"expected 1 to 2 images of 1 elements, got 3 elements"
    );
    insta::assert_snapshot!(
        refusal(0, HostTensor::Float32(&[])),
        @"expected 1 to 2 images of 1 elements, got 0 elements"
    );
    assert_eq!(executor.run_one(5, HostTensor::Float32(&[0.0])).unwrap().exit, 0);
}

#[test]
fn a_network_fixed_to_one_image_runs_no_batch() {
    let pipeline = two_exits().pipeline(Some(1));
    let policy = PolicySpec::default().fit(2).unwrap();
    let wide = NonZeroUsize::new(64).unwrap();
    let error = Executor::new(&pipeline, policy.as_ref(), wide).err().unwrap();
    assert!(matches!(error, ExecutorError::FixedBatch { fixed: 1, batch: 64 }));
    insta::assert_snapshot!(
        error,
        @"running 64 images at once needs a network with a free batch, got one fixed to 1"
    );
}
