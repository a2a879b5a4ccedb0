//! What a campaign does, in its order, every piece with the key of what determines it.

use std::collections::BTreeMap;

use offramp_models::Sha256;
use offramp_runtime::policy::PolicySpec;
use serde::Serialize;
use serde_json::json;

use super::config::CorruptionSpec;
use super::sweep::MethodSpec;
use super::{CampaignError, Config, Network};
use crate::adversarial::CraftError;
use crate::corruption::{Constants, Corruption, Severity};
use crate::method::{Method, MethodError};

/// All units of a campaign.
pub struct Plan {
    /// The images as they are.
    pub benign: PlannedInput,
    /// Sets to craft: network by network, method by method, seed by seed.
    pub sets: Vec<PlannedSet>,
    /// What else every network is run on: corrupted images, sets.
    pub inputs: Vec<PlannedInput>,
    /// Methods that a network is too simple for.
    pub skipped: Vec<Skipped>,
}

/// A set to craft.
pub struct PlannedSet {
    /// Position of the network that it is crafted on.
    pub surrogate: usize,
    /// The attack, with its seed.
    pub spec: MethodSpec,
    /// Name of its files.
    pub name: String,
    /// Digest of all that determines it.
    pub key: Sha256,
}

/// Images that networks are run on.
pub struct PlannedInput {
    /// Which.
    pub source: Source,
    /// For people.
    pub label: String,
    /// The seed, where something is drawn.
    pub seed: Option<u64>,
    /// Name of its files.
    pub name: String,
    /// Digest of all that determines it.
    pub key: Sha256,
}

/// Where images are from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Source {
    /// The data.
    Benign,
    /// The data, corrupted.
    Corrupted {
        /// Position in the configuration.
        spec: usize,
        /// How much.
        severity: Severity,
    },
    /// An adversarial set, by its position.
    Set(usize),
}

/// A method that is not applied to a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The network.
    pub network: String,
    /// The method.
    pub method: String,
    /// Why.
    pub why: String,
}

impl Plan {
    /// Plans `config` for `networks` on the data of this digest.
    ///
    /// # Errors
    /// `Craft` for a method that makes no attack on a network.
    pub fn new(
        config: &Config,
        networks: &[Network],
        data: Sha256,
        calibration: Option<Sha256>,
    ) -> Result<Self, CampaignError> {
        let benign = PlannedInput::of_images("benign", "benign", data);
        let mut plan = Self { benign, sets: Vec::new(), inputs: Vec::new(), skipped: Vec::new() };
        for (position, spec) in config.corruptions.iter().enumerate() {
            for severity in &spec.severities {
                for seed in seeds(config, spec.kind == Corruption::GaussianNoise) {
                    plan.inputs.push(spec.input(position, *severity, seed, data));
                }
            }
        }
        for (surrogate, network) in networks.iter().enumerate() {
            for spec in &config.methods {
                if let Some(why) = refusal(spec, network)? {
                    let (network, method) = (network.name.clone(), spec.label.clone());
                    plan.skipped.push(Skipped { network, method, why });
                    continue;
                }
                for seed in seeds(config, spec.draws()) {
                    plan.push_set(config, surrogate, network, spec, seed, [Some(data), calibration]);
                }
            }
        }
        Ok(plan)
    }

    fn push_set(
        &mut self,
        config: &Config,
        surrogate: usize,
        network: &Network,
        spec: &MethodSpec,
        seed: Option<u64>,
        [data, calibration]: [Option<Sha256>; 2],
    ) {
        let mut spec = spec.clone();
        spec.method.seed = seed.unwrap_or_default();
        let known = spec.knows_policy().then(|| (config.policy_of(&spec), calibration));
        let key = Sha256::of_json(&json!({
            "network": network.bundle.identity(), "method": spec.method, "labels": spec.labels, "policy": known, "data": data,
        }));
        let name = format!("{}.{}.{}", network.name, slug(&spec.label, seed), key.prefix(8));
        let label = format!("{} on {}", spec.label, network.name);
        let source = Source::Set(self.sets.len());
        self.inputs.push(PlannedInput { source, label, seed, name: name.clone(), key });
        self.sets.push(PlannedSet { surrogate, spec, name, key });
    }

    /// Inputs that `target` is run on, in order, benign images first.
    pub fn inputs_of(&self, target: usize, transfer: bool) -> impl Iterator<Item = &PlannedInput> {
        let all = std::iter::once(&self.benign).chain(&self.inputs);
        all.filter(move |input| self.runs(input, target, transfer))
    }

    /// Whether `target` is run on `input`.
    pub fn runs(&self, input: &PlannedInput, target: usize, transfer: bool) -> bool {
        match input.source {
            Source::Set(set) => transfer || self.sets.get(set).is_some_and(|set| set.surrogate == target),
            _ => true,
        }
    }

    /// Everything that a folder of this campaign must have or may get, by name, with what determines it.
    pub fn elements(
        &self,
        config: &Config,
        networks: &[Network],
        data: Sha256,
        calibration: Option<Sha256>,
    ) -> BTreeMap<String, String> {
        let mut elements = BTreeMap::new();
        let mut add = |name: String, value: String| elements.insert(name, value);
        add("the data".to_owned(), data.to_string());
        if let Some(calibration) = calibration {
            add("the calibration data".to_owned(), calibration.to_string());
        }
        if config.transfer {
            add("transfer".to_owned(), "asked for".to_owned());
        }
        for network in networks {
            add(format!("network \"{}\"", network.name), network.bundle.identity().to_string());
            if let Some(split) = network.split {
                add(format!("the way of splitting network \"{}\"", network.name), split.to_string());
            }
        }
        for input in &self.inputs {
            add(input.title(), input.key.to_string());
        }
        for policy in &config.policies {
            add(format!("policy \"{}\"", policy.name), Sha256::of_json(&json!(policy)).to_string());
        }
        elements
    }
}

impl PlannedInput {
    /// Images as they are, of this digest.
    pub fn of_images(label: &str, name: &str, data: Sha256) -> Self {
        let key = Sha256::of_json(&json!({"data": data}));
        Self { source: Source::Benign, label: label.to_owned(), seed: None, name: name.to_owned(), key }
    }

    /// Digest of what determines its recording by `network`.
    pub fn recorded_by(&self, network: &Network) -> Sha256 {
        Sha256::of_json(&json!({"network": network.bundle.identity(), "input": self.key}))
    }

    /// Its name in findings: no two share one.
    pub fn title(&self) -> String {
        self.seeded(&self.label)
    }

    /// `label` with the seed, where something is drawn.
    pub fn seeded(&self, label: &str) -> String {
        self.seed.map_or_else(|| label.to_owned(), |seed| format!("{label}, seed {seed}"))
    }
}

impl MethodSpec {
    /// The method and what it aims at, for grouping: what says how far it goes is left out.
    pub(super) fn family(&self) -> String {
        let Method { kind, norm, exits, mode, universal, .. } = &self.method;
        json!([kind, norm, exits, mode, universal, self.labels, self.policy]).to_string()
    }
}

/// Why `spec` is no attack on `network`, where that is the network's lack of exits.
fn refusal(spec: &MethodSpec, network: &Network) -> Result<Option<String>, CampaignError> {
    let exits = network.exits();
    match spec.method.prepare(exits, &PolicySpec::default()) {
        Ok(_) => Ok(None),
        Err(error @ (MethodError::NoEarlyExit { .. } | MethodError::Exit { .. })) if exits == 1 => {
            Ok(Some(error.to_string()))
        }
        Err(error) => Err(CampaignError::Craft {
            network: network.name.clone(),
            set: spec.label.clone(),
            source: Box::new(CraftError::Method(error)),
        }),
    }
}

impl CorruptionSpec {
    /// For people: no two corruptions of a study share one.
    pub(super) fn label(&self, severity: Severity) -> String {
        let whose = match self.constants {
            Constants::Cifar => "",
            Constants::TinyImagenet => " tiny-imagenet",
        };
        format!("{} severity {}{whose}", self.kind.name(), u8::from(severity))
    }

    fn input(&self, position: usize, severity: Severity, seed: Option<u64>, data: Sha256) -> PlannedInput {
        let level = u8::from(severity);
        let key = Sha256::of_json(&json!({
            "corruption": self.kind, "constants": self.constants, "severity": level, "seed": seed, "data": data,
        }));
        let label = self.label(severity);
        let name = format!("{}.{}", slug(&label, seed), key.prefix(8));
        PlannedInput { source: Source::Corrupted { spec: position, severity }, label, seed, name, key }
    }
}

/// The study's seeds for what draws, one pass for what does not.
fn seeds(config: &Config, draws: bool) -> Vec<Option<u64>> {
    if draws { config.seeds.iter().copied().map(Some).collect() } else { vec![None] }
}

/// A label and a seed as part of a file name.
fn slug(label: &str, seed: Option<u64>) -> String {
    let plain = label.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' });
    let plain: String = plain.take(96).collect();
    seed.map_or_else(|| plain.clone(), |seed| format!("{plain}.s{seed}"))
}
