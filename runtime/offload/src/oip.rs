//! The Open Inference Protocol, version 2: the code that `proto/open_inference.proto` gives, and how its messages are read.

pub mod codec;
#[rustfmt::skip]
#[expect(missing_docs, clippy::pedantic, clippy::allow_attributes, reason = "generated; a test holds it against its definition")]
mod inference;

pub use inference::*;
