//! What stops a campaign.

use std::io;
use std::path::PathBuf;

use offramp_exporter::ExportError;
use offramp_models::dataset::DataError;
use offramp_models::{BundleError, Sha256};
use offramp_runtime::backend::BackendError;
use offramp_runtime::bench::SubjectError;
use offramp_runtime::calibrate::CalibrateError;
use offramp_runtime::pass::PassError;
use offramp_runtime::policy::{PolicyError, PolicyFileError};
use offramp_runtime::prepare::PrepareError;
use offramp_runtime::recording::RecordingError;

use super::ConfigError;
use crate::adversarial::{CraftError, WriteError};
use crate::oracle::OpenError;

/// A campaign that came to no end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CampaignError {
    /// The file that describes it.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Pictures that cannot be read, or labels that no network has.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Thresholds would be chosen on images that judge them.
    #[error("the calibration images are images of {data}, which everything is judged on")]
    CalibrationIsTest {
        /// The data.
        data: String,
    },
    /// A network that cannot be split.
    #[error("network \"{network}\" cannot be split")]
    Split {
        /// The network.
        network: String,
        /// Why.
        source: Box<ExportError>,
    },
    /// A bundle that cannot be opened.
    #[error("network \"{network}\" cannot be opened")]
    Bundle {
        /// The network.
        network: String,
        /// Why.
        source: Box<BundleError>,
    },
    /// A name that the zoo does not have.
    #[error("the zoo that this program brings along has {known}, not \"{found}\"")]
    Zoo {
        /// What is there.
        known: &'static str,
        /// What was asked for.
        found: String,
    },
    /// Networks that do not tell the same classes apart.
    #[error("network \"{network}\" has {found} classes, \"{first}\" has {expected}")]
    Classes {
        /// The first network.
        first: String,
        /// Its classes.
        expected: usize,
        /// The other.
        network: String,
        /// Its classes.
        found: usize,
    },
    /// Networks that call a class by different names: labels would be right for one of them only.
    #[error("network \"{network}\" calls class {class} \"{found}\", \"{first}\" calls it \"{expected}\"")]
    ClassNames {
        /// The first network.
        first: String,
        /// Its name of the class.
        expected: String,
        /// The other.
        network: String,
        /// Its name of the class.
        found: String,
        /// The class.
        class: usize,
    },
    /// One network under two names: its rows would be those of both.
    #[error("networks \"{first}\" and \"{network}\" are the same: both are {identity}")]
    Same {
        /// The first name.
        first: String,
        /// The other.
        network: String,
        /// Their identity.
        identity: Sha256,
    },
    /// Networks that take pictures of different shapes, where sets crafted on one are tried on the other.
    #[error(
        "network \"{network}\" takes {found:?}, \"{first}\" takes {expected:?}: sets of one are not for the other"
    )]
    Shapes {
        /// The first network.
        first: String,
        /// Its channels, height and width.
        expected: (usize, usize, usize),
        /// The other.
        network: String,
        /// Its channels, height and width.
        found: (usize, usize, usize),
    },
    /// No backend runs the first network: another backend may.
    #[error("network \"{network}\" cannot be prepared")]
    Probe {
        /// The network.
        network: String,
        /// Why.
        source: Box<ProbeError>,
    },
    /// A network that this backend does not run.
    #[error("network \"{network}\" cannot be prepared")]
    Prepare {
        /// The network.
        network: String,
        /// Why.
        source: Box<PrepareError>,
    },
    /// A network that cannot be asked for gradients.
    #[error("network \"{network}\" gives no gradients")]
    Oracle {
        /// The network.
        network: String,
        /// Why.
        source: Box<OpenError>,
    },
    /// A set that cannot be crafted.
    #[error("{set} cannot be crafted on network \"{network}\"")]
    Craft {
        /// The network.
        network: String,
        /// The attack.
        set: String,
        /// Why.
        source: Box<CraftError>,
    },
    /// Images that a network cannot be run on.
    #[error("network \"{network}\" cannot be run on {input}")]
    Run {
        /// The network.
        network: String,
        /// Benign, corrupted or crafted.
        input: String,
        /// Why.
        source: Box<PassError>,
    },
    /// A recording that holds no answers.
    #[error("the recording of network \"{network}\" on {input} cannot be replayed")]
    Replay {
        /// The network.
        network: String,
        /// Benign, corrupted or crafted.
        input: String,
        /// Why.
        source: RecordingError,
    },
    /// A latency that cannot be measured.
    #[error("the latency of network \"{network}\" cannot be measured")]
    Latency {
        /// The network.
        network: String,
        /// Why.
        source: Box<SubjectError>,
    },
    /// Thresholds that cannot be chosen.
    #[error("policy \"{policy}\" cannot be calibrated for network \"{network}\"")]
    Calibrate {
        /// The network.
        network: String,
        /// The policy.
        policy: String,
        /// Why.
        source: CalibrateError,
    },
    /// A policy that does not fit a network.
    #[error("policy \"{policy}\" does not fit network \"{network}\"")]
    Policy {
        /// The network.
        network: String,
        /// The policy.
        policy: String,
        /// Why.
        source: PolicyError,
    },
    /// A policy file that cannot be kept.
    #[error(transparent)]
    PolicyFile(#[from] PolicyFileError),
    /// A set that cannot be kept.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The folder, or something in it.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Recordings that do not belong together.
    #[error(transparent)]
    Comparison(#[from] crate::metrics::ComparisonError),
    /// Findings that cannot be kept.
    #[error(transparent)]
    Findings(#[from] crate::report::StoredError),
    /// A figure that cannot be drawn.
    #[error(transparent)]
    Plot(#[from] crate::plot::PlotError),
    /// It was told to stop; the folder goes on from here.
    #[error("the study was stopped")]
    Stopped,
}

/// A backend that does not run a network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// Its segments.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// Its gradients.
    #[error(transparent)]
    Oracle(#[from] OpenError),
}

/// A campaign's folder that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// Something cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that this program did not write.
    #[error("{} is not what a study writes", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
    /// A line of the rows that is none, before the last: rows follow it.
    #[error("line {line} of {} is no row", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// Why not.
        source: serde_json::Error,
    },
    /// A recording that cannot be read.
    #[error("a recording cannot be read")]
    Recording(#[source] Box<DataError>),
    /// A recording whose arrays do not belong together.
    #[error("{} is no recording", path.display())]
    Arrays {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: RecordingError,
    },
    /// A recording of other images or another network.
    #[error("{} is of a recording key {found}, expected {expected}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What belongs there.
        expected: Sha256,
        /// What is there.
        found: String,
    },
    /// Something else lies there.
    #[error("{} is neither empty nor a study: it has no study.json", dir.display())]
    Foreign {
        /// The folder.
        dir: PathBuf,
    },
    /// A campaign is running there.
    #[error("{} is in use: a study is running there", dir.display())]
    Busy {
        /// The folder.
        dir: PathBuf,
    },
    /// Another program's study.
    #[error("{} is a study of schema version {found}, this build reads {expected}", dir.display())]
    Version {
        /// The folder.
        dir: PathBuf,
        /// What this build reads.
        expected: u32,
        /// What is there.
        found: u64,
    },
    /// Another study.
    #[error("{} is another study: {what} is {found} there, {expected} here", dir.display())]
    Other {
        /// The folder.
        dir: PathBuf,
        /// What differs.
        what: String,
        /// What this study has.
        expected: String,
        /// What the folder has.
        found: String,
    },
    /// A study that has more than this one.
    #[error("{} is another study: it has {what}, which this one leaves out", dir.display())]
    Removed {
        /// The folder.
        dir: PathBuf,
        /// What is missing.
        what: String,
    },
}

impl CampaignError {
    /// The backend's part in it before anything was stored, where another backend may do better.
    pub fn refused_by_backend(&self) -> Option<&BackendError> {
        match self {
            Self::Probe { source, .. } => match source.as_ref() {
                ProbeError::Prepare(PrepareError::Backend(error)) => Some(error),
                ProbeError::Prepare(_) => None,
                ProbeError::Oracle(error) => error.refused_by_backend(),
            },
            Self::Split { source, .. } => source.refused_by_backend(),
            _ => None,
        }
    }
}
