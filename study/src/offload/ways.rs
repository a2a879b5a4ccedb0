//! Tables of ways: the best of each cell, and all that were tried.

use offramp_offload::experiment::{Cell as Tested, Experiment, Tried};
use offramp_offload::placement::Way;

use super::{device, link};
use crate::findings::{Cell, Format, Table};
use crate::metrics::row::{absent, count, decimals, known, measured, number, percent, text, word};

const NOT_TRIED: &str = "it was not tried";
const SILENT: &str = "peers do not say";

/// The way of a cell on an input.
pub fn of<'a>(cell: &'a Tested, input: &str, way: Way) -> Option<&'a Tried> {
    cell.tried.iter().find(|tried| tried.way == way && tried.input == input)
}

/// A row for every cell and input: the best fixed way beside the device alone and the placement that measures.
pub fn best(experiment: &Experiment) -> Table {
    let rows = experiment.cells.iter().flat_map(|cell| {
        cell.verdicts.iter().map(move |verdict| {
            let mean = |way| known(of(cell, &verdict.input, way).map(Tried::mean_s), NOT_TRIED);
            vec![
                word(&verdict.input),
                word(&device(cell)),
                word(&link(cell)),
                word(&verdict.best.to_string()),
                mean(verdict.best),
                mean(Way::Local),
                mean(Way::Auto),
                match &verdict.auto_over_best {
                    Some(ratio) => Cell::Interval { value: ratio.estimate, ends: [ratio.low, ratio.high] },
                    None => absent(NOT_TRIED),
                },
            ]
        })
    });
    Table {
        name: "offload-best".into(),
        title: "The best fixed way on every link".into(),
        caption: "Mean latency per image. The best way was found by trying all: segments that run on the device before the rest is \
                  sent (0 sends the image), or local, nothing sent. The ratio is of means, with a 95 % interval by resampling blocks; the best \
                  of several measured means is a little too good."
            .into(),
        columns: vec![
            text("input", "Images"),
            text("device", "Device"),
            text("link", "Link"),
            text("best", "Best fixed way"),
            measured("best_s", "Its mean", Format::Seconds),
            measured("local_s", "Local", Format::Seconds),
            measured("auto_s", "Auto", Format::Seconds),
            measured("auto_over_best", "Auto / best", Format::Decimals(3)),
        ],
        rows: rows.collect(),
    }
}

/// A row for every way on every input of every cell.
pub fn all(experiment: &Experiment) -> Table {
    let rows = experiment.cells.iter().flat_map(|cell| {
        cell.tried.iter().map(move |tried| {
            let latency = |of: fn(&offramp_runtime::statistics::Latency) -> f64| {
                known(tried.latency_s.as_ref().map(of), "no images")
            };
            let sent = tried.offload.as_ref();
            let by = |of: fn(&offramp_runtime::report::OffloadReport) -> usize| number(sent.map_or(0, of));
            vec![
                word(&tried.input),
                word(&device(cell)),
                word(&link(cell)),
                word(&tried.way.to_string()),
                number(tried.images),
                latency(|latency| latency.mean),
                latency(|latency| latency.p50),
                latency(|latency| latency.p99),
                number(tried.late),
                Cell::Number(tried.sent()),
                by(|sent| sent.by_peer),
                by(|sent| sent.by_device),
                by(|sent| sent.degraded),
                Cell::Number(tried.bytes_per_image()),
                Cell::Number(tried.requests_per_image),
                known(tried.server_s_per_image, SILENT),
                known(tried.mean_exit, "no images"),
                known(tried.accuracy, "no labels"),
            ]
        })
    });
    Table {
        name: "offload-ways".into(),
        title: "Every way on every link".into(),
        caption: "Requests, bytes and server time of a link that changed half-way are of both halves together. Late: the answer came after the deadline. Degraded: neither the peer's answer nor the device's own was in time, and the \
                  best exit so far was taken. Bytes are those of tensors. Requests and the server's time count the warm-up and copies that \
                  nobody waited for."
            .into(),
        columns: vec![
            text("input", "Images"),
            text("device", "Device"),
            text("link", "Link"),
            text("way", "Sent after"),
            count("images", "Runs"),
            measured("mean_s", "Mean", Format::Seconds),
            measured("p50_s", "Median", Format::Seconds),
            measured("p99_s", "99th percentile", Format::Seconds),
            measured("late", "Late", Format::Count),
            measured("sent", "Sent", Format::Percent),
            measured("by_peer", "By peer", Format::Count),
            measured("by_device", "By device", Format::Count),
            measured("degraded", "Degraded", Format::Count),
            measured("bytes_per_image", "Bytes per image", Format::Decimals(0)),
            measured("requests_per_image", "Requests per image", Format::Decimals(2)),
            measured("server_s_per_image", "Server per image", Format::Seconds),
            decimals("mean_exit", "Mean exit", 2),
            percent("accuracy", "Accuracy"),
        ],
        rows: rows.collect(),
    }
}

/// A row for every way that could not be tried.
pub fn not_tried(experiment: &Experiment) -> Table {
    let rows = experiment.cells.iter().flat_map(|cell| {
        cell.not_tried.iter().map(move |not| {
            let words = [not.input.clone(), device(cell), link(cell), not.way.to_string(), not.why.clone()];
            words.iter().map(|text| word(text)).collect()
        })
    });
    Table {
        name: "offload-not-tried".into(),
        title: "Ways that could not be tried".into(),
        caption: "No peer could be used for them within the time that experiments wait.".into(),
        columns: vec![
            text("input", "Images"),
            text("device", "Device"),
            text("link", "Link"),
            text("way", "Sent after"),
            text("why", "Why not"),
        ],
        rows: rows.collect(),
    }
}
