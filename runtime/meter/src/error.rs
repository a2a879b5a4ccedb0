//! Why there is no reading.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::total::TotalError;

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
    /// Something is asked that needs all windows closed.
    #[error("the meter has an open window")]
    WindowOpen,
    /// The source cannot be read.
    #[error("meter source {origin} cannot be read")]
    Source {
        /// Where the numbers come from.
        origin: String,
        /// Why not.
        source: io::Error,
    },
    /// The source is there, and this user may not read it.
    #[error("no right to read meter source {}", path.display())]
    NoRight {
        /// The file.
        path: PathBuf,
        /// The one line that gives the right.
        remedy: String,
        /// What the system says.
        source: io::Error,
    },
    /// The source does not answer.
    #[error("meter {origin} gave no sample within {waited_s:.1} s")]
    Stalled {
        /// Where the numbers come from.
        origin: String,
        /// How long it was waited for, in seconds.
        waited_s: f64,
    },
    /// A total was asked for that would count energy twice, or names nothing.
    #[error("the meter gives no such total")]
    Total(#[from] TotalError),
}

impl MeterError {
    /// The one line that helps, where there is one.
    pub fn remedy(&self) -> Option<&str> {
        match self {
            Self::NoRight { remedy, .. } => Some(remedy),
            _ => None,
        }
    }
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

    /// Energy is unknown because of `why`.
    pub fn energy(why: impl Into<String>) -> Self {
        Self::new("energy_j", why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_that_fails_names_its_source() {
        let origin = "/sys/class/powercap/intel-rapl:0/energy_uj".to_owned();
        let source = io::ErrorKind::PermissionDenied.into();
        insta::assert_snapshot!(
            MeterError::Source { origin: origin.clone(), source },
            @"meter source /sys/class/powercap/intel-rapl:0/energy_uj cannot be read"
        );
        insta::assert_snapshot!(MeterError::NotStarted, @"the meter has no open window");
        insta::assert_snapshot!(MeterError::WindowOpen, @"the meter has an open window");
        insta::assert_snapshot!(
            MeterError::Stalled { origin, waited_s: 5.0 },
            @"meter /sys/class/powercap/intel-rapl:0/energy_uj gave no sample within 5.0 s"
        );
    }

    #[test]
    fn a_missing_right_names_the_file_and_the_line_that_gives_it() {
        let source = io::ErrorKind::PermissionDenied.into();
        let remedy = "sudo chmod a+r /sys/x".to_owned();
        let error = MeterError::NoRight { path: "/sys/x".into(), remedy, source };
        insta::assert_snapshot!(error, @"no right to read meter source /sys/x");
        assert_eq!(error.remedy(), Some("sudo chmod a+r /sys/x"));
        insta::assert_snapshot!(std::error::Error::source(&error).unwrap(), @"permission denied");
    }
}
