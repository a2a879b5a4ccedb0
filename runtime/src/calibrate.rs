//! Thresholds for a demand, chosen by replaying a recording of calibration data, never of the data that will judge them.
//!
//! One threshold: every confidence that some image has at some exit is tried, which covers all that a threshold can do.
//! One per exit: see `calibrate/search.rs`.

mod demand;
mod ground;
mod search;

pub use demand::{CalibrateError, Costs, Demand, Family};

use crate::policy::{Calibration, PolicyFile, PolicySpec, Rule, SCHEMA_VERSION};
use crate::recording::Recording;
use crate::replay::{Replay, macs_fraction};
use demand::Goal;
use ground::Ground;

/// The policy of `demand.family` that best meets the demand on `recording`: the fewest MACs for a bounded loss of
/// accuracy, the best accuracy for a bounded cost. Same recording, same policy.
///
/// # Errors
/// `Infeasible` with the best that can be reached; `NotMeasured` for a budget without its cost table; `Costs`, `Limit`,
/// `NoImages`, `Unlabelled` and `Recording` for what cannot be calibrated on.
pub fn calibrate(
    recording: &Recording,
    demand: &Demand,
    costs: &Costs<'_>,
) -> Result<PolicyFile, CalibrateError> {
    let replay = Replay::new(recording)?;
    let labels = demand::labels(recording)?;
    let goal = Goal::new(&replay, &labels, demand, costs)?;
    let (rule, reached) = match demand.family {
        Family::Confidence { measure, per_exit } => {
            let ground = Ground::new(&replay, &labels, measure, demand.fallback);
            let mut found = search::one_threshold(&ground, &goal);
            if per_exit {
                found = search::one_per_exit(&ground, &goal, found);
            }
            (Rule::Confidence { measure, thresholds: found.thresholds }, found.standing)
        }
        Family::Patience => search::patience(&replay, &labels, &goal, demand.fallback)?,
    };
    if !goal.holds(&reached) {
        let best = goal.figure(&reached);
        return Err(CalibrateError::Infeasible { constraint: demand.constraint, best });
    }
    let calibration = Calibration {
        data_sha256: recording.data_sha256(),
        images: recording.images(),
        constraint: demand.constraint,
        accuracy: reached.right as f64 / recording.images() as f64,
        macs_fraction: macs_fraction(&reached.counts, costs.macs).unwrap_or(1.0),
    };
    let policy = PolicySpec { rule, fallback: demand.fallback };
    Ok(PolicyFile { schema_version: SCHEMA_VERSION, policy, calibration: Some(calibration) })
}
