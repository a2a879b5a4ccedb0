//! A client among peers that misbehave: every image gets one answer, in time, and none is wrong because of the link.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod answers;
mod bench;
mod fake;
mod faults;
mod rows;
#[path = "../../../tests/scripted/mod.rs"]
mod scripted;
mod tls;
