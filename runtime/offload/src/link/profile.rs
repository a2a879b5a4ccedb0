//! What a link is like.

use std::path::Path;
use std::time::Duration;

use offramp_models::regular;
use serde::{Deserialize, Serialize};

use super::error::{LinkError, ProfileError};
use super::event::{Event, Written};
use super::record::Record;

/// What a link is like and what happens to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// What jitter is drawn from.
    pub seed: u64,
    /// Client to server.
    pub up: Shape,
    /// Server to client.
    pub down: Shape,
    /// What happens; of several at once, in this order.
    pub events: Vec<Event>,
}

/// A way through a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Client to server.
    Up,
    /// Server to client.
    Down,
}

/// One direction of a link.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// From a byte's leaving to its arriving, in milliseconds, 0 to 60000.
    #[serde(default)]
    pub delay_ms: f64,
    /// Bits per second, 1000 to 10^12; without it, as fast as the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_bps: Option<u64>,
    /// What is added to the delay on average, in milliseconds, 0 to 60000: exponentially distributed, drawn anew for
    /// every 1460 bytes, a function of the seed, the direction and the bytes' place in it. Bytes stay in order, so one that
    /// is late holds up those behind it.
    #[serde(default)]
    pub jitter_ms: f64,
    /// While as many bytes wait to be sent, no more are taken from the sender, 1 to 2^30.
    #[serde(default = "queue")]
    pub queue_bytes: usize,
}

const fn queue() -> usize {
    64 * 1024
}

impl Default for Shape {
    fn default() -> Self {
        Self { delay_ms: 0.0, rate_bps: None, jitter_ms: 0.0, queue_bytes: queue() }
    }
}

impl Shape {
    /// Without jitter, at this rate after this delay.
    pub fn new(rate_bps: u64, delay: Duration) -> Self {
        Self { delay_ms: delay.as_secs_f64() * 1e3, rate_bps: Some(rate_bps), ..Self::default() }
    }

    /// From the first byte's leaving to the last one's arriving, on average, when nothing else is sent.
    pub fn transfer(&self, bytes: usize) -> Duration {
        self.sending(bytes) + milliseconds(self.delay_ms) + milliseconds(self.jitter_ms)
    }

    /// How long so many bytes keep the link.
    pub(super) fn sending(&self, bytes: usize) -> Duration {
        let seconds = self.rate_bps.map_or(0.0, |rate| bytes as f64 * 8.0 / rate as f64);
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    pub(super) fn check(&self, table: &str) -> Result<(), ProfileError> {
        range(format!("{table}.delay_ms"), self.delay_ms, 0.0, 60_000.0, "0 to 60000")?;
        range(format!("{table}.jitter_ms"), self.jitter_ms, 0.0, 60_000.0, "0 to 60000")?;
        if let Some(rate) = self.rate_bps {
            range(format!("{table}.rate_bps"), rate as f64, 1e3, 1e12, "1000 to 10^12")?;
        }
        range(format!("{table}.queue_bytes"), self.queue_bytes as f64, 1.0, (1 << 30) as f64, "1 to 2^30")
    }
}

/// `found`, within `low` and `high`.
pub(super) fn range(
    key: String,
    found: f64,
    low: f64,
    high: f64,
    expected: &'static str,
) -> Result<(), ProfileError> {
    if (low..=high).contains(&found) { Ok(()) } else { Err(ProfileError::Range { key, expected, found }) }
}

/// Checked numbers of milliseconds.
pub(super) fn milliseconds(milliseconds: f64) -> Duration {
    Duration::try_from_secs_f64(milliseconds / 1e3).unwrap_or(Duration::ZERO)
}

/// A profile as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    up: Shape,
    #[serde(default)]
    down: Shape,
    #[serde(default)]
    events: Vec<Written>,
}

impl Profile {
    /// Both directions alike: `delay` is half of the round trip.
    pub fn symmetric(rate_bps: u64, delay: Duration) -> Self {
        let shape = Shape::new(rate_bps, delay);
        Self { up: shape, down: shape, ..Self::default() }
    }

    /// Reads a profile, or the trace of a link (a file whose name ends in `.jsonl`) to be played again.
    ///
    /// # Errors
    /// `Read`, or `File` when it is no profile.
    pub fn read(path: &Path) -> Result<Self, LinkError> {
        let text = regular::read_to_string(path)
            .map_err(|source| LinkError::Read { path: path.to_owned(), source })?;
        let trace = path.extension().is_some_and(|extension| extension == "jsonl");
        let profile = if trace { Self::from_trace(&text) } else { Self::from_toml(&text) };
        profile.map_err(|source| LinkError::File { path: path.to_owned(), source })
    }

    /// Parses a profile.
    ///
    /// # Errors
    /// `Toml`, `Range` or `Event`.
    pub fn from_toml(text: &str) -> Result<Self, ProfileError> {
        let File { seed, up, down, events } = toml::from_str(text)?;
        let events = events.into_iter().enumerate().map(|(at, written)| {
            Event::try_from(written).map_err(|source| ProfileError::Event { event: at + 1, source })
        });
        let profile = Self { seed, up, down, events: events.collect::<Result<_, _>>()? };
        profile.check()?;
        Ok(profile)
    }

    /// The profile under which a link does again what this trace says: a line per [`Record`].
    ///
    /// # Errors
    /// `Line`, `Headless`, `Version` or `Range`.
    pub fn from_trace(text: &str) -> Result<Self, ProfileError> {
        let mut lines =
            text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(|(at, line)| {
                serde_json::from_str(line).map_err(|source| ProfileError::Line { line: at + 1, source })
            });
        let Some(Record::Profile { schema_version, seed, up, down }) = lines.next().transpose()? else {
            return Err(ProfileError::Headless);
        };
        if schema_version != Record::SCHEMA_VERSION {
            return Err(ProfileError::Version { expected: Record::SCHEMA_VERSION, found: schema_version });
        }
        let mut events = Vec::new();
        for record in lines {
            if let Record::Changed { event, .. } = record? {
                events.push(event);
            }
        }
        let profile = Self { seed, up, down, events };
        profile.check()?;
        Ok(profile)
    }

    pub(super) fn check(&self) -> Result<(), ProfileError> {
        self.up.check("up")?;
        self.down.check("down")?;
        let mut events = self.events.iter().enumerate();
        events.try_for_each(|(at, event)| event.check(&format!("events[{at}]")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::{Change, When};
    use super::*;

    #[test]
    fn a_profile_says_what_each_direction_is_and_what_happens() {
        let text = r#"
            seed = 7
            [up]
            delay_ms = 10
            rate_bps = 10_000_000
            [down]
            delay_ms = 2.5
            jitter_ms = 1
            [[events]]
            at_s = 5
            do = "shape"
            up = { rate_bps = 1_000_000 }
            [[events]]
            after_requests = 30
            do = "blackhole"
            [[events]]
            at_s = 8.5
            do = "stall"
            for_s = 0.2
        "#;
        let profile = Profile::from_toml(text).unwrap();
        assert_eq!(profile.seed, 7);
        assert_eq!(profile.up, Shape::new(10_000_000, Duration::from_millis(10)));
        assert_eq!((profile.down.rate_bps, profile.down.jitter_ms), (None, 1.0));
        let slow = Shape { rate_bps: Some(1_000_000), ..Shape::default() };
        let expected = [
            Event { when: When::At(5.0), change: Change::Shape { up: Some(slow), down: None } },
            Event { when: When::AfterRequests(30), change: Change::Blackhole },
            Event { when: When::At(8.5), change: Change::Stall { for_s: 0.2 } },
        ];
        assert_eq!(profile.events, expected);
    }

    #[test]
    fn an_empty_profile_is_a_link_without_limits() {
        let profile = Profile::from_toml("").unwrap();
        assert_eq!(profile, Profile::default());
        assert_eq!(profile.up.transfer(1 << 20), Duration::ZERO);
    }

    #[test]
    fn a_transfer_takes_sending_and_delay() {
        let shape = Shape::new(10_000_000, Duration::from_millis(20));
        assert_eq!(shape.transfer(12_500), Duration::from_millis(30));
    }

    #[test]
    fn what_no_link_can_be_is_refused_by_name() {
        let cases = [
            ("up.delay_ms = -1", "up.delay_ms is -1, expected 0 to 60000"),
            ("down.delay_ms = nan", "down.delay_ms is NaN, expected 0 to 60000"),
            ("up.rate_bps = 0", "up.rate_bps is 0, expected 1000 to 10^12"),
            ("up.queue_bytes = 0", "up.queue_bytes is 0, expected 1 to 2^30"),
            ("[[events]]\nat_s = -1\ndo = \"ok\"", "events[0].at_s is -1, expected 0 to 1000000"),
            (
                "[[events]]\nat_s = 1\ndo = \"stall\"\nfor_s = 1e9",
                "events[0].for_s is 1000000000, expected 0 to 3600",
            ),
            ("up.colour = 1", "not the TOML of a link profile"),
        ];
        for (text, message) in cases {
            assert_eq!(Profile::from_toml(text).unwrap_err().to_string(), message, "{text}");
        }
    }

    #[test]
    fn an_event_that_says_too_little_or_too_much_is_refused() {
        let cases = [
            ("do = \"ok\"", "expected one of at_s, after_bytes and after_requests, got 0"),
            (
                "at_s = 1\nafter_bytes = 2\ndo = \"ok\"",
                "expected one of at_s, after_bytes and after_requests, got 2",
            ),
            ("at_s = 1\ndo = \"shape\"", "\"shape\" expects up, down or both, got neither"),
            ("at_s = 1\ndo = \"reset\"\nup = {}", "up and down go with \"shape\" only"),
            ("at_s = 1\ndo = \"stall\"", "\"stall\" expects for_s"),
            ("at_s = 1\ndo = \"ok\"\nfor_s = 1", "for_s goes with \"stall\" only"),
        ];
        for (event, message) in cases {
            let ProfileError::Event { event: 1, source } =
                Profile::from_toml(&format!("[[events]]\n{event}")).unwrap_err()
            else {
                panic!("{event}");
            };
            assert_eq!(source.to_string(), message, "{event}");
        }
    }

    #[test]
    fn a_trace_that_is_none_is_refused() {
        let cases = [
            ("", "line 1 should hold the link's profile"),
            ("{}", "line 1 is no record of a link"),
            (
                r#"{"record":"profile","schema_version":9,"seed":0,"up":{},"down":{}}"#,
                "trace of schema version 9, this build reads 1",
            ),
            (
                r#"{"record":"profile","schema_version":1,"seed":0,"up":{"delay_ms":-1},"down":{}}"#,
                "up.delay_ms is -1, expected 0 to 60000",
            ),
        ];
        for (text, message) in cases {
            assert_eq!(Profile::from_trace(text).unwrap_err().to_string(), message, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_stops_the_process(text in "\\PC{0,200}") {
            let _ = Profile::from_toml(&text);
            let _ = Profile::from_trace(&text);
        }
    }
}
