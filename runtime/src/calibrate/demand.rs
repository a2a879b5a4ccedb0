//! What calibration is asked for, and how near a policy comes to it.

use std::fmt;

use crate::confidence::Measure;
use crate::meter::NotMeasured;
use crate::policy::{Constraint, Fallback, PolicyError};
use crate::recording::{Recording, RecordingError};
use crate::replay::Replay;

/// What the policy must be and keep to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demand {
    /// What it must keep to.
    pub constraint: Constraint,
    /// Which policies are tried.
    pub family: Family,
    /// Whose label is returned when no exit is taken.
    pub fallback: Fallback,
}

/// Policies with something to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Thresholds.
    Confidence {
        /// How confidence is read.
        measure: Measure,
        /// One threshold per exit but the final, not one for all.
        per_exit: bool,
    },
    /// The number of exits that must agree.
    Patience,
}

/// Mean cost of stopping at each exit, everything before it included; one entry per exit.
#[derive(Clone, Copy, Debug)]
pub struct Costs<'a> {
    /// Multiply-adds.
    pub macs: &'a [u64],
    /// Seconds, as measured on the device.
    pub latency_s: Option<&'a [f64]>,
    /// Joules, as measured on the device.
    pub energy_j: Option<&'a [f64]>,
}

/// A demand that cannot be met, or not be judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrateError {
    /// No policy of the family keeps to the constraint.
    #[error("no policy keeps to {constraint}, the best reaches {}", constraint.figure(*best))]
    Infeasible {
        /// The constraint.
        constraint: Constraint,
        /// The figure nearest to the limit, in the limit's unit.
        best: f64,
    },
    /// The recording does not hold together.
    #[error("the recording cannot be replayed")]
    Recording(#[from] RecordingError),
    /// No image to calibrate on.
    #[error("calibration needs images, got none")]
    NoImages,
    /// An image without a label.
    #[error("calibration needs labels, image {image} has none")]
    Unlabelled {
        /// The image.
        image: usize,
    },
    /// A budget whose cost nobody measured.
    #[error("the budget cannot be judged")]
    NotMeasured(#[from] NotMeasured),
    /// A cost table that does not fit the recording.
    #[error("{what} by exit: expected {expected} finite entries with a final one above 0, got {found:?}")]
    Costs {
        /// `MACs`, `latency` or `energy`.
        what: &'static str,
        /// Exits.
        expected: usize,
        /// The table.
        found: Vec<f64>,
    },
    /// A limit outside its range.
    #[error("{constraint} is no demand, expected a limit {expected}")]
    Limit {
        /// The constraint.
        constraint: Constraint,
        /// The range.
        expected: &'static str,
    },
    /// The recording has no exit that a policy could take.
    #[error("no policy fits the recording")]
    Policy(#[from] PolicyError),
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MaxAccuracyDrop { limit, relative: false } => {
                write!(f, "an accuracy drop of at most {limit}")
            }
            Self::MaxAccuracyDrop { limit, relative: true } => {
                write!(f, "a relative accuracy drop of at most {limit}")
            }
            Self::MaxMacs { limit } => write!(f, "a MACs fraction of at most {limit}"),
            Self::MaxLatency { limit_s } => {
                write!(f, "a mean latency of at most {}", self.figure(*limit_s))
            }
            Self::MaxEnergy { limit_j } => write!(f, "a mean energy of at most {}", self.figure(*limit_j)),
        }
    }
}

impl Constraint {
    /// A figure that is held against the limit, for people.
    fn figure(&self, value: f64) -> String {
        match self {
            Self::MaxAccuracyDrop { .. } | Self::MaxMacs { .. } => format!("{value:.4}"),
            Self::MaxLatency { .. } => format!("{:.3} ms", value * 1e3),
            Self::MaxEnergy { .. } => format!("{:.3} mJ", value * 1e3),
        }
    }
}

/// Every image's label.
pub(super) fn labels(recording: &Recording) -> Result<Vec<usize>, CalibrateError> {
    if recording.images() == 0 {
        return Err(CalibrateError::NoImages);
    }
    let labels = recording.labels().iter().enumerate();
    labels.map(|(image, label)| label.ok_or(CalibrateError::Unlabelled { image })).collect()
}

/// Where a policy leaves the images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// Images by the exit where they stop.
    pub counts: Vec<usize>,
    /// Images labelled rightly.
    pub right: usize,
}

impl Standing {
    /// Moves one image from exit to exit; `right` says whether its label was right there, and is here.
    pub(super) fn shift(&mut self, from: usize, to: usize, right: [bool; 2]) {
        self.counts[from] -= 1;
        self.counts[to] += 1;
        self.right = self.right + usize::from(right[1]) - usize::from(right[0]);
    }

    fn mean(&self, cost: &[f64]) -> f64 {
        let images: usize = self.counts.iter().sum();
        self.counts.iter().zip(cost).map(|(count, cost)| *count as f64 * cost).sum::<f64>() / images as f64
    }
}

/// Orders standings; the greater, the better.
pub(super) type Merit = (bool, f64, f64);

/// A constraint with the costs that it is judged by.
pub(super) struct Goal {
    /// Cost by exit: MACs over those of the final exit for an accuracy constraint, else what the budget limits.
    cost: Vec<f64>,
    kind: Kind,
}

enum Kind {
    /// At least so many images right, at the least cost.
    Accuracy { right: f64, final_right: f64, scale: f64 },
    /// At most so much mean cost, with the most images right.
    Budget { limit: f64 },
}

// A limit given as a decimal may miss the sum of fractions that it means by rounding.
const SLACK: f64 = 1e-9;

impl Goal {
    pub(super) fn new(
        replay: &Replay,
        labels: &[usize],
        demand: &Demand,
        costs: &Costs<'_>,
    ) -> Result<Self, CalibrateError> {
        let constraint = demand.constraint;
        let table = |what, table: &[f64]| match table.last() {
            Some(last)
                if *last > 0.0 && table.len() == replay.exits() && table.iter().all(|c| c.is_finite()) =>
            {
                Ok(table.to_vec())
            }
            _ => Err(CalibrateError::Costs { what, expected: replay.exits(), found: table.to_vec() }),
        };
        let measured = |what, given: Option<&[f64]>, key| match given {
            Some(given) => table(what, given),
            None => Err(NotMeasured::new(key, "no cost by exit was given").into()),
        };
        let macs: Vec<f64> = costs.macs.iter().map(|macs| *macs as f64).collect();
        let mut macs = table("MACs", &macs)?;
        let whole = macs.last().copied().unwrap_or(1.0);
        macs.iter_mut().for_each(|macs| *macs /= whole);
        let within = |limit: f64, fits: bool, expected| match fits && limit.is_finite() {
            true => Ok(limit),
            false => Err(CalibrateError::Limit { constraint, expected }),
        };
        let fraction = |limit| within(limit, (0.0..=1.0).contains(&limit), "in [0, 1]");
        let budget = |limit| within(limit, limit > 0.0, "above 0");
        let (cost, kind) = match constraint {
            Constraint::MaxAccuracyDrop { limit, relative } => {
                let last = replay.images().filter_map(|image| image.last());
                let final_right = last.zip(labels).filter(|(last, label)| last.label() == **label).count();
                let final_right = final_right as f64;
                let scale = if relative { final_right.max(1.0) } else { labels.len() as f64 };
                let right = final_right - fraction(limit)? * scale;
                (macs, Kind::Accuracy { right, final_right, scale })
            }
            Constraint::MaxMacs { limit } => (macs, Kind::Budget { limit: fraction(limit)? }),
            Constraint::MaxLatency { limit_s } => {
                let limit = budget(limit_s)?;
                (measured("latency", costs.latency_s, "latency_s")?, Kind::Budget { limit })
            }
            Constraint::MaxEnergy { limit_j } => {
                let limit = budget(limit_j)?;
                (measured("energy", costs.energy_j, "energy_j")?, Kind::Budget { limit })
            }
        };
        Ok(Self { cost, kind })
    }

    /// Whether the constraint is kept.
    pub(super) fn holds(&self, standing: &Standing) -> bool {
        match self.kind {
            Kind::Accuracy { right, .. } => standing.right as f64 >= right - SLACK,
            Kind::Budget { limit } => standing.mean(&self.cost) <= limit * (1.0 + SLACK),
        }
    }

    /// Standings that keep to the constraint come first, then those that come nearest to it.
    pub(super) fn merit(&self, standing: &Standing) -> Merit {
        let (holds, right, thrift) =
            (self.holds(standing), standing.right as f64, -standing.mean(&self.cost));
        match self.kind {
            Kind::Accuracy { .. } if holds => (true, thrift, right),
            Kind::Accuracy { .. } => (false, right, thrift),
            Kind::Budget { .. } if holds => (true, right, thrift),
            Kind::Budget { .. } => (false, thrift, right),
        }
    }

    /// Accuracy less cost at a price: `price` of accuracy buys the cost of one whole image.
    pub(super) fn bargain(&self, standing: &Standing, price: f64) -> Merit {
        let images: usize = standing.counts.iter().sum();
        let whole = self.cost.last().copied().unwrap_or(1.0);
        let accuracy = standing.right as f64 / images as f64;
        (true, accuracy - price * standing.mean(&self.cost) / whole, accuracy)
    }

    /// The figure that the constraint limits, in its unit.
    pub(super) fn figure(&self, standing: &Standing) -> f64 {
        match self.kind {
            Kind::Accuracy { final_right, scale, .. } => (final_right - standing.right as f64) / scale,
            Kind::Budget { .. } => standing.mean(&self.cost),
        }
    }
}
