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

/// A share of a window, and a number of periods, of which nothing may be known: the runtime's own sources bridge as much.
const UNKNOWN: (f64, f64) = (1e-3, 25.0);

/// What a window came to.
pub(crate) struct Window {
    /// Energy of the time with samples.
    pub(crate) energy_j: f64,
    pub(crate) length: Duration,
    pub(crate) resolution_j: f64,
    pub(crate) samples: u64,
    /// Whether samples are missing within it.
    pub(crate) gaps: bool,
    /// Samples that came and could not be read.
    pub(crate) unread: u64,
    /// Time of it without samples.
    pub(crate) missing: Duration,
    pub(crate) period: Duration,
    /// By how much the ends may be off, in joules.
    pub(crate) ends_error_j: f64,
    pub(crate) ends_w: Option<[f64; 2]>,
    pub(crate) noise_w: Option<f64>,
}

impl Window {
    /// As a reading of the one rail of `description`. Where more is missing than may be, there is no energy: that of the rest is in
    /// the reason.
    pub(crate) fn reading(self, description: &Description) -> Reading {
        let Self { energy_j, length, resolution_j, samples, gaps, unread, missing, period, .. } = self;
        let seconds = period.as_secs_f64().max(f64::MIN_POSITIVE);
        let count = |time: Duration| (time.as_secs_f64() / seconds).round() as u64;
        let lost = unread + if gaps { count(missing).max(1) } else { 0 };
        let (missing_s, length_s) = (missing.as_secs_f64(), length.as_secs_f64());
        let rest = (length_s - missing_s).max(f64::MIN_POSITIVE);
        let energy = if missing_s > (UNKNOWN.0 * length_s).max(UNKNOWN.1 * seconds) {
            Err(NotMeasured::energy(format!(
                "nothing is known of {missing_s:.3} s of {length_s:.3} s; the rest took {}",
                Joules(energy_j)
            )))
        } else {
            Ok(Joules(energy_j))
        };
        let mut reading = bare(description, length, energy);
        if lost > 0 {
            let rail = reading.domain.clone().unwrap_or_default();
            reading.flags.push(Flag::Gaps { rail, lost, due: count(length) });
        }
        let resolution = Some(Joules(resolution_j));
        for rail in &mut reading.rails {
            (rail.resolution, rail.samples, rail.lost) = (resolution, samples, lost);
            rail.ends = self.ends_w.map(|ends| ends.map(Watts));
            rail.noise = self.noise_w.map(Watts);
            // What is missing is taken for what was there, on average.
            rail.ends_error = Some(Joules(self.ends_error_j + missing_s * (energy_j / rest).abs()));
        }
        Reading { resolution, samples, lost, time_constant: Some(period), ..reading }
    }
}

/// A reading of the one rail of `description` that says no more than its energy, or why there is none.
pub(crate) fn bare(
    description: &Description,
    length: Duration,
    energy: Result<Joules, NotMeasured>,
) -> Reading {
    let rail = description.rails.first().map_or_else(String::new, |rail| rail.name.clone());
    let needed = description.needed_window();
    let mut flags = Vec::new();
    if length < needed {
        flags.push(Flag::ShortWindow { window_s: length.as_secs_f64(), needed_s: needed.as_secs_f64() });
    }
    let told = RailReading {
        name: rail.clone(),
        energy: energy.clone(),
        counted: true,
        resolution: None,
        samples: 0,
        lost: 0,
        ends: None,
        noise: None,
        ends_error: None,
    };
    Reading {
        energy,
        domain: Some(rail),
        window: length,
        resolution: None,
        time_constant: description.time_constant(),
        rails: vec![told],
        samples: 0,
        lost: 0,
        cost: None,
        flags,
    }
}

/// What recording `samples` in `time` cost this machine's processor.
pub(crate) fn overhead(spent: Duration, samples: u64, time: Duration) -> Overhead {
    let sample = spent / u32::try_from(samples.max(1)).unwrap_or(u32::MAX);
    let share = spent.as_secs_f64() / time.as_secs_f64().max(f64::MIN_POSITIVE);
    Overhead { sample, cpu_per_sample: Some(sample), cpu_share: Some(share), per_second: None }
}

/// The power of the one rail of `description`, or why there is none.
pub(crate) fn glance(description: &Description, watts: Result<f64, String>) -> Vec<Glance> {
    let power = || watts.clone().map(Watts).map_err(|why| NotMeasured::new("power_w", why));
    description.rails.iter().map(|rail| Glance { name: rail.name.clone(), power: power() }).collect()
}
