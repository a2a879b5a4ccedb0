//! The study's questions, answered from recordings.
//!
//! Every function here is pure: recordings in, tables and figures out, same recordings, same findings. Who runs the
//! networks is `campaign`'s matter, who draws is `report`'s. What cannot be said of a recording (no labels, no images,
//! no early exit) is a cell that says why, never a zero.

pub mod accuracy;
pub mod change_of_exit;
mod comparison;
pub mod confirmation;
pub mod curve;
mod drawing;
pub mod early_attack;
pub mod early_success;
pub mod efficacy;
pub mod first_flip;
mod group;
pub mod latency;
pub mod policies;
pub mod returns;
mod row;
pub mod summary;
pub mod sweep;
pub mod transfer;

pub use comparison::{Comparison, ComparisonError, Costs, Mismatch, Pair, Pairing, Side};

use offramp_runtime::confidence::Measure;

use crate::findings::Findings;

/// What the comparisons tell without further input; accuracy against cost is by thresholds on `measure`.
///
/// Not in it: the Early Attack's settings ([`early_attack`]), policy replay ([`policies`]), what was measured
/// ([`latency`]) and what was confirmed ([`confirmation`]).
pub fn findings(comparisons: &[Comparison<'_>], measure: Measure) -> Findings {
    let mut tables = vec![
        summary::table(comparisons),
        accuracy::table(comparisons),
        accuracy::by_exit(comparisons),
        change_of_exit::table(comparisons),
        first_flip::table(comparisons),
        first_flip::by_exit(comparisons),
        early_success::table(comparisons),
        early_success::transfer_table(comparisons),
        transfer::table(comparisons),
        transfer::by_direction(comparisons),
        efficacy::table(comparisons),
        curve::table(comparisons, measure),
        returns::table(comparisons),
    ];
    tables.retain(|table| !table.rows.is_empty());
    let figures = [
        change_of_exit::figures(comparisons),
        first_flip::figures(comparisons),
        transfer::figures(comparisons),
        transfer::exit_figures(comparisons),
        efficacy::figures(comparisons),
        curve::figures(comparisons, measure),
    ];
    Findings { tables, figures: figures.concat(), specimens: Vec::new() }
}
