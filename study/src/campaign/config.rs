//! What a campaign is asked for: a TOML file, its paths relative to its folder.

use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use offramp_models::dataset::{DataRef, DataRefError};
use offramp_models::regular;
use offramp_models::{Manifest, ManifestError};
use serde::Deserialize;

use super::policy::PolicyTable;
use super::sweep::{self, MethodSpec, SweepError};
use crate::corruption::{Constants, Corruption, Severity};

/// A campaign, as its file has it; lists in methods and thresholds are taken apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Seed of noise and of resampling.
    pub seed: u64,
    /// Seeds of attacks; those that draw nothing take the first only.
    pub seeds: Vec<u64>,
    /// Images that everything is judged on.
    pub data: DataSpec,
    /// Other images, which thresholds are chosen on.
    pub calibration: Option<DataSpec>,
    /// Networks, at least one, each under a name of its own.
    pub networks: Vec<NetworkSpec>,
    /// Attacks.
    pub methods: Vec<MethodSpec>,
    /// Corruptions.
    pub corruptions: Vec<CorruptionSpec>,
    /// Policies, at least one, each under a name of its own.
    pub policies: Vec<PolicyTable>,
    /// Whether a set crafted on one network is tried on the others.
    pub transfer: bool,
    /// Images at once while crafting.
    pub batch: NonZeroUsize,
    /// How latency is measured; `None` leaves it out.
    pub latency: Option<LatencySpec>,
    /// Pictures of each set that are kept for reports.
    pub specimens: usize,
}

/// Pictures, and how many of them.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSpec {
    /// Which.
    pub images: DataRef,
    /// The first so many; `None` takes all.
    pub limit: Option<usize>,
}

/// A network of a campaign.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkSpec {
    /// Its name in rows and files.
    pub name: String,
    /// Where it is from.
    pub source: NetworkSource,
}

/// Where a network is from.
#[derive(Clone, Debug, PartialEq)]
pub enum NetworkSource {
    /// A bundle.
    Bundle(PathBuf),
    /// A network that the program brings along, by its name in the zoo.
    Zoo(String),
    /// ONNX that is split into the campaign's folder.
    Model(ModelSpec),
}

/// A network that is split on the fly.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSpec {
    /// The ONNX file.
    pub path: PathBuf,
    /// One exit, no early ones.
    pub is_static: bool,
    /// Tensors that are exits; empty: every output.
    pub exits: Vec<String>,
    /// Per-channel mean, where the network does not normalise by itself.
    pub mean: Option<Vec<f32>>,
    /// Per-channel standard deviation.
    pub std: Option<Vec<f32>>,
    /// A file with one class name per line.
    pub classes: Option<PathBuf>,
}

/// One kind of corruption at some severities.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorruptionSpec {
    /// What is done.
    pub kind: Corruption,
    /// How much.
    #[serde(default = "all_severities")]
    pub severities: Vec<Severity>,
    /// Whose constants.
    #[serde(default)]
    pub constants: Constants,
}

/// How latency is measured: interleaved blocks, see [`offramp_runtime::bench`].
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatencySpec {
    /// Blocks.
    #[serde(default = "blocks")]
    pub blocks: NonZeroUsize,
    /// Runs of one input in a row.
    #[serde(default = "turn")]
    pub turn: NonZeroUsize,
    /// Measures transferred sets too.
    #[serde(default)]
    pub transfer: bool,
}

/// A file that describes no campaign.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no TOML, or has keys that nobody knows.
    #[error("it is not a study")]
    Form(#[source] Box<toml::de::Error>),
    /// A name that cannot be one.
    #[error("network \"{name}\"")]
    Name {
        /// The name.
        name: String,
        /// Why not.
        source: ManifestError,
    },
    /// The name of another already.
    #[error("two {what} are called \"{name}\"")]
    Twice {
        /// `networks`, `policies`, `policy files`, `corruptions` or `seeds`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Not exactly one place that a network is from.
    #[error("network \"{name}\" needs one of bundle, model or zoo, got {found}")]
    Source {
        /// The network.
        name: String,
        /// How many it has.
        found: usize,
    },
    /// A key that says how a model is split, beside something that is split already.
    #[error("network \"{name}\" is no model to be split: static, exits, mean, std and classes go with model")]
    Idle {
        /// The network.
        name: String,
    },
    /// Nothing where something is needed.
    #[error("a study needs {what}")]
    Missing {
        /// `a network`, `a policy`.
        what: &'static str,
    },
    /// A data reference that names nothing.
    #[error(transparent)]
    Data(#[from] DataRefError),
    /// A method that makes no attack.
    #[error(transparent)]
    Sweep(#[from] SweepError),
    /// A policy that is none.
    #[error("policy \"{name}\" needs {expected}")]
    Policy {
        /// The policy.
        name: String,
        /// What it needs.
        expected: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    seeds: Vec<u64>,
    data: DataForm,
    calibration: Option<DataForm>,
    #[serde(default)]
    networks: Vec<NetworkForm>,
    #[serde(default)]
    methods: Vec<toml::Table>,
    #[serde(default)]
    corruptions: Vec<CorruptionSpec>,
    #[serde(default)]
    policies: Vec<super::policy::PolicyForm>,
    #[serde(default = "yes")]
    transfer: bool,
    #[serde(default = "batch")]
    batch: NonZeroUsize,
    latency: Option<LatencySpec>,
    #[serde(default = "specimens")]
    specimens: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DataForm {
    images: String,
    limit: Option<NonZeroUsize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkForm {
    name: String,
    bundle: Option<PathBuf>,
    zoo: Option<String>,
    model: Option<PathBuf>,
    #[serde(default, rename = "static")]
    is_static: bool,
    #[serde(default)]
    exits: Vec<String>,
    mean: Option<Vec<f32>>,
    std: Option<Vec<f32>>,
    classes: Option<PathBuf>,
}

fn yes() -> bool {
    true
}

fn batch() -> NonZeroUsize {
    const { NonZeroUsize::new(64).unwrap() }
}

fn specimens() -> usize {
    2
}

fn blocks() -> NonZeroUsize {
    const { NonZeroUsize::new(20).unwrap() }
}

fn turn() -> NonZeroUsize {
    const { NonZeroUsize::new(10).unwrap() }
}

fn all_severities() -> Vec<Severity> {
    Severity::ALL.to_vec()
}

impl Config {
    /// Reads the campaign in `path`.
    ///
    /// # Errors
    /// `Read`, and as [`Config::from_toml`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = regular::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::from_toml(&text, path.parent().unwrap_or(Path::new("")))
    }

    /// The campaign in `text`, its relative paths taken from `folder`.
    ///
    /// # Errors
    /// Any other [`ConfigError`].
    pub fn from_toml(text: &str, folder: &Path) -> Result<Self, ConfigError> {
        let form: Form = toml::from_str(text).map_err(|error| ConfigError::Form(Box::new(error)))?;
        let networks = form.networks.into_iter().map(|network| network.spec(folder));
        let networks = networks.collect::<Result<Vec<_>, _>>()?;
        unique("networks", networks.iter().map(|network| network.name.clone()))?;
        let mut policies = Vec::new();
        for policy in form.policies {
            policies.extend(policy.tables()?);
        }
        unique("policies", policies.iter().map(|policy| super::policy::file_name(&policy.name)))?;
        let files = networks.iter().flat_map(|network| {
            policies.iter().map(|policy| super::policy::file_of(&network.name, &policy.name))
        });
        unique("policy files", files)?;
        let severities = |of: &CorruptionSpec| {
            of.severities.iter().map(|severity| of.label(*severity)).collect::<Vec<_>>()
        };
        unique("corruptions", form.corruptions.iter().flat_map(severities))?;
        unique("seeds", form.seeds.iter().map(u64::to_string))?;
        if networks.is_empty() {
            return Err(ConfigError::Missing { what: "a network" });
        }
        if policies.is_empty() {
            return Err(ConfigError::Missing { what: "a policy" });
        }
        let calibration = form.calibration.map(|data| data.spec(folder)).transpose()?;
        if calibration.is_none() && policies.iter().any(PolicyTable::is_calibrated) {
            return Err(ConfigError::Missing { what: "calibration images for a policy that is calibrated" });
        }
        let methods = sweep::methods(&form.methods)?;
        let named = |name: &String| policies.iter().any(|policy| policy.name == *name);
        if let Some(name) =
            methods.iter().filter_map(|method| method.policy.as_ref()).find(|name| !named(name))
        {
            let expected = "a table of its own under [[policies]]: a method knows it";
            return Err(ConfigError::Policy { name: name.clone(), expected });
        }
        Ok(Self {
            seed: form.seed,
            seeds: if form.seeds.is_empty() { vec![form.seed] } else { form.seeds },
            data: form.data.spec(folder)?,
            calibration,
            networks,
            methods,
            corruptions: form.corruptions,
            policies,
            transfer: form.transfer,
            batch: form.batch,
            latency: form.latency,
            specimens: form.specimens,
        })
    }
}

fn unique(what: &'static str, names: impl Iterator<Item = String>) -> Result<(), ConfigError> {
    let mut seen = std::collections::HashSet::new();
    for name in names {
        if seen.contains(&name) {
            return Err(ConfigError::Twice { what, name });
        }
        seen.insert(name);
    }
    Ok(())
}

impl DataForm {
    fn spec(self, folder: &Path) -> Result<DataSpec, ConfigError> {
        let images = match self.images.parse()? {
            DataRef::Npz(path) => DataRef::Npz(folder.join(path)),
            DataRef::Folder(path) => DataRef::Folder(folder.join(path)),
            DataRef::Cifar10 { dir, split } => DataRef::Cifar10 { dir: folder.join(dir), split },
            DataRef::Cifar100 { dir, split } => DataRef::Cifar100 { dir: folder.join(dir), split },
            DataRef::TinyImageNet { dir, split } => DataRef::TinyImageNet { dir: folder.join(dir), split },
            other => other,
        };
        Ok(DataSpec { images, limit: self.limit.map(NonZeroUsize::get) })
    }
}

impl NetworkForm {
    fn spec(self, folder: &Path) -> Result<NetworkSpec, ConfigError> {
        let Self { name, bundle, zoo, model, is_static, exits, mean, std, classes } = self;
        Manifest::check_name(&name).map_err(|source| ConfigError::Name { name: name.clone(), source })?;
        let found = [bundle.is_some(), zoo.is_some(), model.is_some()].into_iter().filter(|is| *is).count();
        let extra = is_static || !exits.is_empty() || mean.is_some() || std.is_some() || classes.is_some();
        let source = match (bundle, zoo, model) {
            (Some(path), None, None) => NetworkSource::Bundle(folder.join(path)),
            (None, Some(zoo), None) => NetworkSource::Zoo(zoo),
            (None, None, Some(path)) => {
                let (path, classes) = (folder.join(path), classes.map(|file| folder.join(file)));
                let model = ModelSpec { path, is_static, exits, mean, std, classes };
                return Ok(NetworkSpec { name, source: NetworkSource::Model(model) });
            }
            _ => return Err(ConfigError::Source { name, found }),
        };
        if extra {
            return Err(ConfigError::Idle { name });
        }
        Ok(NetworkSpec { name, source })
    }
}

impl Config {
    /// The policy that a method knows: the one it names, else the first.
    pub(super) fn policy_of(&self, spec: &MethodSpec) -> Option<&PolicyTable> {
        let named = |policy: &&PolicyTable| spec.policy.as_ref().is_none_or(|name| policy.name == *name);
        self.policies.iter().find(named)
    }
}
