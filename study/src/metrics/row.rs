//! Columns and cells that the tables share.

use super::Comparison;
use crate::findings::{Cell, Column, Format};

/// What stands for the surrogate of corrupted images.
const NOTHING_CRAFTED: &str = "none";

pub(super) const NO_IMAGES: &str = "no images";
pub(super) const NO_LABELS: &str = "no labels";
pub(super) const NO_EARLY_EXIT: &str = "no early exit";
pub(super) const NO_MACS: &str = "no images or no MACs";
pub(super) const NO_METER: &str = "a study measures no energy: `offramp bench --meter` does";

pub(crate) fn column(name: &str, head: &str, format: Format) -> Column {
    Column { name: name.to_owned(), head: head.to_owned(), format, measured: false }
}

pub(crate) fn text(name: &str, head: &str) -> Column {
    column(name, head, Format::Text)
}

pub(crate) fn count(name: &str, head: &str) -> Column {
    column(name, head, Format::Count)
}

pub(crate) fn percent(name: &str, head: &str) -> Column {
    column(name, head, Format::Percent)
}

pub(crate) fn decimals(name: &str, head: &str, digits: u8) -> Column {
    column(name, head, Format::Decimals(digits))
}

pub(crate) fn measured(name: &str, head: &str, format: Format) -> Column {
    Column { measured: true, ..column(name, head, format) }
}

/// Which network ran which set.
pub(super) fn set() -> [Column; 3] {
    [text("network", "Network"), text("set", "Set"), text("surrogate", "Crafted on")]
}

pub(super) fn set_of(comparison: &Comparison<'_>) -> Vec<Cell> {
    let given = comparison.given();
    let surrogate = if given.origin.crafted { given.surrogate } else { NOTHING_CRAFTED };
    [given.network, given.set, surrogate].map(word).to_vec()
}

/// The same under which policy.
pub(super) fn identity() -> Vec<Column> {
    set().into_iter().chain([text("policy", "Policy")]).collect()
}

pub(super) fn identity_of(comparison: &Comparison<'_>) -> Vec<Cell> {
    [set_of(comparison), vec![word(comparison.given().policy_name)]].concat()
}

pub(crate) fn word(word: &str) -> Cell {
    Cell::Text(word.to_owned())
}

pub(crate) fn number(count: usize) -> Cell {
    Cell::Number(count as f64)
}

/// The number, or why there is none.
pub(crate) fn known(number: Option<f64>, why: &str) -> Cell {
    number.map_or_else(|| absent(why), Cell::Number)
}

pub(crate) fn absent(why: &str) -> Cell {
    Cell::NotMeasured(why.to_owned())
}

/// `part` of `whole`; `None` of nothing.
pub(super) fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
