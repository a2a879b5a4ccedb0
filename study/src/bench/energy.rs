//! What an image costs, over all exits and by exit.

use offramp_runtime::bench::energy::ExitEnergy;
use offramp_runtime::bench::record::{Energy, Pair};
use offramp_runtime::meter::Joules;
use offramp_runtime::meter::protocol::Summary;
use offramp_runtime::meter::statistics::Estimate;

use super::mean_exit;
use crate::findings::{Axis, Cell, Figure, Format, Mark, Series, Table, Topic};
use crate::metrics::row::{absent, count, known, measured, text, word};

const NO_WINDOW: &str = "no window counts";
const NO_IDLE: &str = "there is no idle power";

/// Energy per image of every load, and their differences.
pub fn topic(found: &Energy) -> Topic {
    Topic::new(
        "What an image costs",
        [vec![costs_figure(found)], Vec::new()],
        vec![costs(found), differences(found)],
    )
}

fn costs(found: &Energy) -> Table {
    let row = |load: &Summary| {
        vec![
            word(&load.load),
            spread(load.net, load.net_interval, NO_IDLE),
            spread(load.gross, load.gross_interval, NO_WINDOW),
            known(load.idle.map(|idle| idle.mean), NO_IDLE),
            mean_exit(&load.exits.iter().map(|count| *count as f64).collect::<Vec<_>>()),
            Cell::Number(load.images as f64),
            Cell::Number(load.windows as f64),
            Cell::Number(load.rejected as f64),
        ]
    };
    let domain = found.meter.domain.as_deref().unwrap_or("no total");
    let not_bounded = found.not_bounded();
    let besides = match not_bounded.is_empty() {
        true => String::new(),
        false => format!(" In no interval, because no bound is known: {}.", not_bounded.join(", ")),
    };
    Table {
        name: "energy-per-image".into(),
        title: "Energy per image".into(),
        caption: format!(
            "Energy of a window over its images; it covers {domain}. Net: less what idling as long would have taken, with everything loaded. \
             Intervals: 95 % by Student's t over windows, and what the meter may be wrong by, squares added.{besides}"
        ),
        columns: vec![
            text("load", "What ran"),
            measured("net_j", "Net", Format::Joules),
            measured("gross_j", "Gross", Format::Joules),
            measured("idle_j", "Idle", Format::Joules),
            measured("mean_exit", "Mean exit", Format::Decimals(2)),
            measured("images", "Images", Format::Count),
            count("windows", "Windows that count"),
            count("rejected", "Windows rejected"),
        ],
        rows: found.loads.iter().map(row).collect(),
    }
}

fn differences(found: &Energy) -> Table {
    let row = |pair: &Pair| {
        let Pair { name, against, found } = pair;
        vec![
            word(name),
            word(against),
            word(if found.net { "net" } else { "gross" }),
            spread(found.difference, found.interval, NO_WINDOW),
            known(found.ratio, "nothing to divide by"),
            known(found.resolution.map(|least| least.0), "the meter does not tell its steps"),
            word(&found.verdict.to_string()),
        ]
    };
    Table {
        name: "energy-differences".into(),
        title: "What other images cost more".into(),
        caption: "Window by window in turns, so that what drifts falls on both; 95 % by Student's t, and what the idle power may be wrong by where images \
                  take other times. Resolution: two steps of the meter."
            .into(),
        columns: vec![
            text("load", "What ran"),
            text("against", "Against"),
            text("kind", "Energy"),
            measured("difference_j", "Difference per image", Format::Joules),
            measured("ratio", "Ratio", Format::Decimals(3)),
            measured("resolution_j", "Resolution", Format::Joules),
            text("verdict", "Verdict"),
        ],
        rows: found.pairs.iter().map(row).collect(),
    }
}

fn costs_figure(found: &Energy) -> Figure {
    let of = |kind: fn(&Summary) -> Option<Estimate>| {
        let points = found.loads.iter().enumerate();
        points.filter_map(|(at, load)| Some([at as f64, kind(load)?.mean * 1e3])).collect::<Vec<_>>()
    };
    let series = [("net", of(|load| load.net)), ("gross", of(|load| load.gross))];
    Figure {
        name: "energy-per-image".into(),
        title: "Energy per image".into(),
        caption: "Gross is what the supply gives, net is what the images take beyond idling.".into(),
        x: axis("What ran", Some(found.loads.iter().map(|load| load.load.clone()).collect())),
        y: axis("Energy per image, mJ", None),
        series: bars(series),
    }
}

/// Energy by the exit where an image stops; empty where that was not asked for.
pub fn by_exit(found: &Energy) -> Topic {
    let Some(exits) = &found.exits else { return Topic::default() };
    let why = exits.not_fitted.as_deref().unwrap_or("no mixture had such an image");
    let row = |exit: &ExitEnergy| {
        let fitted = exit.fitted.and_then(|fitted| Some((fitted.energy?.0, fitted.half_width)));
        vec![
            Cell::Number(exit.exit as f64),
            spread(exit.forced, exit.forced_interval, NO_WINDOW),
            match fitted {
                Some((value, Some(half))) => interval(value, half.0),
                Some((value, None)) => Cell::Number(value),
                None => absent(why),
            },
        ]
    };
    let held = exits.held_out.iter().enumerate().map(|(at, held)| {
        let within = match held.within {
            Some(true) => "within its interval",
            Some(false) => "outside its interval",
            None => "no interval",
        };
        vec![
            Cell::Number(at as f64),
            Cell::Number(held.predicted.0),
            Cell::Number(held.measured.0),
            known(held.relative, "nothing was measured"),
            word(within),
        ]
    });
    let tables = vec![
        Table {
            name: "energy-per-exit".into(),
            title: "Energy per image by exit, net".into(),
            caption: "Forced: windows of which every image stopped there. Mixtures: least squares over windows of known mixtures, none negative. \
                      Both should agree."
                .into(),
            columns: vec![
                count("exit", "Exit"),
                measured("forced_j", "Forced", Format::Joules),
                measured("fitted_j", "From mixtures", Format::Joules),
            ],
            rows: exits.exits.iter().map(row).collect(),
        },
        Table {
            name: "energy-held-out".into(),
            title: "Mixtures that the fit did not see".into(),
            caption: "Net energy of a window, as the fit predicts it and as it was measured.".into(),
            columns: vec![
                count("window", "Window"),
                measured("predicted_j", "Predicted", Format::Joules),
                measured("measured_j", "Measured", Format::Joules),
                measured("relative", "Predicted over measured, less 1", Format::Percent),
                text("within", "Measured is"),
            ],
            rows: held.collect(),
        },
    ];
    let points = |energy: &dyn Fn(&ExitEnergy) -> Option<f64>| -> Vec<[f64; 2]> {
        let exits = exits.exits.iter();
        exits.filter_map(|exit| Some([exit.exit as f64, energy(exit)? * 1e3])).collect()
    };
    let forced = points(&|exit| exit.forced.map(|forced| forced.mean));
    let fitted = points(&|exit| exit.fitted?.energy.map(|energy| energy.0));
    let names = exits.exits.iter().map(|exit| exit.exit.to_string()).collect();
    let figure = Figure {
        name: "energy-per-exit".into(),
        title: "Energy per image by exit".into(),
        caption: "Net of idling.".into(),
        x: axis("Exit", Some(names)),
        y: axis("Energy per image, mJ", None),
        series: bars([("forced", forced), ("from mixtures", fitted)]),
    };
    Topic::new("What an exit costs", [vec![figure], Vec::new()], tables)
}

fn axis(label: &str, categories: Option<Vec<String>>) -> Axis {
    Axis { label: label.into(), ends: None, categories, logarithmic: false }
}

/// Those that have points.
fn bars<const N: usize>(series: [(&str, Vec<[f64; 2]>); N]) -> Vec<Series> {
    let drawn = series.into_iter().filter(|(_, points)| !points.is_empty());
    drawn.map(|(name, points)| Series { name: name.into(), mark: Mark::Bar, points }).collect()
}

fn spread(estimate: Option<Estimate>, half: Option<Joules>, why: &str) -> Cell {
    match (estimate, half) {
        (Some(estimate), Some(half)) => interval(estimate.mean, half.0),
        (Some(estimate), None) => Cell::Number(estimate.mean),
        (None, _) => absent(why),
    }
}

fn interval(value: f64, half: f64) -> Cell {
    Cell::Interval { value, ends: [value - half, value + half] }
}
