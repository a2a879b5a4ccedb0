//! Engines, and preparing bundles for them.
#![expect(clippy::unwrap_used, reason = "what a claim rests on is set up outside of test functions too")]
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

mod allocations;
mod engines;
mod fake;
mod library;
mod preparation;
mod seam;
mod warmth;
