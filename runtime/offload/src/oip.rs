//! The Open Inference Protocol, version 2: the code that `proto/open_inference.proto` gives.

#[expect(missing_docs, clippy::pedantic, reason = "generated; a test holds it against its definition")]
mod inference;

pub use inference::*;
