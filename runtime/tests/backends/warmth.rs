//! What is built or touched first is so before anything is timed.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::engines::engines;
use crate::preparation::{bundle, quietly};
use offramp_models::{DType, TensorSpec};
use offramp_runtime::backend::fake::{FakeBackend, Script};
use offramp_runtime::backend::{BackendError, HostTensor};
use offramp_runtime::confidence::{Measure, Threshold};
use offramp_runtime::executor::Executor;
use offramp_runtime::policy::PolicySpec;
use offramp_runtime::prepare::{PrepareError, PrepareOptions, prepare};

const IMAGE: usize = 3 * 8 * 8;

/// The batch of every run, in order.
type Runs = Arc<Mutex<Vec<u64>>>;

/// Two scripted segments for the residual bundle, sure of every image but the first.
fn scripted(fails_at: Option<usize>) -> (FakeBackend, Runs) {
    let script = |input: &str, extents: &[usize], index: usize| Script {
        inputs: vec![TensorSpec {
            name: input.to_owned(),
            dtype: DType::Float32,
            shape: std::iter::once(None).chain(extents.iter().copied().map(Some)).collect(),
        }],
        logits: format!("exit{index}"),
        boundary: (index == 0).then(|| "h".to_owned()),
        answers: vec![vec![0.0; 4], vec![9.0, 0.0, 0.0, 0.0], vec![9.0, 0.0, 0.0, 0.0]],
        delay: Duration::from_secs(1),
        fails_at: fails_at.filter(|_| index == 1),
    };
    let runs = Runs::default();
    let seen = Arc::clone(&runs);
    let backend = FakeBackend::new()
        .with_script("segment 0", script("image", &[3, 8, 8], 0))
        .with_script("segment 1", script("h", &[1], 1))
        .with_sleep(Arc::new(move |delay| seen.lock().unwrap().push(delay.as_secs())));
    (backend, runs)
}

fn taken(runs: &Runs) -> Vec<u64> {
    std::mem::take(&mut *runs.lock().unwrap())
}

/// Images whose numbers are 0, 1, 2 and so on.
fn images(count: usize) -> Vec<f32> {
    (0..count * IMAGE).map(|at| if at % IMAGE == 0 { (at / IMAGE) as f32 } else { 0.0 }).collect()
}

#[test]
fn preparing_runs_every_segment_once() {
    let folder = tempfile::tempdir().unwrap();
    let (backend, runs) = scripted(None);
    quietly(&bundle(folder.path()), &backend, None);
    assert_eq!(taken(&runs), [1, 1]);
}

#[test]
fn a_segment_that_cannot_run_is_found_when_it_is_prepared() {
    let folder = tempfile::tempdir().unwrap();
    let (backend, _) = scripted(Some(0));
    let result = prepare(&bundle(folder.path()), &backend, &PrepareOptions::default(), &mut |_| {});
    let Err(PrepareError::Backend(error @ BackendError::Run(_))) = result else { panic!("it was prepared") };
    assert_eq!(error.to_string(), "segment 1 failed");
}

#[test]
fn warming_up_goes_through_a_whole_batch_and_through_every_cut() {
    let folder = tempfile::tempdir().unwrap();
    let (backend, runs) = scripted(None);
    let prepared = quietly(&bundle(folder.path()), &backend, None);
    let policy = PolicySpec::confidence(Measure::MaxSoftmax, Threshold::DEFAULT).fit(2).unwrap();
    taken(&runs);
    for (batch, count, wanted) in [(1, 1, &[1, 1][..]), (3, 3, &[3, 3, 1]), (3, 2, &[2, 2, 1])] {
        let batch = NonZeroUsize::new(batch).unwrap();
        let mut executor = Executor::new(&prepared.pipeline, policy.as_ref(), batch).unwrap();
        assert!(taken(&runs).is_empty(), "wiring runs nothing");
        executor.warm_up(HostTensor::Float32(&images(count))).unwrap();
        assert_eq!(taken(&runs), wanted);
        let outcome = executor.run_batch(0, HostTensor::Float32(&images(count))).unwrap();
        assert_eq!(outcome.compactions(), usize::from(count > 1));
        assert_eq!(taken(&runs), [count as u64, 1]);
    }
}

#[test]
fn segments_say_what_ran_them_and_on_how_many_threads() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    for engine in engines() {
        let options = PrepareOptions { threads: Some(2), ..PrepareOptions::default() };
        let prepared = prepare(&bundle, &*engine, &options, &mut |_| {}).unwrap();
        let ran_by: Vec<_> = prepared.pipeline.ran_by().collect();
        let name = engine.describe().name;
        assert_eq!(ran_by.iter().map(|segment| segment.segment).collect::<Vec<_>>(), [0, 1], "{name}");
        for segment in ran_by {
            assert_eq!(segment.backend, engine.describe());
            assert_eq!(segment.threads, Some(if name == "tract" { 1 } else { 2 }), "{name}");
        }
    }
}
