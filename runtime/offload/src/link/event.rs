//! What happens to a link, and when.

use serde::{Deserialize, Serialize};

use super::error::{EventError, ProfileError};
use super::profile::{Shape, range};

/// Something that happens to a link.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Event {
    /// When.
    pub when: When,
    /// What.
    pub change: Change,
}

/// When something happens; what counts is counted over all connections.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// So many seconds after the first connection; 0: from the start.
    At(f64),
    /// When the server has been given so many bytes of the client's.
    AfterBytes(u64),
    /// When the server has been given so many requests, before the headers of the next. A request is an HTTP/2 stream that
    /// a client opens; inside TLS none is seen.
    AfterRequests(u64),
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// From the next packet on, these directions are so; one that is not given stays as it is.
    Shape {
        /// Client to server.
        up: Option<Shape>,
        /// Server to client.
        down: Option<Shape>,
    },
    /// Connections are accepted and nothing is delivered. A connection that has lost a byte is never delivered to again, not
    /// even after [`Change::Ok`]; only its end can be told, by [`Change::Reset`].
    Blackhole,
    /// New connections are refused.
    Refuse,
    /// New connections are accepted and bytes delivered.
    Ok,
    /// All connections are reset, with what is on its way.
    Reset,
    /// Nothing is put on the link for so many seconds; then all goes on. What loss comes to, seen through TCP.
    Stall {
        /// Seconds.
        for_s: f64,
    },
}

impl Event {
    /// Whether its numbers are in range.
    pub(super) fn check(&self, key: &str) -> Result<(), ProfileError> {
        if let When::At(at_s) = self.when {
            range(format!("{key}.at_s"), at_s, 0.0, 1e6, "0 to 1000000")?;
        }
        match self.change {
            Change::Shape { up, down } => {
                up.map_or(Ok(()), |shape| shape.check(&format!("{key}.up")))?;
                down.map_or(Ok(()), |shape| shape.check(&format!("{key}.down")))
            }
            Change::Stall { for_s } => range(format!("{key}.for_s"), for_s, 0.0, 3600.0, "0 to 3600"),
            Change::Blackhole | Change::Refuse | Change::Ok | Change::Reset => Ok(()),
        }
    }
}

/// An event as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_s: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after_requests: Option<u64>,
    #[serde(rename = "do")]
    verb: Verb,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    up: Option<Shape>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    down: Option<Shape>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    for_s: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verb {
    Shape,
    Blackhole,
    Refuse,
    Ok,
    Reset,
    Stall,
}

impl TryFrom<Written> for Event {
    type Error = EventError;

    fn try_from(written: Written) -> Result<Self, EventError> {
        let Written { at_s, after_bytes, after_requests, verb, up, down, for_s } = written;
        let when = match (at_s, after_bytes, after_requests) {
            (Some(at_s), None, None) => When::At(at_s),
            (None, Some(bytes), None) => When::AfterBytes(bytes),
            (None, None, Some(requests)) => When::AfterRequests(requests),
            _ => {
                let found = [at_s.is_some(), after_bytes.is_some(), after_requests.is_some()];
                return Err(EventError::Trigger { found: found.into_iter().filter(|there| *there).count() });
            }
        };
        if verb != Verb::Shape && (up.is_some() || down.is_some()) {
            return Err(EventError::StrayShape);
        }
        if verb != Verb::Stall && for_s.is_some() {
            return Err(EventError::StrayLength);
        }
        let change = match verb {
            Verb::Shape if up.is_none() && down.is_none() => return Err(EventError::NoShape),
            Verb::Shape => Change::Shape { up, down },
            Verb::Blackhole => Change::Blackhole,
            Verb::Refuse => Change::Refuse,
            Verb::Ok => Change::Ok,
            Verb::Reset => Change::Reset,
            Verb::Stall => Change::Stall { for_s: for_s.ok_or(EventError::NoLength)? },
        };
        Ok(Self { when, change })
    }
}

impl From<Event> for Written {
    fn from(Event { when, change }: Event) -> Self {
        let (verb, up, down, for_s) = match change {
            Change::Shape { up, down } => (Verb::Shape, up, down, None),
            Change::Blackhole => (Verb::Blackhole, None, None, None),
            Change::Refuse => (Verb::Refuse, None, None, None),
            Change::Ok => (Verb::Ok, None, None, None),
            Change::Reset => (Verb::Reset, None, None, None),
            Change::Stall { for_s } => (Verb::Stall, None, None, Some(for_s)),
        };
        let (at_s, after_bytes, after_requests) = match when {
            When::At(at_s) => (Some(at_s), None, None),
            When::AfterBytes(bytes) => (None, Some(bytes), None),
            When::AfterRequests(requests) => (None, None, Some(requests)),
        };
        Self { at_s, after_bytes, after_requests, verb, up, down, for_s }
    }
}
