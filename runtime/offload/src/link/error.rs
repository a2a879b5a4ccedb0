//! A link that cannot be emulated.

use std::path::PathBuf;

/// A link that cannot be emulated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// A file that cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file that is no link profile.
    #[error("{} is no link profile", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: ProfileError,
    },
    /// A profile out of range.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// No port on loopback.
    #[error("cannot listen on 127.0.0.1")]
    Listen(#[source] std::io::Error),
}

/// A profile that says what no link can be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// Not TOML, or keys that a profile does not have.
    #[error("not the TOML of a link profile")]
    Toml(#[from] toml::de::Error),
    /// A line of a trace that is no record.
    #[error("line {line} is no record of a link")]
    Line {
        /// Counted from 1.
        line: usize,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A trace whose first line does not say what the link was.
    #[error("line 1 should hold the link's profile")]
    Headless,
    /// A trace of another version.
    #[error("trace of schema version {found}, this build reads {expected}")]
    Version {
        /// What this build reads.
        expected: u32,
        /// What is there.
        found: u32,
    },
    /// A number outside its range.
    #[error("{key} is {found}, expected {expected}")]
    Range {
        /// The key with its table: `up.delay_ms`.
        key: String,
        /// The range.
        expected: &'static str,
        /// The number.
        found: f64,
    },
    /// An event that is none.
    #[error("event {event}")]
    Event {
        /// Counted from 1.
        event: usize,
        /// Why.
        #[source]
        source: EventError,
    },
}

/// An event that says too little or too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// Not exactly one trigger.
    #[error("expected one of at_s, after_bytes and after_requests, got {found}")]
    Trigger {
        /// How many there are.
        found: usize,
    },
    /// A shape without either direction.
    #[error("\"shape\" expects up, down or both, got neither")]
    NoShape,
    /// Something that only `shape` takes.
    #[error("up and down go with \"shape\" only")]
    StrayShape,
    /// A stall without its length.
    #[error("\"stall\" expects for_s")]
    NoLength,
    /// Something that only `stall` takes.
    #[error("for_s goes with \"stall\" only")]
    StrayLength,
}
