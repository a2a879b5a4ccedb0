//! Latency benign against adversarial, measured in interleaved blocks by [`offramp_runtime::bench`].

use offramp_runtime::bench;
use offramp_runtime::statistics::Interval;

use super::row::{NO_METER, absent, count, known, measured, number, text, word};
use crate::findings::{Cell, Format, Table};

/// What was measured of one network under one policy: benign images first, then one or more sets.
#[derive(Clone, Copy, Debug)]
pub struct MeasuredLatency<'a> {
    /// The network.
    pub network: &'a str,
    /// The deployment by name.
    pub policy_name: &'a str,
    /// The subjects, named `benign` and by the sets' names, with their ratios to the first.
    pub measured: &'a bench::Comparison,
}

const NO_RUNS: &str = "no runs were measured";

/// Median latency and its ratio to the benign one with 95 % intervals; a row per network, policy and images.
pub fn table(latencies: &[MeasuredLatency<'_>]) -> Table {
    let rows = latencies.iter().flat_map(|of| {
        of.measured.subjects.iter().enumerate().map(move |(place, subject)| {
            let ratio = of.measured.ratios.iter().find(|ratio| place > 0 && ratio.name == subject.name);
            let latency = subject.latency_s;
            vec![
                word(of.network),
                word(of.policy_name),
                word(&subject.name),
                number(subject.runs),
                interval(subject.median_s),
                known(latency.map(|latency| latency.mean), NO_RUNS),
                known(latency.map(|latency| latency.p99), NO_RUNS),
                match place {
                    0 => absent("the others are measured against it"),
                    _ => interval(ratio.map(|ratio| ratio.ratio)),
                },
                absent(NO_METER),
            ]
        })
    });
    Table {
        name: "latency".into(),
        title: "Latency, benign and adversarial".into(),
        caption: "Measured in interleaved blocks, everything warmed up; medians and their ratios to benign \
                  images with 95 % intervals by resampling blocks."
            .into(),
        columns: vec![
            text("network", "Network"),
            text("policy", "Policy"),
            text("images", "Images"),
            count("runs", "Runs"),
            measured("median_s", "Median", Format::Seconds),
            measured("mean_s", "Mean", Format::Seconds),
            measured("p99_s", "99th percentile", Format::Seconds),
            measured("ratio", "Against benign", Format::Decimals(3)),
            measured("energy_j", "Energy per image", Format::Joules),
        ],
        rows: rows.collect(),
    }
}

/// Median latency by exit; a row per network, policy, images and exit that some image left at.
pub fn by_exit(latencies: &[MeasuredLatency<'_>]) -> Table {
    let mut rows = Vec::new();
    for of in latencies {
        for subject in &of.measured.subjects {
            for exit in &subject.exits {
                let mut row = [of.network, of.policy_name, &subject.name].map(word).to_vec();
                row.extend([number(exit.exit), number(exit.runs), interval(exit.median_s), absent(NO_METER)]);
                rows.push(row);
            }
        }
    }
    Table {
        name: "latency-by-exit".into(),
        title: "Latency by exit".into(),
        caption: "Median over the runs that stopped at the exit, with 95 % intervals by resampling blocks."
            .into(),
        columns: vec![
            text("network", "Network"),
            text("policy", "Policy"),
            text("images", "Images"),
            count("exit", "Exit"),
            measured("runs", "Runs", Format::Count),
            measured("median_s", "Median", Format::Seconds),
            measured("energy_j", "Energy per image", Format::Joules),
        ],
        rows,
    }
}

fn interval(of: Option<Interval>) -> Cell {
    match of {
        Some(Interval { estimate, low, high }) => Cell::Interval { value: estimate, ends: [low, high] },
        None => absent(NO_RUNS),
    }
}
