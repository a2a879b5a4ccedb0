//! What an offload experiment found: which way of placing images pays on which link, and what adversarial images change.

mod attacked;
mod map;
mod ways;

use std::path::Path;

use offramp_offload::experiment::{Cell as Tried, Experiment, FILE, SCHEMA_VERSION};
use offramp_runtime::meter::NotMeasured;

use crate::findings::{Cell, Findings, Format, Provenance, Table, Topic};
use crate::metrics::row::{column, count, decimals, known, text, word};
use crate::report::{Stored, StoredError, versioned};

/// The experiment in `folder` as findings.
///
/// # Errors
/// All of [`StoredError`] but `Write`.
pub fn read(folder: &Path) -> Result<Stored, StoredError> {
    let path = folder.join(FILE);
    let experiment: Experiment = versioned(&path, SCHEMA_VERSION)?;
    if let Err(source) = experiment.check() {
        return Err(StoredError::Impossible { path, source });
    }
    let stored = stored(&experiment);
    match stored.check() {
        Ok(()) => Ok(stored),
        Err(source) => Err(StoredError::Fault { path, source }),
    }
}

/// An experiment as findings.
pub fn stored(experiment: &Experiment) -> Stored {
    let benign = experiment.data.first();
    let provenance = Provenance {
        producer: experiment.producer.clone(),
        machine: experiment.machine.clone(),
        backend: experiment.backend.clone(),
        threads: experiment.threads,
        data: benign.map_or_else(String::new, |data| data.name.clone()),
        data_sha256: benign.map_or_else(|| offramp_models::Sha256::of(&[]), |data| data.sha256),
        seed: 0,
        networks: vec![experiment.bundle.clone()],
        not_measured: vec![NotMeasured::new("energy_j", "no meter was asked for")],
    };
    let topics = vec![
        Topic::new(
            "Where offloading pays",
            map::figures(experiment),
            vec![map::table(experiment), ways::best(experiment)],
        ),
        attacked::topic(experiment),
        Topic::new(
            "Every way that was tried",
            Default::default(),
            vec![terms(experiment), ways::all(experiment), ways::not_tried(experiment)],
        ),
    ];
    let topics = topics.into_iter().filter(|topic| !topic.is_empty()).collect();
    Stored::new(provenance, Findings { topics, ..Findings::default() })
}

/// What was fixed for all ways.
fn terms(experiment: &Experiment) -> Table {
    let Experiment { server, policy, terms, .. } = experiment;
    let most = |rate: Option<f64>| known(rate, "no budget was set");
    let row = vec![
        word(server),
        word(&policy.to_string()),
        word(&terms.wire.to_string()),
        Cell::Number(terms.deadline_s),
        word(if terms.local_completion { "the device" } else { "the best exit so far" }),
        most(terms.requests_per_s),
        most(terms.bytes_per_s),
        Cell::Number(2.0 * terms.blocks as f64 * terms.turn as f64),
    ];
    Table {
        name: "offload-terms".into(),
        title: "What was the same for all".into(),
        caption: "Runs of all ways were interleaved in turns, in one order and back.".into(),
        columns: vec![
            text("server", "Server"),
            text("policy", "Policy"),
            text("wire", "Sent as"),
            column("deadline_s", "Deadline", Format::Seconds),
            text("completion", "What comes late is completed by"),
            decimals("requests_per_s", "Requests a second at most", 1),
            decimals("bytes_per_s", "Bytes a second at most", 0),
            count("runs", "Runs of every way"),
        ],
        rows: vec![row],
    }
}

/// A link for people.
fn link(cell: &Tried) -> String {
    cell.link.as_ref().map_or_else(|| "as it is".to_owned(), ToString::to_string)
}

/// A device for people.
fn device(cell: &Tried) -> String {
    if cell.device_scale == 1.0 {
        "itself".to_owned()
    } else {
        format!("emulated {} times slower", cell.device_scale)
    }
}

#[cfg(test)]
mod tests {
    use offramp_models::{Sha256, Wire};
    use offramp_offload::experiment::{DataName, LinkName, Terms, Tried as Row, Verdict};
    use offramp_offload::link::Profile;
    use offramp_offload::placement::Way;
    use offramp_runtime::bench::WarmedUp;
    use offramp_runtime::confidence::{Measure, Threshold};
    use offramp_runtime::report::{BackendName, BundleName, OffloadReport};
    use offramp_runtime::statistics::{Interval, Latency};
    use std::time::Duration;

    use super::*;

    fn row(input: &str, way: Way, ms: f64, sent: usize) -> Row {
        let seconds = ms / 1e3;
        Row {
            input: input.into(),
            way,
            warm_up: WarmedUp { runs: 20, steady: true },
            images: 10,
            latency_s: Latency::of(&mut [seconds; 10]),
            late: 0,
            exits: vec![10 - sent, sent],
            mean_exit: Some(sent as f64 / 10.0),
            accuracy: None,
            offload: Some(OffloadReport {
                sent,
                cuts: vec![sent],
                by_peer: sent,
                by_device: 0,
                degraded: 0,
                sent_bytes: 100 * sent as u64,
                waited_s: None,
                device_s: None,
            }),
            requests_per_image: sent as f64 / 10.0,
            wire_bytes_per_image: 120.0,
            server_s_per_image: None,
            probes: 0,
            declined: Default::default(),
        }
    }

    fn experiment() -> Experiment {
        let cell = |rate_mbps: u64, delay: u64, scale: f64| {
            let profile = Profile::symmetric(rate_mbps * 1_000_000, Duration::from_millis(2 * delay));
            let far = 2.0 * delay as f64 + 100.0 / rate_mbps as f64;
            let local = 10.0 * scale;
            let tried = ["benign", "attacked"].into_iter().enumerate().flat_map(|(more, input)| {
                [
                    row(input, Way::Local, local, 0),
                    row(input, Way::After(0), far, 10),
                    row(input, Way::After(1), (local + far) / 2.0, 4 + 4 * more),
                    row(input, Way::Auto, local.min(far) * 1.05, 5),
                ]
            });
            let best = if local < far { Way::Local } else { Way::After(0) };
            let ratio = Interval { estimate: 1.05, low: 1.0, high: 1.1 };
            let verdict = |input: &str| Verdict { input: input.into(), best, auto_over_best: Some(ratio) };
            Tried {
                link: Some(LinkName::new(format!("{rate_mbps}-{delay}"), &profile)),
                device_scale: scale,
                tried: tried.collect(),
                not_tried: Vec::new(),
                verdicts: vec![verdict("benign"), verdict("attacked")],
            }
        };
        let data = |name: &str| DataName { name: name.into(), sha256: Sha256::of(name.as_bytes()) };
        let grid = [1, 10].into_iter().flat_map(|rate| [5, 20].map(|delay| (rate, delay)));
        Experiment {
            schema_version: SCHEMA_VERSION,
            producer: "offramp".into(),
            machine: "desk".into(),
            bundle: BundleName { name: "net".into(), identity: Sha256::of(b"net") },
            backend: BackendName { name: "tract".into(), provider: "cpu".into(), version: "0".into() },
            threads: None,
            server: "self".into(),
            policy: offramp_runtime::policy::PolicySpec::confidence(
                Measure::MaxSoftmax,
                Threshold::new(0.9).unwrap(),
            ),
            data: vec![data("benign"), data("attacked")],
            terms: Terms {
                wire: Wire::F32,
                deadline_s: 1.0,
                local_completion: true,
                requests_per_s: None,
                bytes_per_s: None,
                blocks: 2,
                turn: 5,
            },
            cells: grid.flat_map(|(rate, delay)| [1.0, 5.0].map(|scale| cell(rate, delay, scale))).collect(),
        }
    }

    fn texts<'a>(stored: &'a Stored, table: &str) -> Vec<Vec<&'a str>> {
        let table = stored.findings.tables().find(|found| found.name == table).unwrap();
        let text = |cell: &'a Cell| if let Cell::Text(text) = cell { text.as_str() } else { "" };
        table.rows.iter().map(|row| row.iter().map(text).collect()).collect()
    }

    #[test]
    fn the_map_has_the_best_fixed_way_by_rate_delay_and_device() {
        let stored = stored(&experiment());
        stored.check().unwrap();
        let map = texts(&stored, "break-even");
        assert_eq!(map[0], ["benign", "itself", "1 Mbit/s", "local: 10.0 ms", "local: 10.0 ms"]);
        assert_eq!(map[3][2..], ["10 Mbit/s", "0: 20.0 ms, 2.50x", "0: 50.0 ms, 1.00x"]);
        assert_eq!(map.len(), 2 * 2 * 2);
        let figures: Vec<_> = stored.findings.figures().map(|figure| figure.name.as_str()).collect();
        assert_eq!(
            figures,
            [
                "offload-latency-0-0",
                "offload-latency-1-0",
                "offload-latency-0-1",
                "offload-latency-1-1",
                "offload-sent"
            ]
        );
    }

    #[test]
    fn links_of_one_rate_and_delay_that_differ_otherwise_have_rows_of_their_own() {
        let mut experiment = experiment();
        let mut shaky = experiment.cells[0].clone();
        let link = shaky.link.as_mut().unwrap();
        (link.up.jitter_ms, link.up.queue_bytes) = (4.0, 3000);
        link.down = link.up;
        shaky.verdicts[0].best = Way::After(0);
        experiment.cells.push(shaky);
        let stored = stored(&experiment);
        let map = texts(&stored, "break-even");
        assert_eq!(map.len(), 2 * 2 * 2 + 2);
        assert_eq!(map[0][2..4], ["1 Mbit/s", "local: 10.0 ms"]);
        assert_eq!(map[1][2..], ["1 Mbit/s, 4 ms jitter, 3000 bytes wait", "0: 110.0 ms, 0.09x", ""]);
    }

    #[test]
    fn what_an_attack_changes_stands_beside_what_was() {
        let stored = stored(&experiment());
        let table = stored.findings.tables().find(|table| table.name == "offload-attacked").unwrap();
        let after_one = table.rows.iter().find(|row| row[3] == Cell::Text("1".into())).unwrap();
        assert_eq!(after_one[4..7], [Cell::Number(0.4), Cell::Number(0.8), Cell::Number(2.0)]);
        let alone = Experiment { data: experiment().data[..1].to_vec(), ..experiment() };
        let alone = Experiment {
            cells: alone
                .cells
                .into_iter()
                .map(|mut cell| {
                    cell.tried.retain(|tried| tried.input == "benign");
                    cell
                })
                .collect(),
            ..alone
        };
        assert!(
            super::stored(&alone)
                .findings
                .topics
                .iter()
                .all(|topic| topic.title != "Offloading under attack")
        );
    }

    #[test]
    fn an_experiment_is_read_back_and_another_version_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let mut experiment = experiment();
        experiment.write(folder.path()).unwrap();
        assert_eq!(read(folder.path()).unwrap(), stored(&experiment));
        assert_eq!(crate::report::Study::read(folder.path()).unwrap().stored, stored(&experiment));
        experiment.schema_version = 7;
        experiment.write(folder.path()).unwrap();
        assert!(matches!(
            read(folder.path()),
            Err(StoredError::Version { expected: SCHEMA_VERSION, found: 7, .. })
        ));
        std::fs::write(folder.path().join(FILE), "{\"schema_version\": 1,").unwrap();
        assert!(matches!(read(folder.path()), Err(StoredError::Truncated { .. })));
    }

    #[test]
    fn numbers_that_no_experiment_gives_are_refused() {
        let changes: [fn(&mut Experiment); 6] = [
            |found| found.cells[0].device_scale = -1.0,
            |found| found.cells[0].tried[0].accuracy = Some(7.0),
            |found| found.cells[0].tried[0].late = usize::MAX,
            |found| found.cells[0].tried[0].images = usize::MAX,
            |found| found.cells[0].link.as_mut().unwrap().up.delay_ms = 1e308,
            |found| found.terms.deadline_s = -1.0,
        ];
        for change in changes {
            let mut experiment = experiment();
            assert_eq!(experiment.check(), Ok(()));
            change(&mut experiment);
            let folder = tempfile::tempdir().unwrap();
            experiment.write(folder.path()).unwrap();
            assert!(matches!(read(folder.path()), Err(StoredError::Impossible { .. })));
        }
    }
}
