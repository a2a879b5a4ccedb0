//! ONNX graphs as data.
//!
//! [`Model`] is read from and written to ONNX files ([`Model::read`], [`Model::write`]), cut at tensor names
//! ([`partition`], [`extract`]) and fused again ([`fuse`]). [`shape`] knows what every tensor looks like with the
//! batch left free, [`fold`] evaluates what does not depend on the image, [`macs`] counts arithmetic.
//! This is the only crate that knows protobuf; it never runs a graph.

mod cut;
pub mod error;
mod extract;
pub mod fold;
mod fuse;
pub mod index;
mod inline;
pub mod ir;
pub mod macs;
mod names;
mod order;
mod partition;
mod read;
#[cfg(test)]
mod sample;
pub mod shape;
mod stage;
mod wire;
mod write;

pub use cut::Types;
pub use error::{CutError, FuseError, InlineError, ModelError, ReadError, WriteError};
pub use extract::extract;
pub use fuse::fuse;
pub use index::Index;
pub use ir::Model;
pub use partition::partition;
pub use stage::stage;
pub use write::{DEFAULT_WEIGHT_LIMIT, Written, WrittenData};
