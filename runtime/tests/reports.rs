//! Traces and reports of a run, as they are written.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod scripted;

use std::num::NonZeroUsize;

use offramp_models::Sha256;
use offramp_runtime::backend::HostTensor;
use offramp_runtime::executor::Executor;
use offramp_runtime::meter::{Joules, NotMeasured};
use offramp_runtime::policy::{Fallback, PolicySpec};
use offramp_runtime::report::{BackendName, BundleName, Report, Subject, Tally};
use offramp_runtime::statistics::Latency;
use offramp_runtime::trace::{TraceLine, TraceWriter};
use scripted::Table;

/// Image 0 stops at exit 0, image 1 at exit 1; image 2 never convinces, least of all at the final exit.
fn table() -> Table {
    let logits = vec![
        [9.0, 0.0],
        [0.0, 0.0],
        [0.0, 0.0], //
        [0.0, 1.0],
        [0.0, 9.0],
        [0.0, 0.0], //
        [1.0, 0.0],
        [0.0, 2.0],
        [0.0, 0.0], //
    ];
    Table { exits: 3, classes: 2, logits: logits.concat() }
}

/// Runs the table and gives its trace and its report, with latencies that a snapshot can hold.
fn run(labels: [Option<usize>; 3], energy: Result<Joules, NotMeasured>) -> (Vec<TraceLine>, Report) {
    let (table, policy) =
        (table(), PolicySpec { fallback: Fallback::MostConfident, ..PolicySpec::default() });
    let pipeline = table.pipeline(None);
    let fitted = policy.fit(3).unwrap();
    let mut executor = Executor::new(&pipeline, fitted.as_ref(), NonZeroUsize::MIN).unwrap();
    let (mut tally, mut trace) = (Tally::new(3), TraceWriter::new(Vec::new()));
    for (image, label) in labels.into_iter().enumerate() {
        let outcome = executor.run_one(image, HostTensor::Float32(&[image as f32])).unwrap();
        tally.add(&outcome, label);
        trace.write(&outcome, label).unwrap();
    }
    let macs: Vec<u64> = pipeline.exits().iter().map(|exit| exit.macs).collect();
    let bundle = BundleName { name: "table".into(), identity: Sha256::of(b"abc") };
    let backend = BackendName::from(&pipeline.stages()[0].description);
    let mut report = tally.report(Subject { bundle, backend, policy, macs: &macs }, energy);
    let latency = Latency { mean: 0.002, p50: 0.001, p90: 0.003, p99: 0.004, max: 0.005 };
    let slots = report.exits.iter_mut().map(|exit| &mut exit.latency_s).chain([&mut report.latency_s]);
    slots.flatten().for_each(|measured| *measured = latency);
    let text = String::from_utf8(trace.finish().unwrap()).unwrap();
    let mut lines: Vec<TraceLine> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &mut lines {
        assert!(line.latency_s > 0.0);
        assert!((line.latency_s - line.segments_s.iter().sum::<f64>()).abs() < 1e-9);
        line.latency_s = 0.001;
        line.segments_s.fill(0.0005);
    }
    (lines, report)
}

fn no_meter() -> Result<Joules, NotMeasured> {
    Err(NotMeasured::new("energy_j", "no meter was asked for"))
}

#[test]
fn a_trace_line_has_the_pinned_keys() {
    let (lines, _) = run([Some(0), None, Some(1)], no_meter());
    let lines: Vec<String> = lines.iter().map(|line| serde_json::to_string(line).unwrap()).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {"image":0,"label":0,"predicted":0,"exit":0,"answer_exit":0,"confidence":0.9998766,"confidences":[0.9998766],"latency_s":0.001,"segments_s":[0.0005],"offloaded":false}
    {"image":1,"label":null,"predicted":1,"exit":1,"answer_exit":1,"confidence":0.9998766,"confidences":[0.7310586,0.9998766],"latency_s":0.001,"segments_s":[0.0005,0.0005],"offloaded":false}
    {"image":2,"label":1,"predicted":1,"exit":2,"answer_exit":1,"confidence":0.8807971,"confidences":[0.7310586,0.8807971,0.5],"latency_s":0.001,"segments_s":[0.0005,0.0005,0.0005],"offloaded":false}
    "#);
}

#[test]
fn a_report_has_the_pinned_keys() {
    let (_, report) = run([Some(0), Some(0), Some(1)], Ok(Joules(1.5)));
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    insta::assert_snapshot!(serde_json::to_string_pretty(&report).unwrap(), @r#"
    {
      "schema_version": 1,
      "bundle": {
        "name": "table",
        "identity": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
      },
      "backend": {
        "name": "fake",
        "provider": "cpu",
        "version": "1"
      },
      "policy": {
        "kind": "max-softmax",
        "thresholds": [
          0.9
        ],
        "patience": null,
        "fallback": "most-confident"
      },
      "images": 3,
      "accuracy": 0.6666666666666666,
      "exits": [
        {
          "exit": 0,
          "count": 1,
          "accuracy": 1.0,
          "latency_s": {
            "mean": 0.002,
            "p50": 0.001,
            "p90": 0.003,
            "p99": 0.004,
            "max": 0.005
          }
        },
        {
          "exit": 1,
          "count": 1,
          "accuracy": 0.0,
          "latency_s": {
            "mean": 0.002,
            "p50": 0.001,
            "p90": 0.003,
            "p99": 0.004,
            "max": 0.005
          }
        },
        {
          "exit": 2,
          "count": 1,
          "accuracy": 1.0,
          "latency_s": {
            "mean": 0.002,
            "p50": 0.001,
            "p90": 0.003,
            "p99": 0.004,
            "max": 0.005
          }
        }
      ],
      "mean_exit": 1.0,
      "macs_fraction": 0.6666666666666666,
      "latency_s": {
        "mean": 0.002,
        "p50": 0.001,
        "p90": 0.003,
        "p99": 0.004,
        "max": 0.005
      },
      "energy_j": 1.5,
      "not_measured": []
    }
    "#);
}

#[test]
fn what_is_unknown_is_null_and_says_why() {
    let (_, report) = run([None; 3], no_meter());
    let value = serde_json::to_value(&report).unwrap();
    assert!(
        value["accuracy"].is_null() && value["energy_j"].is_null() && value["exits"][2]["accuracy"].is_null()
    );
    insta::assert_snapshot!(value["not_measured"], @r#"[{"what":"accuracy","why":"the images have no labels"},{"what":"energy_j","why":"no meter was asked for"}]"#);
}

#[test]
fn a_run_of_nothing_reports_no_zeros() {
    let bundle = BundleName { name: "table".into(), identity: Sha256::of(b"abc") };
    let backend = BackendName { name: "fake".into(), provider: "cpu".into(), version: "1".into() };
    let subject = Subject { bundle, backend, policy: PolicySpec::default(), macs: &[1, 2] };
    let report = Tally::new(2).report(subject, no_meter());
    assert_eq!(
        (report.images, report.accuracy, report.mean_exit, report.macs_fraction),
        (0, None, None, None)
    );
    assert_eq!(report.not_measured.len(), 5);
    insta::assert_snapshot!(report.table(), @"
    table on fake cpu 1
    policy: max-softmax >= 0.9; else final

    exit  images      %  accuracy  mean ms   p50 ms   p90 ms   p99 ms   max ms
       0       0      -         -        -        -        -        -        -
       1       0      -         -        -        -        -        -        -
     all       0      -         -        -        -        -        -        -

    accuracy was not measured: no image was run
    mean_exit was not measured: no image was run
    macs_fraction was not measured: no image was run
    latency_s was not measured: no image was run
    energy_j was not measured: no meter was asked for
    ");
}

#[test]
fn the_table_for_people_has_a_row_per_exit() {
    let (_, mut report) = run([Some(0), Some(0), Some(1)], no_meter());
    report.compaction_s = Some(0.0123);
    report.deadline_misses = Some(2);
    insta::assert_snapshot!(report.table(), @"
    table on fake cpu 1
    policy: max-softmax >= 0.9; else most-confident

    exit  images      %  accuracy  mean ms   p50 ms   p90 ms   p99 ms   max ms
       0       1   33.3     100.0    2.000    1.000    3.000    4.000    5.000
       1       1   33.3       0.0    2.000    1.000    3.000    4.000    5.000
       2       1   33.3     100.0    2.000    1.000    3.000    4.000    5.000
     all       3  100.0      66.7    2.000    1.000    3.000    4.000    5.000

    mean exit: 1.000
    MACs spent: 0.6667 of the final exit's
    compacting batches: 12.300 ms
    deadlines missed: 2
    energy_j was not measured: no meter was asked for
    ");
}
