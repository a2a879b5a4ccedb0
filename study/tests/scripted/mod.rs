//! Recordings in words: `"0? 1!"` is an image of which exit 0 says 0 in doubt and exit 1 says 1 for sure.

use offramp_models::Sha256;
use offramp_runtime::recording::Recording;
use offramp_runtime::replay::Replay;
use offramp_study::findings::{Cell, Column, Format, Table};

const CLASSES: usize = 3;

/// Labelled images; three classes.
pub fn replay(images: &[(&str, usize)]) -> Replay {
    let exits = images.first().unwrap().0.split(' ').count();
    replay_of(exits, images)
}

/// The same of a network of `exits` exits, for no images at all.
pub fn replay_of(exits: usize, images: &[(&str, usize)]) -> Replay {
    let words: Vec<&str> = images.iter().map(|(words, _)| *words).collect();
    recorded(exits, &words, images.iter().map(|(_, label)| Some(*label)).collect())
}

/// Images of unknown label.
pub fn unlabelled(images: &[&str]) -> Replay {
    recorded(images[0].split(' ').count(), images, vec![None; images.len()])
}

fn recorded(exits: usize, images: &[&str], labels: Vec<Option<usize>>) -> Replay {
    let mut logits = Vec::new();
    for exit in images.iter().flat_map(|words| words.split(' ')) {
        let (label, mark) = exit.split_at(1);
        // A confidence of 0.9998, or of 0.45.
        let lead = if mark == "!" { 9.0 } else { 0.5 };
        let label: usize = label.parse().unwrap();
        logits.extend((0..CLASSES).map(|class| if class == label { lead } else { 0.0 }));
    }
    let recording = Recording::new(exits, CLASSES, logits, labels, Sha256::of(b"")).unwrap();
    Replay::new(&recording).unwrap()
}

/// One cell.
fn cell<'a>(table: &'a Table, row: usize, column: &str) -> &'a Cell {
    let at = table.columns.iter().position(|of| of.name == column);
    &table.rows[row][at.unwrap_or_else(|| panic!("{} has no column {column}", table.name))]
}

/// A number, or the estimate of an interval.
pub fn number(table: &Table, row: usize, column: &str) -> f64 {
    match cell(table, row, column) {
        Cell::Number(number) | Cell::Interval { value: number, .. } => *number,
        other => panic!("{column} of row {row} is {other:?}"),
    }
}

/// Words.
pub fn text<'a>(table: &'a Table, row: usize, column: &str) -> &'a str {
    match cell(table, row, column) {
        Cell::Text(text) => text,
        other => panic!("{column} of row {row} is {other:?}"),
    }
}

/// Why there is nothing.
pub fn why<'a>(table: &'a Table, row: usize, column: &str) -> &'a str {
    match cell(table, row, column) {
        Cell::NotMeasured(why) => why,
        other => panic!("{column} of row {row} is {other:?}"),
    }
}

/// A table with every kind of cell.
pub fn table() -> Table {
    let column =
        |name: &str, format| Column { name: name.to_owned(), head: name.to_owned(), format, measured: false };
    let missing = |why: &str| Cell::NotMeasured(why.to_owned());
    Table {
        name: "kinds".into(),
        title: "Every kind of cell".into(),
        caption: "For writers.".into(),
        columns: vec![
            column("set", Format::Text),
            column("images", Format::Count),
            column("ratio", Format::Decimals(2)),
            column("energy_j", Format::Joules),
        ],
        rows: vec![
            vec![
                Cell::Text("pgd, \"8/255\"".into()),
                Cell::Number(3.0),
                Cell::Interval { value: 1.5, ends: [1.25, 1.0 / 0.6] },
                missing("no meter"),
            ],
            vec![
                Cell::Text("benign".into()),
                Cell::Number(f64::NAN),
                missing("the others are measured against it"),
                Cell::Number(0.1),
            ],
        ],
    }
}
