//! What a link did.

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::profile::Shape;

/// Something that a link did. Written one JSON object a line, these are its trace; read again, its script.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Record {
    /// The link, before anything happened to it. Always the first.
    Profile {
        /// [`Record::SCHEMA_VERSION`].
        schema_version: u32,
        /// What jitter is drawn from.
        seed: u64,
        /// Client to server.
        up: Shape,
        /// Server to client.
        down: Shape,
    },
    /// Something was changed: `event` says so as a script would.
    Changed {
        /// Seconds since the first connection.
        t_s: f64,
        /// What, and what made it happen: for a change by hand, the time.
        event: Event,
    },
    /// A connection was accepted.
    Accepted {
        /// Seconds since the first connection.
        t_s: f64,
        /// Its number, from 0.
        connection: u64,
    },
    /// A connection came to its end.
    Ended {
        /// Seconds since the first connection.
        t_s: f64,
        /// Its number.
        connection: u64,
        /// How.
        how: Ending,
        /// Bytes of the client's that the server was given.
        up_bytes: u64,
        /// Bytes of the server's that the client was given.
        down_bytes: u64,
    },
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Both ends closed it.
    Closed,
    /// The link reset it.
    Reset,
    /// One of its ends reset it or was not there.
    Broken,
}

impl Record {
    /// The schema version that this build writes.
    pub const SCHEMA_VERSION: u32 = 1;
}
