//! Tables: what all rows share is said once, what stands below itself is not repeated.

use maud::{Markup, html};

use super::layout::{Layout, Plan, runs};
use crate::findings::{Cell, Format, Table};

/// `table` with its head, without title and caption.
pub fn table(table: &Table) -> Markup {
    let layout = Layout::new(table);
    let Layout { heads, plans, shared, .. } = &layout;
    let width: usize = plans.iter().map(|plan| if plan.intervals { 2 } else { 1 }).sum();
    html! {
        @if !shared.is_empty() {
            p.notes { "In every row: " (shared.join("; ")) "." }
        }
        div.scroll tabindex="0" role="region" aria-label=(table.title) {
            table {
                thead { tr {
                    @for plan in plans {
                        th scope="col" .num[!plan.words] colspan=[plan.intervals.then_some("2")] {
                            (plan.column.head)
                            @if let Some(unit) = plan.shown.unit { " " span.unit { (unit) } }
                        }
                    }
                } }
                @for rows in groups(&table.rows, heads) {
                    tbody {
                        @if let Some(first) = rows.first().filter(|_| !heads.is_empty()) {
                            tr.group { th scope="rowgroup" colspan=(width) {
                                @for head in heads { span { (words(first.get(*head))) } " " }
                            } }
                        }
                        (body(rows, &layout))
                    }
                }
                @if table.rows.is_empty() {
                    tbody { tr { td.none colspan=(width.max(1)) { "no rows" } } }
                }
            }
        }
        (notes(table, &layout))
    }
}

/// Rows that share their heads.
fn groups<'a>(rows: &'a [Vec<Cell>], heads: &'a [usize]) -> impl Iterator<Item = &'a [Vec<Cell>]> {
    rows.chunk_by(|a, b| heads.iter().all(|head| a.get(*head) == b.get(*head)))
}

fn words(cell: Option<&Cell>) -> &str {
    if let Some(Cell::Text(text)) = cell { text } else { "" }
}

fn body(rows: &[Vec<Cell>], layout: &Layout<'_>) -> Markup {
    let leading: Vec<usize> = layout.plans.iter().map(|plan| plan.index).take(layout.leading).collect();
    let spans = runs(rows, &leading);
    html! {
        @for (number, row) in rows.iter().enumerate() {
            tr {
                @for (place, plan) in layout.plans.iter().enumerate() {
                    @if let Some(cell) = row.get(plan.index) {
                        @match spans.get(place).map(|spans| spans[number]) {
                            Some(0) => {}
                            Some(span) => (named(cell, plan, place == 0, span)),
                            None => (show(cell, plan, &layout.reasons)),
                        }
                    }
                }
            }
        }
    }
}

/// A word that names `span` rows.
fn named(cell: &Cell, plan: &Plan<'_>, first: bool, span: usize) -> Markup {
    let (text, span) = (words(Some(cell)), (span > 1).then_some(span));
    if first {
        html! { th scope=(if span.is_some() { "rowgroup" } else { "row" }) rowspan=[span] class=(plan.class) { (text) } }
    } else {
        html! { td class=(plan.class) rowspan=[span] { (text) } }
    }
}

fn show(cell: &Cell, plan: &Plan<'_>, reasons: &[&str]) -> Markup {
    let wide = plan.intervals.then_some("2");
    match cell {
        Cell::Text(text) => html! { td class=(plan.class) colspan=[wide] { (text) } },
        Cell::Number(value) => html! {
            td { (plan.shown.text(*value)) }
            @if plan.intervals { td.interval {} }
        },
        Cell::Interval { value, ends } => html! {
            td { (plan.shown.text(*value)) }
            td.interval { (plan.shown.interval(*value, *ends)) }
        },
        Cell::NotMeasured(why) => {
            let note = reasons.iter().position(|reason| reason == why).map_or(0, |at| at + 1);
            html! { td.none .t[plan.column.format == Format::Text] colspan=[wide] { "–" sup { (note) } } }
        }
    }
}

fn notes(table: &Table, layout: &Layout<'_>) -> Markup {
    let measured: Vec<&str> = table
        .columns
        .iter()
        .filter(|column| column.measured && !layout.is_absent(column))
        .map(|column| column.head.as_str())
        .collect();
    html! {
        @if !layout.reasons.is_empty() {
            p.notes { "Not measured, for the reason of that number:" }
            ol.notes {
                @for reason in &layout.reasons { li { (reason) } }
            }
        }
        @for (heads, why) in &layout.absent {
            p.notes { "Not measured in any row: " (heads.join("; ")) ". Reason: " (why.join("; ")) "." }
        }
        @if !measured.is_empty() {
            p.notes { "Measured, so different in another run: " (measured.join("; ")) "." }
        }
    }
}
