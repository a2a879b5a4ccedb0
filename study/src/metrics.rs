//! The study's questions, answered from recordings.
//!
//! Every function here is pure: recordings in, tables and figures out, same recordings, same findings. Who runs the
//! networks is `campaign`'s matter, who draws is `report`'s. What cannot be said of a recording (no labels, no images,
//! no early exit) is a cell that says why, never a zero. [`Inquiry`] asks everything of one set after the other, so
//! that no more than one set's recordings are needed at once.

pub mod accuracy;
mod album;
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
mod inquiry;
pub mod latency;
pub mod policies;
pub mod returns;
pub(crate) mod row;
pub mod summary;
pub mod sweep;
pub mod transfer;

pub use comparison::{Comparison, ComparisonError, Costs, Mismatch, Origin, Pair, Pairing, Side};
pub use inquiry::{Inquiry, Runs};
