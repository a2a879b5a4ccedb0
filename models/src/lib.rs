//! What a split early-exit network is.
//!
//! A *bundle* is a directory: [`Manifest`] plus one ONNX file per segment, and perhaps [tails](tail) for a server. This crate reads and checks it,
//! prepares images for it ([`preprocess`]) and reads data sets ([`dataset`]). It never runs a network and never
//! parses ONNX.

pub mod bundle;
mod canonical;
mod causes;
pub mod dataset;
pub mod digest;
pub mod manifest;
pub mod partial;
pub mod preprocess;
pub mod regular;
pub mod tail;
pub mod tensor;
#[cfg(feature = "zoo")]
pub mod zoo;

pub use bundle::{Bundle, BundleError};
pub use causes::Causes;
pub use digest::Sha256;
pub use manifest::{Classes, Exit, Extra, Input, Layout, Manifest, ManifestError, Segment, Source};
pub use tail::{Canary, Tail, TailError, Wire};
pub use tensor::{DType, TensorSpec};
