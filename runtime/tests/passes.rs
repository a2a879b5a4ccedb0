//! Whole data sets through a pipeline.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod scripted;

use std::num::NonZeroUsize;

use offramp_models::Sha256;
use offramp_models::dataset::{Chw, Dataset, Samples, Stack};
use offramp_runtime::bench::Subject;
use offramp_runtime::pass::{self, PassError, PassOptions};
use offramp_runtime::policy::PolicySpec;
use scripted::Table;

/// Black stops at exit 0, white goes on to exit 1.
fn table() -> Table {
    let logits = [[9.0, 0.0], [9.0, 0.0], [0.0, 1.0], [0.0, 9.0]];
    Table { exits: 2, classes: 2, logits: logits.concat() }
}

/// Black, white, white, black, white; the second white is labelled wrongly.
fn pictures() -> Stack {
    let samples = Samples::U8(vec![0, 255, 255, 0, 255]);
    let shape = Chw { channels: 1, height: 1, width: 1 };
    Stack::new("pictures", shape, samples, Some(vec![0, 1, 0, 0, 1])).unwrap()
}

fn stops(options: PassOptions) -> (Vec<(usize, usize, Option<usize>)>, usize) {
    let pipeline = table().pipeline(None);
    let policy = PolicySpec::default().fit(2).unwrap();
    let mut seen = Vec::new();
    let tally = pass::run(&pipeline, policy.as_ref(), &pictures(), options, None, |outcome, label| {
        seen.push((outcome.image, outcome.exit, label));
        Ok::<_, PassError>(())
    });
    (seen, tally.unwrap().images())
}

#[test]
fn a_pass_gives_every_image_once_and_in_order_whatever_the_batch() {
    let expected = vec![(0, 0, Some(0)), (1, 1, Some(1)), (2, 1, Some(0)), (3, 0, Some(0)), (4, 1, Some(1))];
    for batch in [1, 2, 5, 64] {
        let options = PassOptions { batch: NonZeroUsize::new(batch).unwrap(), ..PassOptions::default() };
        assert_eq!(stops(options), (expected.clone(), 5), "batch {batch}");
    }
}

#[test]
fn the_first_error_of_whoever_watches_ends_a_pass() {
    #[derive(Debug)]
    enum Watching {
        Enough,
        Pass(PassError),
    }
    impl From<PassError> for Watching {
        fn from(error: PassError) -> Self {
            Self::Pass(error)
        }
    }
    let pipeline = table().pipeline(None);
    let policy = PolicySpec::default().fit(2).unwrap();
    let mut seen = 0;
    let options = PassOptions::default();
    let ended = pass::run(&pipeline, policy.as_ref(), &pictures(), options, None, |_, _| {
        seen += 1;
        if seen < 3 { Ok(()) } else { Err(Watching::Enough) }
    });
    assert!(matches!(ended, Err(Watching::Enough)) && seen == 3);
    let never = PassOptions { rate_hz: Some(0.0), ..PassOptions::default() };
    let refused = pass::run(&pipeline, policy.as_ref(), &pictures(), never, None, |_, _| Ok(()));
    assert!(matches!(refused, Err(Watching::Pass(PassError::Rate(_)))));
}

#[test]
fn a_recording_holds_every_exit_of_every_image() {
    let (table, data) = (table(), pictures());
    let mut calls = 0;
    let recording = pass::record(&table.pipeline(None), &data, Sha256::of(b"abc"), || calls += 1).unwrap();
    assert_eq!((recording.images(), calls), (5, 5));
    for (image, row) in [0, 1, 1, 0, 1].into_iter().enumerate() {
        assert_eq!(recording.logits(image).unwrap(), [table.row(row, 0), table.row(row, 1)].concat());
        assert_eq!(recording.labels()[image], data.label(image));
    }
    assert_eq!(recording.data_sha256(), Sha256::of(b"abc"));
}

#[test]
fn the_way_to_every_exit_is_timed_on_as_many_images_as_asked_for() {
    let mut runs = 0;
    let images = NonZeroUsize::new(3).unwrap();
    let means = pass::exit_latencies(&table().pipeline(None), &pictures(), images, || runs += 1).unwrap();
    assert_eq!((means.len(), runs), (2, 6));
    assert!(means.iter().all(|seconds| *seconds > 0.0 && *seconds < 1.0));
    let most = NonZeroUsize::MAX;
    pass::exit_latencies(&table().pipeline(None), &pictures(), most, || runs += 1).unwrap();
    assert_eq!(runs, 16);
}

#[test]
fn a_bench_subject_goes_round_its_images_and_stops_where_the_policy_says() {
    let (pipeline, data) = (table().pipeline(None), pictures());
    let policy = PolicySpec::default().fit(2).unwrap();
    let mut subject = Subject::segments("s".into(), &pipeline, policy.as_ref(), &data).unwrap();
    let exits: Vec<usize> = (0..7).map(|input| (subject.run)(input).unwrap().exit).collect();
    assert_eq!(exits, [0, 1, 1, 0, 1, 0, 1]);
}
