//! The Open Inference Protocol, version 2: the code that `proto/open_inference.proto` gives, and the names that this project's
//! own server and client add to it. No peer needs to know them.

#[expect(missing_docs, clippy::pedantic, reason = "generated; a test holds it against its definition")]
mod inference;

pub use inference::*;

/// The extension that our server lists in its metadata.
pub const EXTENSION: &str = "offramp.v1";
/// gRPC metadata of a refusal: milliseconds after which to come back, decimal.
pub const RETRY_AFTER_MS: &str = "retry-after-ms";
/// Parameter of an answer: microseconds from the request's arrival to its answer, queueing included, an integer.
pub const SERVER_US: &str = "offramp_server_us";
