//! ONNX graphs as data.
//!
//! [`Model`] is read from and written to ONNX files ([`Model::read`], [`Model::write`]), cut at tensor names
//! ([`partition`], [`extract`]) and fused again ([`fuse`]). [`shape`] knows what every tensor looks like with the
//! batch left free, [`fold`] evaluates what does not depend on the image, [`macs`] counts arithmetic.
//! This is the only crate that knows protobuf; it never runs a graph.

pub mod ir;
pub mod shape;
