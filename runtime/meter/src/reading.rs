//! What a window gives.

use std::time::Duration;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::{Flag, Joules, NotMeasured, Watts};

/// What a meter costs while it measures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Overhead {
    /// Time of one sample of all rails.
    #[serde(rename = "sample_s", serialize_with = "seconds")]
    pub sample: Duration,
    /// CPU time of one sample; `None` where the system does not tell.
    #[serde(rename = "cpu_per_sample_s", serialize_with = "maybe_seconds")]
    pub cpu_per_sample: Option<Duration>,
    /// Share of one core at the meter's own period, in [0, 1].
    pub cpu_share: Option<f64>,
    /// Energy spent on sampling, per second of window; `None` where it is below the resolution.
    #[serde(rename = "per_second_j")]
    pub per_second: Option<Joules>,
}

/// CPU time that sampling took in one window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// CPU time of the sampling thread.
    #[serde(rename = "cpu_s", serialize_with = "seconds")]
    pub cpu: Duration,
    /// The same as a share of one core, in [0, 1].
    pub share: f64,
}

/// Energy over one window.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reading {
    /// Energy of the whole, or why there is none.
    #[serde(flatten, serialize_with = "energy_or_reason")]
    pub energy: Result<Joules, NotMeasured>,
    /// What it covers, `package-0` or `VDD_IN`; `None` where there is no total.
    pub domain: Option<String>,
    /// Length of the window.
    #[serde(rename = "window_s", serialize_with = "seconds")]
    pub window: Duration,
    /// The smallest difference that the total shows; `None` where a source does not tell its steps.
    #[serde(rename = "resolution_j")]
    pub resolution: Option<Joules>,
    /// How long the source averages: shorter events cannot be told apart. `None`: it does not tell.
    #[serde(rename = "time_constant_s", serialize_with = "maybe_seconds")]
    pub time_constant: Option<Duration>,
    /// Every rail, in the order of the description. They may overlap: do not add them.
    pub rails: Vec<RailReading>,
    /// Times that all rails were sampled within the window.
    pub samples: u64,
    /// Samples that are missing, of all rails together.
    pub lost: u64,
    /// What sampling cost; `None` where the system does not tell.
    pub cost: Option<Cost>,
    /// What makes the reading doubtful.
    pub flags: Vec<Flag>,
}

/// Energy of one rail over one window.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RailReading {
    /// Its label.
    pub name: String,
    /// Its energy, or why there is none.
    #[serde(flatten, serialize_with = "energy_or_reason")]
    pub energy: Result<Joules, NotMeasured>,
    /// Whether the total contains it.
    pub counted: bool,
    /// The smallest difference that it shows.
    #[serde(rename = "resolution_j")]
    pub resolution: Option<Joules>,
    /// Samples within the window that were used.
    pub samples: u64,
    /// Samples that were due and could not be used.
    pub lost: u64,
    /// Power at the window's ends, of rails that are sampled.
    #[serde(rename = "ends_w")]
    pub ends: Option<[Watts; 2]>,
    /// Standard error of the mean power, from what neighbouring samples differ by; of rails that are sampled.
    #[serde(rename = "noise_w")]
    pub noise: Option<Watts>,
    /// By how much the window's ends, and time in it without samples, may have changed the energy; of sources whose clock is not
    /// the host's.
    #[serde(rename = "ends_error_j")]
    pub ends_error: Option<Joules>,
}

/// Power of one rail at a moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Glance {
    /// The rail's label.
    pub name: String,
    /// Its power, or why there is none.
    #[serde(flatten, serialize_with = "power_or_reason")]
    pub power: Result<Watts, NotMeasured>,
}

pub(crate) fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

pub(crate) fn maybe_seconds<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    duration.map(|duration| duration.as_secs_f64()).serialize(serializer)
}

fn energy_or_reason<S: Serializer>(
    energy: &Result<Joules, NotMeasured>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value_or_reason("energy_j", energy, serializer)
}

fn power_or_reason<S: Serializer>(
    power: &Result<Watts, NotMeasured>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value_or_reason("power_w", power, serializer)
}

/// The value under its key, or null there and the reason beside it.
fn value_or_reason<T: Serialize, S: Serializer>(
    key: &str,
    value: &Result<T, NotMeasured>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(2))?;
    map.serialize_entry(key, &value.as_ref().ok())?;
    if let Err(reason) = value {
        map.serialize_entry("not_measured", reason)?;
    }
    map.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_null_with_its_reason() {
        let reading = RailReading {
            name: "VDD_IN".to_owned(),
            energy: Err(NotMeasured::energy("the file vanished")),
            counted: true,
            resolution: None,
            samples: 0,
            lost: 3,
            ends: None,
            noise: None,
            ends_error: None,
        };
        insta::assert_snapshot!(
            serde_json::to_string(&reading).unwrap(),
            @r#"{"name":"VDD_IN","energy_j":null,"not_measured":{"what":"energy_j","why":"the file vanished"},"counted":true,"resolution_j":null,"samples":0,"lost":3,"ends_w":null,"noise_w":null,"ends_error_j":null}"#
        );
        let power = Glance { name: "VDD_IN".to_owned(), power: Ok(Watts(4.5)) };
        assert_eq!(serde_json::to_string(&power).unwrap(), r#"{"name":"VDD_IN","power_w":4.5}"#);
    }
}
