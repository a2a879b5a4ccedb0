//! What a meter covers, before anything is measured.

use std::time::Duration;

use serde::Serialize;

use crate::{Joules, NotMeasured, TotalError, TotalRule, Watts};

/// What a meter covers, how fast and how finely it tells.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Description {
    /// The source: `ina`, `hwmon`, `rapl`, `nvml`, `serial`, `csv`, `none`.
    pub source: String,
    /// What is measured, one by one. They may overlap: see [`Rail::within`].
    pub rails: Vec<Rail>,
    /// What stands for the whole, or why nothing does.
    #[serde(serialize_with = "total_or_reason")]
    pub total: Result<TotalRule, NotMeasured>,
    /// How often it is sampled.
    #[serde(rename = "period_s", serialize_with = "crate::reading::seconds")]
    pub period: Duration,
    /// What is worth knowing about the source, for people.
    pub notes: Vec<String>,
}

/// One thing that is measured: a supply rail, a counter's domain.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rail {
    /// Its label, `VDD_IN` or `package-0`; unique within a meter.
    pub name: String,
    /// Where the numbers come from: a file, a library's function.
    pub origin: String,
    /// What is read.
    pub quantity: Quantity,
    /// The rail that contains this one's energy.
    pub within: Option<String>,
    /// The smallest step of power, where it is the same at any load.
    #[serde(rename = "step_w")]
    pub step: Option<Watts>,
    /// The averaging filter's time constant; `None`: the source does not tell.
    #[serde(rename = "time_constant_s", serialize_with = "crate::reading::maybe_seconds")]
    pub time_constant: Option<Duration>,
    /// How often the source has a new value; `None`: the source does not tell.
    #[serde(rename = "update_s", serialize_with = "crate::reading::maybe_seconds")]
    pub update: Option<Duration>,
    /// The largest zero error, in steps, where a data sheet tells.
    pub offset_steps: Option<f64>,
    /// The largest gain error, a fraction, where a data sheet tells.
    pub gain: Option<f64>,
    /// Where a counter goes round; `None`: it never does, and a smaller value is a reset.
    #[serde(rename = "counter_range_j")]
    pub counter_range: Option<Joules>,
    /// The least and the most power that can be; what lies outside is not used.
    #[serde(rename = "plausible_w")]
    pub plausible: [Watts; 2],
}

/// What a source gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    /// Power at a moment, integrated over samples.
    Power,
    /// Energy since some moment, read at the ends.
    Counter,
}

impl Rail {
    /// A rail of which nothing more is known.
    pub fn new(name: impl Into<String>, origin: impl Into<String>, quantity: Quantity) -> Self {
        Self {
            name: name.into(),
            origin: origin.into(),
            quantity,
            within: None,
            step: None,
            time_constant: None,
            update: None,
            offset_steps: None,
            gain: None,
            counter_range: None,
            plausible: [Watts(0.0), Watts(10_000.0)],
        }
    }
}

impl Description {
    /// A meter that covers nothing because of `reason`.
    pub fn empty(source: impl Into<String>, reason: NotMeasured) -> Self {
        let (source, period) = (source.into(), Duration::ZERO);
        Self { source, rails: Vec::new(), total: Err(reason), period, notes: Vec::new() }
    }

    /// Takes the sum of `names` as the total, as a person chose it.
    ///
    /// # Errors
    /// [`TotalError`] when a rail is not there, named twice, or contains another.
    pub fn choose_total(&mut self, names: &[&str]) -> Result<(), TotalError> {
        self.total = Ok(TotalRule::sum_of(names, &self.rails, "chosen by the user")?);
        Ok(())
    }

    /// The rails that make up the total; all where there is none.
    pub fn counted(&self) -> impl Iterator<Item = &Rail> {
        let total = self.total.as_ref().ok();
        self.rails.iter().filter(move |rail| total.is_none_or(|total| total.rails.contains(&rail.name)))
    }

    /// The longest time constant of what is counted; `None` where no source tells its own.
    pub fn time_constant(&self) -> Option<Duration> {
        self.counted().filter_map(|rail| rail.time_constant).max()
    }

    /// Whether some of what is counted does not tell how long it averages power.
    pub fn averages_unknown(&self) -> bool {
        self.counted().any(|rail| rail.quantity == Quantity::Power && rail.time_constant.is_none())
    }

    /// How long a window must be so that neither the filter nor single values decide: the longest of 10 s, 20 time constants
    /// and 200 new values.
    pub fn needed_window(&self) -> Duration {
        let filter = self.time_constant().unwrap_or_default().saturating_mul(20);
        let values = self.update().unwrap_or_default().saturating_mul(200);
        Duration::from_secs(10).max(filter).max(values)
    }

    /// The longest time between two new values of what is counted; `None` where no source tells its own.
    pub fn update(&self) -> Option<Duration> {
        self.counted().filter_map(|rail| rail.update).max()
    }
}

fn total_or_reason<S: serde::Serializer>(
    total: &Result<TotalRule, NotMeasured>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match total {
        Ok(rule) => rule.serialize(serializer),
        Err(reason) => reason.serialize(serializer),
    }
}
