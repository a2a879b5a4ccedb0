//! By how much a reading may be wrong, cause by cause.

use std::time::Duration;

use serde::Serialize;

use crate::{Description, Joules, Quantity, Reading};

/// Host clocks are quartz and are slewed: a hundred parts in a million bound both.
const CLOCK_RATE: f64 = 1e-4;

/// Standard errors that bound what sampling misses.
const SAMPLING_ERRORS: f64 = 3.0;

/// Bounds of the error of one window's energy. Causes that a source does not let be bounded are named in `unknown`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ErrorBudget {
    /// Half a step of what the sensor can show.
    #[serde(rename = "quantisation_j")]
    pub quantisation: Joules,
    /// The sensor's zero. The same in every window: differences and idle subtraction cancel it.
    #[serde(rename = "offset_j")]
    pub offset: Joules,
    /// The sensor's scale.
    #[serde(rename = "gain_j")]
    pub gain: Joules,
    /// What the averaging filter still held at the ends.
    #[serde(rename = "filter_j")]
    pub filter: Joules,
    /// The clock's rate, and the moments of samples and ends.
    #[serde(rename = "clock_j")]
    pub clock: Joules,
    /// What happened between samples.
    #[serde(rename = "interval_j")]
    pub interval: Joules,
    /// What could not be bounded.
    pub unknown: Vec<String>,
}

impl ErrorBudget {
    /// The budget of what `reading` counts; `sample` is how long one sample of all rails takes.
    pub fn of(reading: &Reading, meter: &Description, sample: Duration) -> Self {
        let seconds = reading.window.as_secs_f64();
        let mut budget = Self::default();
        for rail in meter.counted() {
            let Some(of_rail) = reading.rails.iter().find(|read| read.name == rail.name) else { continue };
            let energy = of_rail.energy.as_ref().map_or(0.0, |energy| energy.0.abs());
            let update = rail.update.unwrap_or_default().as_secs_f64();
            let step = of_rail.resolution.map(|joules| joules.0);
            match (rail.quantity, step) {
                (_, None) => budget.unknown.push(format!("{}: its step", rail.name)),
                (Quantity::Power, Some(step)) => {
                    budget.quantisation.0 += step / 2.0;
                    match rail.offset_steps {
                        Some(steps) => budget.offset.0 += steps * step,
                        None => budget.unknown.push(format!("{}: its zero error", rail.name)),
                    }
                }
                (Quantity::Counter, Some(step)) => budget.quantisation.0 += step,
            }
            match rail.gain {
                Some(gain) => budget.gain.0 += gain * energy,
                None => budget.unknown.push(format!("{}: its gain error", rail.name)),
            }
            budget.clock.0 += CLOCK_RATE * energy + of_rail.ends_error.map_or(0.0, |joules| joules.0);
            match (rail.quantity, of_rail.ends) {
                (Quantity::Power, Some([first, last])) => {
                    // Of a filter of the first order, energy in minus energy out is the time constant times what its output rose by;
                    // the output is known to half a step at either end.
                    let rise = (last.0 - first.0).abs() + step.unwrap_or(0.0) / seconds.max(1e-9);
                    match rail.time_constant {
                        Some(time_constant) => budget.filter.0 += time_constant.as_secs_f64() * rise,
                        None => budget.unknown.push(format!("{}: its filter", rail.name)),
                    }
                    budget.clock.0 += (sample.as_secs_f64() / 2.0 + update) * rise;
                    budget.interval.0 +=
                        SAMPLING_ERRORS * of_rail.noise.map_or(0.0, |noise| noise.0) * seconds;
                }
                (Quantity::Power, None) => budget.unknown.push(format!("{}: its filter", rail.name)),
                // Late by up to one step of time at each end, of the mean power.
                (Quantity::Counter, _) => budget.interval.0 += energy / seconds.max(1e-9) * update,
            }
        }
        budget
    }

    /// The bound of the energy itself: all causes at their worst.
    pub fn total(&self) -> Joules {
        Joules(self.of_difference().0 + self.offset.0 + self.gain.0)
    }

    /// The bound of a difference between windows of one meter: without what is the same in both.
    pub fn of_difference(&self) -> Joules {
        Joules(self.quantisation.0 + self.filter.0 + self.clock.0 + self.interval.0)
    }
}
