//! Tables of images on a device that offloads, and what came of each image.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use offramp_offload::client::{BreakerSettings, Client, Config, Summary};
use offramp_offload::placement::Fixed;
use offramp_runtime::backend::HostTensor;
use offramp_runtime::executor::{Departure, Executor, LocalCompletion, Offload};
use offramp_runtime::policy::PolicySpec;
use offramp_runtime::remote::By;

use crate::fake::models;
use crate::scripted::Table;

/// Long enough for every step of a client on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Images that go on to the last of three exits: no softmax of two classes so close is confident.
pub fn table(images: usize) -> Table {
    let logits = (0..images).flat_map(|image| {
        let lean = if image % 2 == 0 { 0.1 } else { -0.1 };
        [0.0, lean, 0.0, -lean, 0.0, 2.0 * lean]
    });
    Table { exits: 3, classes: 2, logits: logits.collect() }
}

/// A client of these peers with short waits.
pub fn config(peers: Vec<offramp_offload::client::Address>) -> Config {
    Config {
        handshake: Duration::from_secs(2),
        breaker: BreakerSettings {
            reconnect: Duration::from_millis(5),
            open: Duration::from_millis(20),
            longest: Duration::from_millis(200),
            recheck: Duration::from_millis(300),
            ..BreakerSettings::default()
        },
        seed: 11,
        ..Config::new(peers)
    }
}

/// A client that sends what comes to `cut`.
pub fn client(config: Config, table: &Table, cut: usize) -> Client {
    Client::connect(config, models(table, "0123456789ab"), Box::new(Fixed { cut })).unwrap()
}

/// What came of one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Said {
    pub exit: usize,
    pub predicted: usize,
    pub by: Option<By>,
    pub latency: Duration,
}

/// Runs images `range` of a table, one at a time.
pub fn run(
    table: &Table,
    client: &mut Client,
    images: std::ops::Range<usize>,
    deadline: Duration,
    completion: LocalCompletion,
) -> Vec<Said> {
    let pipeline = table.pipeline(None);
    let policy = PolicySpec::default().fit(table.exits).unwrap();
    let departures: Vec<_> = pipeline
        .stages()
        .iter()
        .map(|stage| Some(Departure { feeds: stage.feeds[..1].to_vec(), wire: None }))
        .collect();
    let offload = Offload { remote: client, departures: &departures, deadline, completion };
    let executor = Executor::new(&pipeline, policy.as_ref(), NonZeroUsize::MIN).unwrap();
    let mut executor = executor.with_offload(offload);
    let said = images.map(|image| {
        let outcome = executor.run_one(image, HostTensor::Float32(&[image as f32])).unwrap();
        assert_eq!(outcome.image, image);
        Said {
            exit: outcome.exit,
            predicted: outcome.predicted,
            by: outcome.offload.map(|offload| offload.by),
            latency: outcome.latency,
        }
    });
    said.collect()
}

/// What a device without peers says about the same images.
pub fn here(table: &Table, image: usize) -> (usize, usize) {
    let row = table.row(image, table.exits - 1);
    (table.exits - 1, usize::from(row[1] > row[0]))
}

/// Waits until a summary shows what it should.
#[track_caller]
pub fn until(client: &Client, shows: impl Fn(&Summary) -> bool) -> Summary {
    let end = Instant::now() + PATIENCE;
    loop {
        let summary = client.summary();
        if shows(&summary) {
            return summary;
        }
        assert!(Instant::now() < end, "{}", serde_json::to_string_pretty(&summary).unwrap());
        std::thread::sleep(Duration::from_millis(2));
    }
}
