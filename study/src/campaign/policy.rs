//! Policies of a campaign: given, or calibrated for every network.

use offramp_runtime::calibrate::{Costs, Demand, Family, calibrate};
use offramp_runtime::confidence::{Measure, Threshold};
use offramp_runtime::policy::{Constraint, Fallback, PolicyFile, PolicySpec, Rule};
use offramp_runtime::recording::Recording;
use serde::{Deserialize, Serialize};

use super::{CampaignError, ConfigError};

/// A policy under its name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PolicyTable {
    /// Its name in rows and files.
    pub name: String,
    /// When images stop.
    pub choice: PolicyChoice,
}

/// How a policy comes about.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum PolicyChoice {
    /// As it is.
    Given(PolicySpec),
    /// Chosen for every network on the calibration images.
    Calibrated {
        /// What must hold.
        constraint: Constraint,
        /// How confidence is read.
        measure: Measure,
        /// One threshold per exit instead of one for all.
        per_exit: bool,
        /// Whose label is returned when nothing is confident.
        fallback: Fallback,
    },
}

/// A policy as its table has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyForm {
    name: Option<String>,
    #[serde(default)]
    measure: Measure,
    threshold: Option<OneOrMany>,
    thresholds: Option<Vec<Threshold>>,
    patience: Option<usize>,
    exit: Option<usize>,
    max_accuracy_drop: Option<f64>,
    #[serde(default)]
    relative: bool,
    max_macs: Option<f64>,
    #[serde(default)]
    per_exit: bool,
    #[serde(default)]
    fallback: Fallback,
}

/// Taken apart by hand: serde's untagged enums do not say what is wrong with a value.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "toml::Value")]
enum OneOrMany {
    One(Threshold),
    Many(Vec<Threshold>),
}

impl TryFrom<toml::Value> for OneOrMany {
    type Error = toml::de::Error;

    fn try_from(value: toml::Value) -> Result<Self, Self::Error> {
        if value.is_array() { value.try_into().map(Self::Many) } else { value.try_into().map(Self::One) }
    }
}

const RULES: &str = "one of threshold, thresholds, patience, exit, max_accuracy_drop or max_macs";

impl PolicyForm {
    /// The policies that the table stands for, one per threshold where several are listed.
    pub fn tables(self) -> Result<Vec<PolicyTable>, ConfigError> {
        let Self { name, measure, fallback, .. } = self;
        let given = [
            self.threshold.is_some(),
            self.thresholds.is_some(),
            self.patience.is_some(),
            self.exit.is_some(),
            self.max_accuracy_drop.is_some(),
            self.max_macs.is_some(),
        ];
        let refused = |expected| ConfigError::Policy { name: name.clone().unwrap_or_default(), expected };
        if name.as_ref().is_some_and(|name| name.trim().is_empty()) {
            return Err(refused("a name, or none for that of its rule"));
        }
        if matches!(&self.threshold, Some(OneOrMany::Many(many)) if many.is_empty()) {
            return Err(refused("a threshold at least"));
        }
        if given.into_iter().filter(|given| *given).count() != 1 {
            return Err(refused(RULES));
        }
        if self.relative && self.max_accuracy_drop.is_none() {
            return Err(refused("max_accuracy_drop where it is relative"));
        }
        let constraint = match (self.max_accuracy_drop, self.max_macs) {
            (Some(limit), _) => Some(Constraint::MaxAccuracyDrop { limit, relative: self.relative }),
            (None, limit) => limit.map(|limit| Constraint::MaxMacs { limit }),
        };
        if let Some(constraint) = constraint {
            let name = name.clone().unwrap_or_else(|| default_name(constraint));
            let choice = PolicyChoice::Calibrated { constraint, measure, per_exit: self.per_exit, fallback };
            return Ok(vec![PolicyTable { name, choice }]);
        }
        if self.per_exit {
            return Err(refused("max_accuracy_drop or max_macs where thresholds are chosen per exit"));
        }
        let (rules, many) = match (self.threshold, self.thresholds, self.patience, self.exit) {
            (Some(OneOrMany::One(one)), ..) => {
                (vec![Rule::Confidence { measure, thresholds: vec![one] }], false)
            }
            (Some(OneOrMany::Many(many)), ..) => {
                let rule = |one| Rule::Confidence { measure, thresholds: vec![one] };
                (many.into_iter().map(rule).collect(), true)
            }
            (_, Some(thresholds), ..) => (vec![Rule::Confidence { measure, thresholds }], false),
            (.., Some(patience), _) => (vec![Rule::Patience { patience }], false),
            (.., Some(exit)) => (vec![Rule::Fixed { exit }], false),
            _ => return Err(refused(RULES)),
        };
        let table = |rule: Rule| {
            let spec = PolicySpec { rule, fallback };
            let own = match &name {
                Some(name) if !many => name.clone(),
                Some(name) => format!("{name} {}", short(&spec)),
                None => short(&spec),
            };
            PolicyTable { name: own, choice: PolicyChoice::Given(spec) }
        };
        Ok(rules.into_iter().map(table).collect())
    }
}

/// The rule in few words, for a name.
fn short(spec: &PolicySpec) -> String {
    let rule = match &spec.rule {
        Rule::Confidence { measure, thresholds } => {
            let thresholds: Vec<_> = thresholds.iter().map(ToString::to_string).collect();
            format!("{} {}", measure.name(), thresholds.join(" "))
        }
        Rule::Patience { patience } => format!("patience {patience}"),
        Rule::Fixed { exit } => format!("exit {exit}"),
        _ => spec.to_string(),
    };
    match spec.fallback {
        Fallback::Final => rule,
        Fallback::MostConfident => format!("{rule} most-confident"),
    }
}

fn default_name(constraint: Constraint) -> String {
    match constraint {
        Constraint::MaxAccuracyDrop { limit, relative: false } => format!("drop {limit}"),
        Constraint::MaxAccuracyDrop { limit, relative: true } => format!("relative drop {limit}"),
        other => other.to_string(),
    }
}

/// A policy's name as part of a file name.
pub(super) fn file_name(policy: &str) -> String {
    policy.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect()
}

/// The file of a network's policy.
pub(super) fn file_of(network: &str, policy: &str) -> String {
    format!("{network}.{}.json", file_name(policy))
}

/// The policy of every network with one exit.
pub(super) const ONLY: &str = "final";

impl PolicyTable {
    /// Whether it is chosen on calibration images.
    pub fn is_calibrated(&self) -> bool {
        matches!(self.choice, PolicyChoice::Calibrated { .. })
    }

    /// The policy for one network, `recording` its logits on the calibration images.
    pub(super) fn resolve(
        &self,
        network: &str,
        macs: &[u64],
        recording: Option<&Recording>,
    ) -> Result<PolicyFile, CampaignError> {
        let failed = |source| CampaignError::Calibrate {
            network: network.to_owned(),
            policy: self.name.clone(),
            source,
        };
        let file = match (&self.choice, recording) {
            (PolicyChoice::Calibrated { constraint, measure, per_exit, fallback }, Some(recording)) => {
                let family = Family::Confidence { measure: *measure, per_exit: *per_exit };
                let demand = Demand { constraint: *constraint, family, fallback: *fallback };
                calibrate(recording, &demand, &Costs { macs, latency_s: None, energy_j: None })
                    .map_err(failed)?
            }
            (PolicyChoice::Given(spec), _) => PolicyFile::by_hand(spec.clone()),
            (PolicyChoice::Calibrated { .. }, None) => {
                return Err(failed(offramp_runtime::calibrate::CalibrateError::NoImages));
            }
        };
        file.policy.fit(macs.len()).map_err(|source| CampaignError::Policy {
            network: network.to_owned(),
            policy: self.name.clone(),
            source,
        })?;
        Ok(file)
    }
}
