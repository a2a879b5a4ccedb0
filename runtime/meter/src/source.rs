//! Where meters are found: on-board sensors, processor counters, graphics processors.

mod board;
mod hwmon;
mod ina;
mod inventory;
mod nvml;
mod rapl;
pub(crate) mod tree;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Serialize;

use crate::probe::Probe;
use crate::{Description, MeterError};

pub use inventory::inventory;

/// The machine that is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The folder that stands for `/sys`.
    pub sys: PathBuf,
    /// The file that tells a Jetson's power mode.
    pub power_mode: Option<PathBuf>,
    /// NVIDIA's management library, a name or a path.
    pub nvml: Option<PathBuf>,
}

impl Host {
    /// This machine.
    pub fn here() -> Self {
        Self {
            sys: "/sys".into(),
            power_mode: Some("/var/lib/nvpmodel/status".into()),
            nvml: Some("libnvidia-ml.so.1".into()),
        }
    }

    /// The machine whose `/sys` was copied to `root`: nothing outside that folder is looked at.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { sys: root.into(), power_mode: None, nvml: None }
    }
}

/// A kind of source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Texas Instruments' shunt monitors, as on Jetson boards.
    Ina,
    /// Any power or energy file of the kernel's hardware monitoring.
    Hwmon,
    /// Running average power limit: the processor's own counters.
    Rapl,
    /// NVIDIA's management library.
    Nvml,
}

impl Kind {
    /// All kinds, in the order in which `auto` prefers them when they tell a total.
    pub const ALL: [Self; 4] = [Self::Ina, Self::Hwmon, Self::Nvml, Self::Rapl];

    /// Its name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ina => "ina",
            Self::Hwmon => "hwmon",
            Self::Rapl => "rapl",
            Self::Nvml => "nvml",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no kind of source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no meter {name:?}: expected ina, hwmon, rapl or nvml")]
pub struct UnknownKind {
    name: String,
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| UnknownKind { name: name.to_owned() })
    }
}

/// A source that is there, with its files open.
pub struct Found {
    /// What it covers.
    pub description: Description,
    /// What gives the numbers.
    pub probe: Box<dyn Probe>,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found").field("description", &self.description).finish_non_exhaustive()
    }
}

/// Looks for one kind of source and opens it.
///
/// # Errors
/// [`MeterError::NotMeasured`] when there is none, [`MeterError::NoRight`] when it may not be read,
/// [`MeterError::Source`] when it cannot be.
pub fn find(host: &Host, kind: Kind) -> Result<Found, MeterError> {
    match kind {
        Kind::Ina => ina::find(&host.sys),
        Kind::Hwmon => hwmon::find(&host.sys),
        Kind::Rapl => rapl::find(&host.sys),
        Kind::Nvml => nvml::find(host.nvml.as_deref()),
    }
}

/// Looks for every kind of source.
pub fn list(host: &Host) -> Vec<(Kind, Result<Found, MeterError>)> {
    Kind::ALL.into_iter().map(|kind| (kind, find(host, kind))).collect()
}

/// The source that `auto` takes, and why it did not take the others.
#[derive(Debug)]
pub struct Choice {
    /// Its kind.
    pub kind: Kind,
    /// It.
    pub found: Found,
    /// What was passed over.
    pub passed_over: Vec<PassedOver>,
}

/// A source that was not taken.
#[derive(Debug)]
pub struct PassedOver {
    /// Its kind.
    pub kind: Kind,
    /// Why not.
    pub why: Reason,
}

/// Why a source was not taken.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reason {
    /// It gives nothing.
    Unusable(MeterError),
    /// It tells no total, and the one that was taken does.
    NoTotal,
    /// It would do, and covers something else than the one that was taken.
    CoversOther {
        /// What it covers.
        domain: String,
    },
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.kind)?;
        match &self.why {
            Reason::Unusable(MeterError::NotMeasured(reason)) => f.write_str(&reason.why),
            Reason::Unusable(error) => match error.remedy() {
                Some(remedy) => write!(f, "{error}; {remedy}"),
                None => write!(f, "{error}"),
            },
            Reason::NoTotal => f.write_str("it has rails and no rule for their total"),
            Reason::CoversOther { domain } => write!(f, "it covers {domain}; choose it by name to use it"),
        }
    }
}

/// Picks the best source: the first of [`Kind::ALL`] with a total, else the first with rails.
///
/// # Errors
/// What was found of every kind, when none can be used.
pub fn choose(host: &Host) -> Result<Choice, Vec<PassedOver>> {
    let mut found = Vec::new();
    let mut passed_over = Vec::new();
    for (kind, outcome) in list(host) {
        match outcome {
            Ok(source) => found.push((kind, source)),
            Err(error) => passed_over.push(PassedOver { kind, why: Reason::Unusable(error) }),
        }
    }
    let best = found.iter().position(|(_, source)| source.description.total.is_ok()).unwrap_or(0);
    if found.is_empty() {
        return Err(passed_over);
    }
    let (kind, taken) = found.remove(best);
    passed_over.extend(found.into_iter().map(|(kind, source)| {
        let why = match source.description.total {
            Ok(rule) => Reason::CoversOther { domain: rule.domain },
            Err(_) => Reason::NoTotal,
        };
        PassedOver { kind, why }
    }));
    Ok(Choice { kind, found: taken, passed_over })
}

/// An error of opening `path`, with the remedy where a right is missing.
fn unreadable(path: &Path, source: std::io::Error) -> MeterError {
    if source.kind() == std::io::ErrorKind::PermissionDenied {
        let remedy = format!("sudo chmod a+r {}", path.display());
        return MeterError::NoRight { path: path.to_owned(), remedy, source };
    }
    MeterError::Source { origin: path.display().to_string(), source }
}
