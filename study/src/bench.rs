//! What a bench found: latency and energy of an image, benign against others, and how energy was measured.

mod energy;
mod measurement;

use std::path::Path;

use offramp_runtime::bench::Ratio;
use offramp_runtime::bench::record::{FILE, Load, Record, SCHEMA_VERSION};
use offramp_runtime::meter::NotMeasured;

use crate::findings::{Cell, Findings, Format, Provenance, Table, Topic};
use crate::metrics::row::{absent, known, measured, text, word};
use crate::report::{Stored, StoredError, versioned};

/// The bench in `folder` as findings.
///
/// # Errors
/// All of [`StoredError`] but `Write` and `Impossible`.
pub fn read(folder: &Path) -> Result<Stored, StoredError> {
    let path = folder.join(FILE);
    let stored = stored(&versioned(&path, SCHEMA_VERSION)?);
    match stored.check() {
        Ok(()) => Ok(stored),
        Err(source) => Err(StoredError::Fault { path, source }),
    }
}

/// A bench as findings.
pub fn stored(record: &Record) -> Stored {
    let board = record.board.model.as_deref().map(|board| format!("{board}; "));
    let provenance = Provenance {
        producer: record.producer.clone(),
        machine: format!("{}{}", board.unwrap_or_default(), record.machine),
        backend: record.backend.clone(),
        threads: record.threads,
        data: record.data.first().cloned().unwrap_or_default(),
        data_sha256: record.data_sha256,
        seed: 0,
        networks: vec![record.bundle.clone()],
        not_measured: not_measured(record),
    };
    let mut topics = vec![Topic::new("How long an image takes", Default::default(), vec![latency(record)])];
    if let Some(found) = &record.energy {
        topics.extend([energy::topic(found), energy::by_exit(found), measurement::topic(record, found)]);
    }
    topics.retain(|topic| !topic.is_empty());
    Stored::new(provenance, Findings { topics, ..Findings::default() })
}

/// What is missing, and why.
fn not_measured(record: &Record) -> Vec<NotMeasured> {
    let mut missing = record.not_measured.clone();
    let Some(found) = &record.energy else { return missing };
    for load in found.loads.iter().filter(|load| load.gross.is_none()) {
        let why = match &found.meter.domain {
            Some(_) => format!("no window of {} counts", load.load),
            None => found.meter.rule.clone(),
        };
        missing.push(NotMeasured::energy(why));
    }
    for (when, _) in ["before", "after"].iter().zip(found.idle).filter(|(_, idle)| idle.is_none()) {
        missing.push(NotMeasured::new("idle_w", format!("the idle window {when} does not count")));
    }
    missing
}

/// Latency and exits of every load.
fn latency(record: &Record) -> Table {
    let row = |load: &Load| {
        let of = |figure: fn(&offramp_runtime::statistics::Latency) -> f64| {
            known(load.latency_s.as_ref().map(figure), "no runs")
        };
        vec![
            word(&load.name),
            Cell::Number(load.runs as f64),
            mean_exit(&load.exits.iter().map(|count| *count as f64).collect::<Vec<_>>()),
            of(|latency| latency.mean),
            of(|latency| latency.p50),
            of(|latency| latency.p90),
            of(|latency| latency.p99),
            match record.ratios.iter().find(|ratio| ratio.name == load.name) {
                Some(Ratio { ratio: found, .. }) => {
                    Cell::Interval { value: found.estimate, ends: [found.low, found.high] }
                }
                None => absent("the others are held against the first"),
            },
            word(match load.steady {
                Some(true) => "yes",
                Some(false) => "NO",
                None => "-",
            }),
        ]
    };
    Table {
        name: "bench-latency".into(),
        title: "Latency of one image".into(),
        caption: format!(
            "One image at a time, in turns with everything else that was measured, without a meter beside it. Policy: {}.",
            record.policy
        ),
        columns: vec![
            text("load", "What ran"),
            measured("runs", "Runs", Format::Count),
            measured("mean_exit", "Mean exit", Format::Decimals(2)),
            measured("mean_s", "Mean", Format::Seconds),
            measured("p50_s", "Median", Format::Seconds),
            measured("p90_s", "p90", Format::Seconds),
            measured("p99_s", "p99", Format::Seconds),
            measured("ratio", "Median over the first", Format::Decimals(3)),
            text("steady", "Steady after the warm-up"),
        ],
        rows: record.loads.iter().map(row).collect(),
    }
}

/// Mean index of the exit.
fn mean_exit(counts: &[f64]) -> Cell {
    let all: f64 = counts.iter().sum();
    let sum: f64 = counts.iter().enumerate().map(|(exit, count)| exit as f64 * count).sum();
    if all > 0.0 { Cell::Number(sum / all) } else { absent("no images") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Study, html};

    /// What `offramp bench --energy-per-exit` wrote beside `benches/emulated_rail.py`.
    const RECORDED: &[u8] = include_bytes!("bench/recorded.json");

    fn record() -> Record {
        serde_json::from_slice(RECORDED).unwrap()
    }

    #[test]
    fn a_recorded_bench_has_pages_of_latency_energy_exits_and_how_it_was_measured() {
        let stored = stored(&record());
        stored.check().unwrap();
        let titles: Vec<_> = stored.findings.topics.iter().map(|topic| topic.title.as_str()).collect();
        let expected = [
            "How long an image takes",
            "What an image costs",
            "What an exit costs",
            "How energy was measured",
        ];
        assert_eq!(titles, expected);
        let shown = html(&[Study { folder: "board".into(), stored }]).unwrap();
        let domain = record().energy.unwrap().meter.domain.unwrap();
        assert!(shown.contains(&domain), "the page says what the meter covers");
    }

    #[test]
    fn without_a_meter_latency_stands_alone_and_the_reason_is_told() {
        let why = offramp_runtime::meter::NotMeasured::energy("no meter was asked for");
        let stored = stored(&Record { energy: None, not_measured: vec![why], ..record() });
        assert_eq!(stored.findings.topics.len(), 1);
        let shown = html(&[Study { folder: "board".into(), stored }]).unwrap();
        assert!(shown.contains("no meter was asked for"));
    }

    #[test]
    fn windows_that_do_not_count_are_told_as_not_measured() {
        let mut record = record();
        let energy = record.energy.as_mut().unwrap();
        (energy.loads[0].gross, energy.idle[1]) = (None, None);
        let what: Vec<_> = stored(&record).provenance.not_measured.into_iter().map(|it| it.what).collect();
        assert_eq!(what, ["energy_j", "idle_w"]);
    }

    #[test]
    fn two_boards_stand_side_by_side() {
        let mut other = record();
        other.board.model = Some("Another Board".into());
        other.loads[0].runs += 1;
        let study = |folder: &str, record| Study { folder: folder.into(), stored: stored(record) };
        let shown = html(&[study("a", &record()), study("b", &other)]).unwrap();
        assert!(shown.contains("Another Board"));
    }

    #[test]
    fn a_bench_is_read_as_it_was_written_and_a_half_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        record().write(folder.path()).unwrap();
        assert_eq!(read(folder.path()).unwrap(), stored(&record()));
        std::fs::write(folder.path().join(FILE), &RECORDED[..RECORDED.len() / 2]).unwrap();
        assert!(matches!(read(folder.path()), Err(StoredError::Truncated { .. })));
    }
}
