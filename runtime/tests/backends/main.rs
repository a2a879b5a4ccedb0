//! Engines, and preparing bundles for them.

mod allocations;
mod engines;
mod fake;
mod library;
mod preparation;
mod seam;
