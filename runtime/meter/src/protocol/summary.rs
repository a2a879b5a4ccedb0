//! What an image costs, and whether two loads differ.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Session, Window};
use crate::Joules;
use crate::statistics::Estimate;

/// What one load costs, over its windows that count. Energy per image is attributed: a window's energy over its images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// What the load is called.
    pub load: String,
    /// Gross energy per image.
    #[serde(rename = "gross_per_image_j")]
    pub gross: Option<Estimate>,
    /// Idle energy per image.
    #[serde(rename = "idle_per_image_j")]
    pub idle: Option<Estimate>,
    /// Net energy per image.
    #[serde(rename = "net_per_image_j")]
    pub net: Option<Estimate>,
    /// The largest error budget of a window, per image.
    #[serde(rename = "budget_per_image_j")]
    pub budget: Option<Joules>,
    /// Half the width of the stated 95 % interval of the gross energy: Student's and the budget, squares added. Student's alone knows
    /// only what differs between windows, not what all of them have in common.
    #[serde(rename = "gross_interval_j")]
    pub gross_interval: Option<Joules>,
    /// The same of the net energy: the sensor's zero is not in it, what the idle power may be wrong by is ([`Session::idle_error`]).
    #[serde(rename = "net_interval_j")]
    pub net_interval: Option<Joules>,
    /// What no bound is known for and both intervals therefore leave out.
    #[serde(default)]
    pub not_bounded: Vec<String>,
    /// Windows that count.
    pub windows: usize,
    /// Windows that do not, with the rule of each beside them in the session.
    pub rejected: usize,
    /// Images of the windows that count.
    pub images: u64,
    /// How many of them stopped at each exit.
    pub exits: Vec<u64>,
}

/// Two loads of one session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The second's energy per image less the first's, window by window in turns; net where both have it.
    #[serde(rename = "difference_per_image_j")]
    pub difference: Option<Estimate>,
    /// Half the width of its 95 % interval: Student's over the pairs and, of net energies, what the idle power may be wrong by times
    /// the difference of the time that an image takes, squares added. `None` for a single pair.
    #[serde(rename = "difference_interval_j", default)]
    pub interval: Option<Joules>,
    /// The second's mean over the first's.
    pub ratio: Option<f64>,
    /// Whether the numbers are net of idle.
    pub net: bool,
    /// The least difference per image that the meter can tell: two of its steps. `None`: it does not tell its steps.
    #[serde(rename = "resolution_per_image_j")]
    pub resolution: Option<Joules>,
    /// What can be said.
    pub verdict: Verdict,
}

/// What can be said of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The interval excludes zero, and the meter can tell it.
    Different,
    /// The interval contains zero.
    NotDistinguished,
    /// It is smaller than what the meter can tell.
    BelowResolution,
    /// There are too few windows that count.
    TooFewWindows,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Different => "they differ",
            Self::NotDistinguished => "not distinguished",
            Self::BelowResolution => "below what the meter can tell",
            Self::TooFewWindows => "too few windows that count",
        })
    }
}

impl Session {
    /// What every load costs, in the order of the session's loads.
    pub fn summaries(&self) -> Vec<Summary> {
        (0..self.loads.len()).map(|load| self.summary(load)).collect()
    }

    /// Mean seconds that an image of a load takes in its windows that count.
    pub fn seconds_per_image(&self, load: usize) -> Option<f64> {
        let sum = |of: fn(&Window) -> f64| self.counting(load).map(of).sum::<f64>();
        let images = sum(|window| window.work.images as f64);
        (images > 0.0).then(|| sum(|window| window.reading.window.as_secs_f64()) / images)
    }

    fn counting(&self, load: usize) -> impl Iterator<Item = &Window> {
        self.windows.iter().filter(move |window| window.load == load && window.rejected.is_none())
    }

    fn summary(&self, load: usize) -> Summary {
        let all = self.windows.iter().filter(|window| window.load == load).count();
        let per_image = |energy: fn(&Window) -> Option<f64>| {
            let each = self.counting(load).map(|window| Some(energy(window)? / window.work.images as f64));
            each.collect::<Option<Vec<_>>>().and_then(|numbers| Estimate::of(&numbers))
        };
        let largest = |bound: &dyn Fn(&Window) -> f64| {
            let bounds = self.counting(load).map(|window| bound(window) / window.work.images as f64);
            bounds.reduce(f64::max)
        };
        let budget = largest(&|window| window.budget.total().0);
        let idle_error = self.idle_error().0;
        let of_net = largest(&|window| {
            let of_idle = idle_error * window.reading.window.as_secs_f64();
            window.budget.of_difference().0 + window.budget.gain.0 + of_idle
        });
        let (gross, net) = (per_image(gross), per_image(net));
        let stated = |estimate: Option<Estimate>, bound: Option<f64>| {
            Some(Joules(f64::hypot(estimate?.half_width?, bound?)))
        };
        let mut exits = Vec::new();
        for window in self.counting(load) {
            exits.resize(exits.len().max(window.work.exits.len()), 0);
            for (sum, count) in exits.iter_mut().zip(&window.work.exits) {
                *sum += count;
            }
        }
        let mut not_bounded: Vec<String> = Vec::new();
        for cause in self.counting(load).flat_map(|window| &window.budget.unknown) {
            if !not_bounded.contains(cause) {
                not_bounded.push(cause.clone());
            }
        }
        let windows = self.counting(load).count();
        Summary {
            load: self.loads[load].clone(),
            gross,
            idle: per_image(|window| window.idle.as_ref().ok().map(|idle| idle.0)),
            net,
            budget: budget.map(Joules),
            gross_interval: stated(gross, budget),
            net_interval: stated(net, of_net),
            not_bounded,
            windows,
            rejected: all - windows,
            images: self.counting(load).map(|window| window.work.images).sum(),
            exits,
        }
    }

    /// Compares the load at `second` with the one at `first`. Windows that lie beside each other are compared, so that what drifts
    /// falls on both; a pair of which one was rejected is left out.
    pub fn compare(&self, first: usize, second: usize) -> Comparison {
        let of = |load: usize| self.windows.iter().filter(move |window| window.load == load);
        let pairs: Vec<_> =
            of(first).zip(of(second)).filter(|(a, b)| a.rejected.is_none() && b.rejected.is_none()).collect();
        let is_net = !pairs.is_empty() && pairs.iter().all(|(a, b)| a.net.is_ok() && b.net.is_ok());
        let energy = if is_net { net } else { gross };
        let per_image = |window: &Window| Some(energy(window)? / window.work.images as f64);
        let both: Vec<_> = pairs.iter().filter_map(|(a, b)| Some((per_image(a)?, per_image(b)?))).collect();
        let differences: Vec<_> = both.iter().map(|(a, b)| b - a).collect();
        let mean = |side: fn(&(f64, f64)) -> f64| both.iter().map(side).sum::<f64>();
        let (of_first, of_second) = (mean(|pair| pair.0), mean(|pair| pair.1));
        let steps = pairs
            .iter()
            .flat_map(|(a, b)| [*a, *b])
            .map(|window| window.reading.resolution.map(|step| 2.0 * step.0 / window.work.images as f64));
        let resolution =
            steps.collect::<Option<Vec<_>>>().and_then(|steps| steps.into_iter().reduce(f64::max));
        let difference = Estimate::of(&differences);
        let seconds = |window: &Window| window.reading.window.as_secs_f64() / window.work.images as f64;
        let longer: f64 = pairs.iter().map(|(a, b)| seconds(b) - seconds(a)).sum();
        let of_idle = if is_net { self.idle_error().0 * longer / pairs.len() as f64 } else { 0.0 };
        let half_width = difference.and_then(|estimate| estimate.half_width);
        let interval = half_width.map(|half| f64::hypot(half, of_idle));
        let verdict = match (difference.map(|estimate| estimate.mean.abs()), interval) {
            (Some(mean), _) if resolution.is_some_and(|least| mean < least) => Verdict::BelowResolution,
            (Some(mean), Some(half)) if mean > half => Verdict::Different,
            (Some(_), Some(_)) => Verdict::NotDistinguished,
            _ => Verdict::TooFewWindows,
        };
        Comparison {
            difference,
            interval: interval.map(Joules),
            ratio: (of_first > 0.0).then_some(of_second / of_first),
            net: is_net,
            resolution: resolution.map(Joules),
            verdict,
        }
    }
}

fn gross(window: &Window) -> Option<f64> {
    window.reading.energy.as_ref().ok().map(|energy| energy.0)
}

fn net(window: &Window) -> Option<f64> {
    window.net.as_ref().ok().map(|energy| energy.0)
}
