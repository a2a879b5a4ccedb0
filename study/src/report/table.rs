//! Tables.

use maud::{Markup, html};

use super::number::Shown;
use crate::findings::{Cell, Column, Format, Table};

/// Letters of a word that a cell holds in one piece.
const WORD: usize = 24;

/// A column with how its cells are shown.
struct Plan<'a> {
    column: &'a Column,
    shown: Shown,
    /// Whether any cell has an interval: those get a column of their own, so that numbers stay aligned.
    intervals: bool,
    /// Whether any word is too long to stand in one piece.
    long: bool,
}

/// `table` with its head, without title and caption.
pub fn table(table: &Table) -> Markup {
    let plans: Vec<Plan<'_>> =
        table.columns.iter().enumerate().map(|(index, column)| plan(table, index, column)).collect();
    let mut reasons: Vec<&str> = Vec::new();
    for cell in table.rows.iter().flatten() {
        if let Cell::NotMeasured(why) = cell
            && !reasons.contains(&why.as_str())
        {
            reasons.push(why);
        }
    }
    let measured: Vec<&str> =
        table.columns.iter().filter(|column| column.measured).map(|column| column.head.as_str()).collect();
    html! {
        div.scroll tabindex="0" role="region" aria-label=(table.title) {
            table {
                thead { tr {
                    @for plan in &plans {
                        th scope="col" .num[plan.column.format != Format::Text] colspan=[plan.intervals.then_some("2")] {
                            (plan.column.head)
                            @if let Some(unit) = plan.shown.unit { " " span.unit { (unit) } }
                        }
                    }
                } }
                tbody {
                    @for row in &table.rows {
                        tr {
                            @for (index, (cell, plan)) in row.iter().zip(&plans).enumerate() {
                                (show(cell, plan, index == 0, &reasons))
                            }
                        }
                    }
                    @if table.rows.is_empty() {
                        tr { td.none colspan=(plans.len().max(1)) { "no rows" } }
                    }
                }
            }
        }
        @if !reasons.is_empty() {
            ol.notes {
                @for reason in &reasons { li { (reason) } }
            }
        }
        @if !measured.is_empty() {
            p.notes { "Measured, so different in another run: " (measured.join("; ")) "." }
        }
    }
}

fn plan<'a>(table: &Table, index: usize, column: &'a Column) -> Plan<'a> {
    let cells = || table.rows.iter().filter_map(move |row| row.get(index));
    let largest = cells().filter_map(value).map(f64::abs).fold(0.0, f64::max);
    let intervals = cells().any(|cell| matches!(cell, Cell::Interval { .. }));
    let long = cells().any(|cell| {
        let Cell::Text(text) = cell else { return false };
        text.split([' ', '-']).any(|word| word.chars().count() > WORD)
    });
    Plan { column, shown: Shown::new(column.format, largest), intervals, long }
}

fn value(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Number(value) | Cell::Interval { value, .. } => Some(*value),
        Cell::Text(_) | Cell::NotMeasured(_) => None,
    }
}

fn show(cell: &Cell, plan: &Plan<'_>, first: bool, reasons: &[&str]) -> Markup {
    let wide = plan.intervals.then_some("2");
    match cell {
        Cell::Text(text) if first => html! { th scope="row" .long[plan.long] colspan=[wide] { (text) } },
        Cell::Text(text) => html! {
            td .num[plan.column.format != Format::Text] .long[plan.long] colspan=[wide] { (text) }
        },
        Cell::Number(value) => html! {
            td.num { (plan.shown.text(*value)) }
            @if plan.intervals { td.interval {} }
        },
        Cell::Interval { value, ends } => html! {
            td.num { (plan.shown.text(*value)) }
            td.interval { (plan.shown.interval(*value, *ends)) }
        },
        Cell::NotMeasured(why) => {
            let note = reasons.iter().position(|reason| reason == why).map_or(0, |at| at + 1);
            html! {
                td.none .num[plan.column.format != Format::Text] colspan=[wide] {
                    "not measured" sup { (note) }
                }
            }
        }
    }
}
