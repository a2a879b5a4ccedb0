//! ONNX in, bundle out.
//!
//! [`plan`](plan::plan) reads a plain multi-exit network, folds what does not depend on the image, finds its exits and
//! cuts it; [`split`](split::split) writes the parts as a bundle and has them proved; [`verify`](verify::verify) is
//! that proof: composed segments against the whole network. [`tails`] are what a server runs of it,
//! and [`serving`] makes other servers' folders of them. [`inspect`](inspect::inspect) only looks.

pub mod error;
pub mod exits;
pub mod fold;
pub mod gradient;
pub mod heads;
pub mod image;
pub mod inspect;
pub mod plan;
pub mod serving;
pub mod split;
mod staging;
pub mod tails;
pub mod verify;

pub use error::ExportError;
