//! Energy: joules over a window, with what they cover and how finely they resolve.
//!
//! A meter never knows what runs while it measures; energy per image is attributed by whoever does.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Measures the energy of one domain.
pub trait Meter {
    /// Measures what measuring itself costs.
    ///
    /// # Errors
    /// [`MeterError`] when the source cannot be read.
    fn calibrate(&mut self) -> Result<Overhead, MeterError>;

    /// Opens a window; an open one is dropped.
    ///
    /// # Errors
    /// [`MeterError`] when the source cannot be read.
    fn start(&mut self) -> Result<(), MeterError>;

    /// Closes the window.
    ///
    /// # Errors
    /// [`MeterError`] when the source cannot be read, or no window is open.
    fn stop(&mut self) -> Result<Reading, MeterError>;
}

/// Energy.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Joules(pub f64);

/// What a meter costs while it measures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overhead {
    /// Time of one sample.
    pub sample: Duration,
    /// Energy spent on sampling, per second of window; `None` where it is below the resolution.
    pub per_second: Option<Joules>,
}

/// Energy over one window.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Energy of the window.
    pub energy: Joules,
    /// What it covers, `package-0` or `VDD_IN`; overlapping domains are never added.
    pub domain: String,
    /// Length of the window.
    pub window: Duration,
    /// The smallest difference that the source shows.
    pub resolution: Joules,
    /// How long the source averages: shorter events cannot be told apart.
    pub time_constant: Duration,
    /// Samples taken.
    pub samples: u64,
    /// What makes the reading doubtful.
    pub flags: Vec<Flag>,
}

/// What makes a reading doubtful.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Flag {
    /// The window is shorter than ten time constants.
    ShortWindow,
    /// A counter went round.
    Wrapped,
    /// Samples are missing.
    Gaps,
}

/// A meter that gives no reading.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeterError {
    /// There is nothing to measure with.
    #[error(transparent)]
    NotMeasured(#[from] NotMeasured),
    /// A window is closed that was not opened.
    #[error("the meter has no open window")]
    NotStarted,
    /// The source cannot be read.
    #[error("meter source {origin} cannot be read")]
    Source {
        /// Where the numbers come from.
        origin: String,
        /// Why not.
        source: std::io::Error,
    },
}

/// Something unknown, and the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{what} was not measured: {why}")]
pub struct NotMeasured {
    /// The key that is null in reports.
    pub what: String,
    /// The reason, for people.
    pub why: String,
}

impl NotMeasured {
    /// `what` is unknown because of `why`.
    pub fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into() }
    }
}

/// The meter of those who ask for none: every reading is [`NotMeasured`].
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMeter;

impl NoMeter {
    fn reason() -> NotMeasured {
        NotMeasured::new("energy_j", "no meter was asked for")
    }
}

impl Meter for NoMeter {
    fn calibrate(&mut self) -> Result<Overhead, MeterError> {
        Err(Self::reason().into())
    }

    fn start(&mut self) -> Result<(), MeterError> {
        Err(Self::reason().into())
    }

    fn stop(&mut self) -> Result<Reading, MeterError> {
        Err(Self::reason().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_meter_gives_a_reason_and_never_zero() {
        assert!(NoMeter.calibrate().is_err() && NoMeter.start().is_err());
        insta::assert_snapshot!(
            NoMeter.stop().unwrap_err(),
            @"energy_j was not measured: no meter was asked for"
        );
    }

    #[test]
    fn a_meter_that_fails_names_its_source() {
        let origin = "/sys/class/powercap/intel-rapl:0/energy_uj".to_owned();
        let source = std::io::ErrorKind::PermissionDenied.into();
        insta::assert_snapshot!(
            MeterError::Source { origin, source },
            @"meter source /sys/class/powercap/intel-rapl:0/energy_uj cannot be read"
        );
        insta::assert_snapshot!(MeterError::NotStarted, @"the meter has no open window");
    }
}
