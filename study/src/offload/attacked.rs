//! What other images than benign ones do to a device that offloads, and to its server.

use offramp_offload::experiment::{Cell as Tested, Experiment, Tried};

use super::ways::of;
use super::{device, link};
use crate::findings::{Axis, Cell, Figure, Format, MOST_SERIES, Mark, Series, Table, Topic};
use crate::metrics::row::{absent, known, measured, text, word};

/// Benign against each other input; empty where there is none.
pub fn topic(experiment: &Experiment) -> Topic {
    let tables = vec![table(experiment)];
    let figures = experiment.cells.iter().take(1).filter_map(|cell| figure(experiment, cell)).collect();
    let topic = Topic::new("Offloading under attack", [figures, Vec::new()], tables);
    if topic.tables.is_empty() { Topic::default() } else { topic }
}

/// Every way with its benign twin.
fn pairs<'a>(experiment: &'a Experiment, cell: &'a Tested) -> impl Iterator<Item = (&'a Tried, &'a Tried)> {
    let benign = experiment.data.first().map_or("", |data| data.name.as_str());
    let others = cell.tried.iter().filter(move |tried| tried.input != benign);
    others.filter_map(move |tried| Some((of(cell, benign, tried.way)?, tried)))
}

fn table(experiment: &Experiment) -> Table {
    let mut rows = Vec::new();
    for cell in &experiment.cells {
        for (benign, other) in pairs(experiment, cell) {
            let p99 = |tried: &Tried| known(tried.latency_s.map(|latency| latency.p99), "no images");
            let server = |tried: &Tried| known(tried.server_s_per_image, "peers do not say");
            let ratio = |of: &dyn Fn(&Tried) -> Option<f64>| match of(benign).zip(of(other)) {
                Some((benign, other)) if benign > 0.0 => Cell::Number(other / benign),
                _ => absent("nothing benign to compare with"),
            };
            let mean = |tried: &Tried| tried.latency_s.map(|latency| latency.mean);
            rows.push(vec![
                word(&other.input),
                word(&device(cell)),
                word(&link(cell)),
                word(&other.way.to_string()),
                Cell::Number(benign.sent()),
                Cell::Number(other.sent()),
                ratio(&|tried| Some(tried.bytes_per_image())),
                ratio(&mean),
                p99(benign),
                p99(other),
                server(benign),
                server(other),
                known(benign.mean_exit, "no images"),
                known(other.mean_exit, "no images"),
                known(benign.accuracy, "no labels"),
                known(other.accuracy, "no labels"),
            ]);
        }
    }
    Table {
        name: "offload-attacked".into(),
        title: "Benign images against others, way by way".into(),
        caption: "Sent: fraction of the images that left the device. Server: what the peer says that it spent, per image of the device, \
                  queueing included. Ratios are others over benign."
            .into(),
        columns: vec![
            text("input", "Images"),
            text("device", "Device"),
            text("link", "Link"),
            text("way", "Sent after"),
            measured("benign_sent", "Sent, benign", Format::Percent),
            measured("sent", "Sent", Format::Percent),
            measured("bytes_ratio", "Bytes, ratio", Format::Decimals(2)),
            measured("latency_ratio", "Mean latency, ratio", Format::Decimals(2)),
            measured("benign_p99_s", "p99, benign", Format::Seconds),
            measured("p99_s", "p99", Format::Seconds),
            measured("benign_server_s", "Server, benign", Format::Seconds),
            measured("server_s", "Server", Format::Seconds),
            measured("benign_mean_exit", "Mean exit, benign", Format::Decimals(2)),
            measured("mean_exit", "Mean exit", Format::Decimals(2)),
            measured("benign_accuracy", "Accuracy, benign", Format::Percent),
            measured("accuracy", "Accuracy", Format::Percent),
        ],
        rows,
    }
}

/// The fraction sent, way by way.
fn figure(experiment: &Experiment, cell: &Tested) -> Option<Figure> {
    let mut ways = Vec::new();
    for tried in &cell.tried {
        if !ways.contains(&tried.way) {
            ways.push(tried.way);
        }
    }
    let series = experiment.data.iter().take(MOST_SERIES).map(|data| {
        let points = ways.iter().enumerate().filter_map(|(at, way)| {
            of(cell, &data.name, *way).map(|tried| [at as f64, tried.sent() * 100.0])
        });
        Series { name: data.name.clone(), mark: Mark::Bar, points: points.collect() }
    });
    let series: Vec<Series> = series.collect();
    let axis =
        |label: &str, ends, categories| Axis { label: label.into(), ends, categories, logarithmic: false };
    (series.len() > 1).then(|| Figure {
        name: "offload-sent".into(),
        title: format!("Images that leave the device, link {}", link(cell)),
        caption: "Fraction of the images that were sent, by the way of placing them: the segments that run on the device before the rest is \
                  sent, local, or auto."
            .into(),
        x: axis("Sent after", None, Some(ways.iter().map(ToString::to_string).collect())),
        y: axis("Images sent, %", Some([0.0, 100.0]), None),
        series,
    })
}
