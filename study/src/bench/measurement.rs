//! How energy was measured, and what makes it doubtful.

use offramp_runtime::bench::record::{Doubt, Energy, RailName, Record};

use crate::findings::{Cell, Format, Table, Topic};
use crate::metrics::row::{absent, column, count, known, measured, text, word};

/// The meter, its rails, the board, and everything that was flagged.
pub fn topic(record: &Record, found: &Energy) -> Topic {
    let tables = vec![meter(found), rails(found), board(record), flags(found)];
    Topic::new("How energy was measured", Default::default(), tables)
}

fn meter(found: &Energy) -> Table {
    let Energy { meter, window_s, idle, .. } = found;
    let power = |at: usize| known(idle[at].map(|power| power.0), "its window does not count");
    let row = vec![
        word(&meter.source),
        meter.domain.as_deref().map_or_else(|| absent(&meter.rule), word),
        word(&meter.rule),
        Cell::Number(meter.period_s),
        Cell::Number(window_s[0]),
        Cell::Number(window_s[1]),
        known(meter.cpu_share, "it was not measured"),
        known(meter.cost.map(|cost| cost.0), "less than the meter can tell"),
        power(0),
        power(1),
    ];
    Table {
        name: "energy-meter".into(),
        title: "The meter".into(),
        caption: "Idle: with everything loaded and nothing running. The rule asks windows to last the longest of 10 s, 20 time constants and 200 \
                  new values of the sensor."
            .into(),
        columns: vec![
            text("source", "Source"),
            text("domain", "Covers"),
            text("rule", "By"),
            column("period_s", "Between samples", Format::Seconds),
            column("window_s", "Window", Format::Seconds),
            column("needed_s", "Window by the rule", Format::Seconds),
            measured("cpu_share", "Sampling, share of a core", Format::Percent),
            measured("cost_w", "Sampling, W", Format::Decimals(3)),
            measured("idle_before_w", "Idle before, W", Format::Decimals(3)),
            measured("idle_after_w", "Idle after, W", Format::Decimals(3)),
        ],
        rows: vec![row],
    }
}

fn rails(found: &Energy) -> Table {
    let row = |rail: &RailName| {
        let mut row = vec![
            word(&rail.name),
            rail.within.as_deref().map_or_else(|| word("-"), word),
            word(if rail.counted { "yes" } else { "no" }),
        ];
        let mean = |load: usize| rail.mean.get(load).copied().flatten().map(|power| power.0);
        row.extend((0..found.loads.len()).map(|load| known(mean(load), "no window counts")));
        row
    };
    let loads = found.loads.iter().enumerate().map(|(at, load)| {
        measured(&format!("load_{at}_w"), &format!("{}, W", load.load), Format::Decimals(3))
    });
    let columns = [text("rail", "Rail"), text("within", "Within"), text("counted", "In the total")];
    Table {
        name: "energy-rails".into(),
        title: "Mean power of every rail".into(),
        caption: "Rails may lie within each other: do not add them.".into(),
        columns: columns.into_iter().chain(loads).collect(),
        rows: found.meter.rails.iter().map(row).collect(),
    }
}

fn board(record: &Record) -> Table {
    let board = &record.board;
    let spinning = match record.spinning {
        Some(true) => Some("yes: idle threads take power".to_owned()),
        Some(false) => Some("no".to_owned()),
        None => None,
    };
    let lines = [
        ("Board", board.model.clone()),
        ("Power mode", board.power_mode.clone()),
        ("Threads spin", spinning),
    ];
    let mut rows: Vec<Vec<Cell>> =
        lines.into_iter().filter_map(|(name, value)| Some(vec![word(name), word(&value?)])).collect();
    rows.extend(board.clocks.iter().map(|(name, clock)| vec![word(name), word(&clock.to_string())]));
    rows.extend(
        board.temperatures_c.iter().map(|(zone, degrees)| vec![word(zone), word(&format!("{degrees} C"))]),
    );
    rows.extend(
        board.throttling.iter().map(|(counter, events)| vec![word(counter), word(&events.to_string())]),
    );
    Table {
        name: "energy-board".into(),
        title: "The board before anything was measured".into(),
        caption: "It is read again after every window; a window in which it throttled, or its settings changed, does not count.".into(),
        columns: vec![text("what", "What"), text("state", "State")],
        rows,
    }
}

/// Flags and rejections, each with the windows that have it.
fn flags(found: &Energy) -> Table {
    const MOST: usize = 30;
    let doubts = found.doubts();
    let left_out = doubts.len().saturating_sub(MOST);
    let mut caption = format!("Of {} windows and two idle ones.", found.windows.len());
    if doubts.iter().any(|doubt| doubt.numbers_differ) {
        caption += " Where only numbers differ, one stands for all.";
    }
    if left_out > 0 {
        caption += &format!(" {left_out} more are in the file.");
    }
    let row = |doubt: Doubt| {
        let kind = if doubt.rejects { "rejected" } else { "flagged" };
        vec![word(kind), word(&doubt.what), Cell::Number(doubt.windows as f64)]
    };
    Table {
        name: "energy-flags".into(),
        title: "What makes windows doubtful".into(),
        caption,
        columns: vec![text("kind", "Window is"), text("why", "Why"), count("windows", "Windows")],
        rows: doubts.into_iter().take(MOST).map(row).collect(),
    }
}
