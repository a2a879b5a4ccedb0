//! The break-even map: which way is best at which rate and delay.

use offramp_offload::experiment::{Cell as Tested, Experiment, Tried};
use offramp_offload::link::Shape;
use offramp_offload::placement::Way;

use super::device;
use super::ways::of;
use crate::findings::{Axis, Cell, Figure, MOST_SERIES, Mark, Series, Table};
use crate::metrics::row::{absent, text, word};

/// A cell whose link has a place on the map: a rate and a delay, the same each way, that do not change.
#[derive(Clone, Copy)]
struct Spot<'a> {
    cell: &'a Tested,
    rate: u64,
    link: Shape,
}

impl<'a> Spot<'a> {
    fn of(cell: &'a Tested) -> Option<Self> {
        let link = cell.link.as_ref().filter(|link| link.events == 0 && link.up == link.down)?.up;
        Some(Self { cell, rate: link.rate_bps?, link })
    }

    /// What else tells links apart: those that differ in it are not compared by rate and delay.
    const fn kind(&self) -> (f64, usize) {
        (self.link.jitter_ms, self.link.queue_bytes)
    }
}

/// What a kind of link has that others do not.
fn besides((jitter, queue): (f64, usize)) -> String {
    let mut text = String::new();
    if jitter > 0.0 {
        text += &format!(", {jitter} ms jitter");
    }
    if queue != Shape::default().queue_bytes {
        text += &format!(", {queue} bytes wait");
    }
    text
}

/// Distinct values, sorted.
fn distinct<T: Copy + PartialEq + PartialOrd>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = values.collect();
    all.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    all.dedup();
    all
}

/// Devices with the cells whose links have a place on the map.
fn devices(experiment: &Experiment) -> Vec<Vec<Spot<'_>>> {
    let placed: Vec<_> = experiment.cells.iter().filter_map(Spot::of).collect();
    let scales = distinct(placed.iter().map(|spot| spot.cell.device_scale));
    let of = |scale: &f64| placed.iter().copied().filter(|spot| spot.cell.device_scale == *scale).collect();
    scales.iter().map(of).collect()
}

/// A row for every input, device, rate and kind of link, a column for every delay: the best fixed way, with its mean latency and how many times
/// as long the device alone takes.
pub fn table(experiment: &Experiment) -> Table {
    let devices = devices(experiment);
    let delays = distinct(devices.iter().flatten().map(|spot| spot.link.delay_ms));
    let mut rows = Vec::new();
    for input in &experiment.data {
        for cells in &devices {
            for (rate, kind) in distinct(cells.iter().map(|spot| (spot.rate, spot.kind()))) {
                let Some(first) = cells.first() else { continue };
                let mut row = vec![
                    word(&input.name),
                    word(&device(first.cell)),
                    word(&format!("{} Mbit/s{}", rate as f64 / 1e6, besides(kind))),
                ];
                row.extend(delays.iter().map(|delay| {
                    let mut there = cells.iter().filter(|spot| spot.rate == rate && spot.kind() == kind);
                    let spot = there.find(|spot| spot.link.delay_ms == *delay);
                    spot.map_or_else(|| absent("it was not tried"), |spot| best(spot.cell, &input.name))
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

/// Mean latency over rate, a line for every way: one figure for each device at the least delay, then one for each other delay and kind.
pub fn figures(experiment: &Experiment) -> [Vec<Figure>; 2] {
    let (mut figures, mut further) = (Vec::new(), Vec::new());
    let Some(input) = experiment.data.first() else { return [figures, further] };
    for (number, cells) in devices(experiment).iter().enumerate() {
        let lines = distinct(cells.iter().map(|spot| (spot.kind(), spot.link.delay_ms)));
        for (at, (kind, delay)) in lines.iter().enumerate() {
            let here = cells.iter().filter(|spot| (spot.kind(), spot.link.delay_ms) == (*kind, *delay));
            let mut here: Vec<_> = here.copied().collect();
            here.sort_unstable_by_key(|spot| spot.rate);
            if here.len() < 2 {
                continue;
            }
            let name = format!("offload-latency-{number}-{at}");
            let figure = figure(name, &here, &input.name);
            if at == 0 { figures.push(figure) } else { further.push(figure) }
        }
    }
    [figures, further]
}

fn figure(name: String, spots: &[Spot<'_>], input: &str) -> Figure {
    let mut ways: Vec<Way> = Vec::new();
    for way in spots
        .iter()
        .flat_map(|spot| &spot.cell.tried)
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
        let point = |spot: &Spot<'_>| {
            let mean = of(spot.cell, input, *way).map(Tried::mean_s).filter(|mean| mean.is_finite())?;
            Some([spot.rate as f64 / 1e6, mean * 1e3])
        };
        let name = match way {
            Way::After(0) => "the image is sent".to_owned(),
            Way::After(cut) => format!("sent after {cut}"),
            other => other.to_string(),
        };
        Series { name, mark: Mark::Line, points: spots.iter().filter_map(point).collect() }
    });
    let axis = |label: &str| Axis { label: label.into(), ends: None, categories: None, logarithmic: true };
    let place = spots.first().map_or_else(String::new, |spot| {
        format!("{} ms each way{}, device {}", spot.link.delay_ms, besides(spot.kind()), device(spot.cell))
    });
    let mut caption =
        "Mean latency of all images, those that stay on the device included; both axes are logarithmic."
            .to_owned();
    if left_out > 0 {
        caption += &format!(" {left_out} ways are left out; the table has all.");
    }
    Figure {
        name,
        title: format!("Latency by rate, {place}"),
        caption,
        x: axis("Rate, Mbit/s"),
        y: axis("Mean latency, ms"),
        series: series.collect(),
    }
}
