//! The break-even map: which way is best at which rate and delay.

use offramp_offload::experiment::{Cell as Tested, Experiment, Tried, Way};

use super::device;
use super::ways::of;
use crate::findings::{Axis, Cell, Figure, MOST_SERIES, Mark, Series, Table};
use crate::metrics::row::{absent, text, word};

/// Rate in bits per second and delay in milliseconds of a cell whose link has both, the same each way, and does not change.
fn place(cell: &Tested) -> Option<(u64, f64)> {
    let link = cell.link.as_ref().filter(|link| link.events == 0 && link.up == link.down)?;
    Some((link.up.rate_bps?, link.up.delay_ms))
}

/// Distinct values, sorted.
fn distinct<T: Copy + PartialEq + PartialOrd>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = values.collect();
    all.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    all.dedup();
    all
}

/// Devices with the cells whose links have a place on the map.
fn devices(experiment: &Experiment) -> Vec<Vec<(&Tested, u64, f64)>> {
    let placed =
        experiment.cells.iter().filter_map(|cell| place(cell).map(|(rate, delay)| (cell, rate, delay)));
    let placed: Vec<_> = placed.collect();
    let scales = distinct(placed.iter().map(|(cell, ..)| cell.device_scale));
    scales
        .iter()
        .map(|scale| placed.iter().copied().filter(|(cell, ..)| cell.device_scale == *scale).collect())
        .collect()
}

/// A row for every input, device and rate, a column for every delay: the best fixed way, with its mean latency and how many times
/// as long the device alone takes.
pub fn table(experiment: &Experiment) -> Table {
    let devices = devices(experiment);
    let delays = distinct(devices.iter().flatten().map(|(_, _, delay)| *delay));
    let mut rows = Vec::new();
    for input in &experiment.data {
        for cells in &devices {
            for rate in distinct(cells.iter().map(|(_, rate, _)| *rate)) {
                let Some((first, ..)) = cells.first() else { continue };
                let mut row = vec![
                    word(&input.name),
                    word(&device(first)),
                    word(&format!("{} Mbit/s", rate as f64 / 1e6)),
                ];
                row.extend(delays.iter().map(|delay| {
                    let cell = cells.iter().find(|(_, r, d)| *r == rate && d == delay);
                    cell.map_or_else(|| absent("it was not tried"), |(cell, ..)| best(cell, &input.name))
                }));
                rows.push(row);
            }
        }
    }
    // One link is no map.
    if devices.iter().all(|cells| cells.len() < 2) {
        rows.clear();
    }
    let delayed = delays.iter().map(|delay| {
        let name = format!("delay_{}_ms", delay.to_string().replace('.', "_"));
        text(&name, &format!("{delay} ms each way"))
    });
    Table {
        name: "break-even".into(),
        title: "Break-even map".into(),
        caption: "The fixed way with the least mean latency: the segments that run on the device before the rest is sent, 0 for the image, or \
                  local; its mean latency; and over it that of the device alone."
            .into(),
        columns: [text("input", "Images"), text("device", "Device"), text("rate", "Rate")].into_iter().chain(delayed).collect(),
        rows,
    }
}

fn best(cell: &Tested, input: &str) -> Cell {
    let verdict = cell.verdicts.iter().find(|verdict| verdict.input == input);
    let found = verdict.and_then(|verdict| Some((verdict.best, of(cell, input, verdict.best)?.mean_s())));
    let Some((way, mean)) = found else { return absent("it was not tried") };
    let ms = format!("{way}: {:.1} ms", mean * 1e3);
    match of(cell, input, Way::Local).filter(|_| way != Way::Local) {
        Some(local) => word(&format!("{ms}, {:.2}x", local.mean_s() / mean)),
        None => word(&ms),
    }
}

/// Mean latency over rate, a line for every way: one figure for each device at the least delay, then one for each other delay.
pub fn figures(experiment: &Experiment) -> [Vec<Figure>; 2] {
    let (mut figures, mut further) = (Vec::new(), Vec::new());
    let Some(input) = experiment.data.first() else { return [figures, further] };
    for (number, cells) in devices(experiment).iter().enumerate() {
        let delays = distinct(cells.iter().map(|(_, _, delay)| *delay));
        for (at, delay) in delays.iter().enumerate() {
            let mut here: Vec<_> = cells.iter().filter(|(_, _, other)| other == delay).collect();
            here.sort_unstable_by_key(|(_, rate, _)| *rate);
            if here.len() < 2 {
                continue;
            }
            let name = format!("offload-latency-{number}-{at}");
            let figure = figure(name, &here, *delay, &input.name);
            if at == 0 { figures.push(figure) } else { further.push(figure) }
        }
    }
    [figures, further]
}

fn figure(name: String, cells: &[&(&Tested, u64, f64)], delay: f64, input: &str) -> Figure {
    let mut ways: Vec<Way> = Vec::new();
    for way in cells
        .iter()
        .flat_map(|(cell, ..)| &cell.tried)
        .filter(|tried| tried.input == input)
        .map(|tried| tried.way)
    {
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    // Device, picture and placement first: what stands between them is left out where there is no room.
    ways.sort_by_key(|way| match way {
        Way::Local => (0, 0),
        Way::Auto => (1, 0),
        Way::After(cut) => (2, *cut),
    });
    let left_out = ways.len().saturating_sub(MOST_SERIES);
    ways.truncate(MOST_SERIES);
    let series = ways.iter().map(|way| {
        let point = |(cell, rate, _): &&(&Tested, u64, f64)| {
            let mean = of(cell, input, *way).map(Tried::mean_s).filter(|mean| mean.is_finite())?;
            Some([*rate as f64 / 1e6, mean * 1e3])
        };
        let name = match way {
            Way::After(0) => "the image is sent".to_owned(),
            Way::After(cut) => format!("sent after {cut}"),
            other => other.to_string(),
        };
        Series { name, mark: Mark::Line, points: cells.iter().filter_map(point).collect() }
    });
    let axis = |label: &str| Axis { label: label.into(), ends: None, categories: None, logarithmic: true };
    let device = cells.first().map_or_else(String::new, |(cell, ..)| device(cell));
    let mut caption =
        "Mean latency of all images, those that stay on the device included; both axes are logarithmic."
            .to_owned();
    if left_out > 0 {
        caption += &format!(" {left_out} ways are left out; the table has all.");
    }
    Figure {
        name,
        title: format!("Latency by rate, {delay} ms each way, device {device}"),
        caption,
        x: axis("Rate, Mbit/s"),
        y: axis("Mean latency, ms"),
        series: series.collect(),
    }
}
