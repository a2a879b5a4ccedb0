//! What meters on a serial line tell in the words of [`offramp_meter`]: one rail, the sum of what the device sees.

use std::time::Duration;

use offramp_meter::{
    Description, Flag, Glance, Joules, NotMeasured, Overhead, Quantity, Rail, RailReading, Reading,
    TotalRule, Watts,
};

/// A meter of one rail that is sampled every `period`.
pub(crate) fn describe(source: &str, rail: String, origin: &str, period: Duration) -> Description {
    let mut rail = Rail::new(rail, origin, Quantity::Power);
    (rail.time_constant, rail.update) = (Some(period), Some(period));
    let rule = TotalRule {
        domain: rail.name.clone(),
        rails: vec![rail.name.clone()],
        source: "everything that the device's sensor is wired to".to_owned(),
    };
    Description { source: source.to_owned(), rails: vec![rail], total: Ok(rule), period, notes: Vec::new() }
}

/// What a window came to.
pub(crate) struct Window {
    pub(crate) energy_j: f64,
    pub(crate) length: Duration,
    pub(crate) resolution_j: f64,
    pub(crate) samples: u64,
    /// Whether samples are missing within it.
    pub(crate) gaps: bool,
    /// Time of it without samples.
    pub(crate) missing: Duration,
    pub(crate) period: Duration,
}

impl Window {
    /// As a reading of the one rail of `description`.
    pub(crate) fn reading(self, description: &Description) -> Reading {
        let Self { energy_j, length, resolution_j, samples, gaps, missing, period } = self;
        let rail = description.rails.first().map_or_else(String::new, |rail| rail.name.clone());
        let count = |time: Duration| {
            (time.as_secs_f64() / period.as_secs_f64().max(f64::MIN_POSITIVE)).round() as u64
        };
        let lost = if gaps { count(missing).max(1) } else { 0 };
        let needed = description.needed_window();
        let mut flags = Vec::new();
        if length < needed {
            flags.push(Flag::ShortWindow { window_s: length.as_secs_f64(), needed_s: needed.as_secs_f64() });
        }
        if gaps {
            flags.push(Flag::Gaps { rail: rail.clone(), lost, due: count(length) });
        }
        let (energy, resolution) = (Ok(Joules(energy_j)), Some(Joules(resolution_j)));
        let told = RailReading {
            name: rail.clone(),
            energy: energy.clone(),
            counted: true,
            resolution,
            samples,
            lost,
            ends: None,
            noise: None,
        };
        Reading {
            energy,
            domain: Some(rail),
            window: length,
            resolution,
            time_constant: Some(period),
            rails: vec![told],
            samples,
            lost,
            cost: None,
            flags,
        }
    }
}

/// What recording `samples` in `time` cost this machine's processor.
pub(crate) fn overhead(spent: Duration, samples: u64, time: Duration) -> Overhead {
    let sample = spent / u32::try_from(samples.max(1)).unwrap_or(u32::MAX);
    let share = spent.as_secs_f64() / time.as_secs_f64().max(f64::MIN_POSITIVE);
    Overhead { sample, cpu_per_sample: Some(sample), cpu_share: Some(share), per_second: None }
}

/// The latest power of the one rail of `description`.
pub(crate) fn glance(description: &Description, latest_w: Option<f64>) -> Vec<Glance> {
    let power = || latest_w.map(Watts).ok_or_else(|| NotMeasured::new("power_w", "no sample has come yet"));
    description.rails.iter().map(|rail| Glance { name: rail.name.clone(), power: power() }).collect()
}
