//! The campaign from start to end.

use std::path::Path;

use offramp_models::Sha256;
use offramp_models::dataset::{self, DataError, DataRef, Dataset, OpenOptions};
use offramp_runtime::backend::Backend;
use offramp_runtime::backend::processor::Processor;
use offramp_runtime::meter::NotMeasured;
use offramp_runtime::policy::PolicyFile;
use offramp_runtime::report::BackendName;

use super::folder::{Folder, STUDY_VERSION, StudyFile};
use super::measure::Returns;
use super::plan::{Plan, Skipped};
use super::record::Ready;
use super::row::{Row, no_meter};
use super::work::Work;
use super::{CampaignError, Config, Network, ProbeError};
use crate::findings::{Findings, Provenance};
use crate::oracle::GraphOracle;

/// A campaign and where it runs.
pub struct Campaign<'a> {
    /// What is asked for.
    pub config: &'a Config,
    /// Its folder.
    pub dir: &'a Path,
    /// What runs the networks.
    pub backend: &'a dyn Backend,
    /// Threads inside one operator; `None` leaves it to the engine.
    pub threads: Option<usize>,
    /// Program and version.
    pub producer: &'a str,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Opening or splitting a network.
    Open,
    /// Choosing a network's policies.
    Policies,
    /// Crafting a set.
    Craft,
    /// Running a network on an input.
    Record,
    /// Making a row, latency included where it is measured.
    Row,
    /// Measuring exits and confirming predictions.
    Confirm,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// What is being done.
    pub phase: Phase,
    /// To what.
    pub unit: &'a str,
    /// Units done.
    pub done: usize,
    /// Units in all.
    pub of: usize,
    /// Steps done within the unit, and steps in all; `None` when the unit is done.
    pub step: Option<[usize; 2]>,
}

/// What came of a campaign.
#[derive(Debug)]
pub struct Finished {
    /// What it was made of.
    pub provenance: Provenance,
    /// All rows, in the order of the file.
    pub rows: Vec<Row>,
    /// What they tell.
    pub findings: Findings,
    /// What exits cost, and whether predictions held, by network.
    pub returns: Vec<Returns>,
    /// Methods that a network is too simple for.
    pub skipped: Vec<Skipped>,
}

/// A network's policies, by name, each with the digest of what determines it.
pub(super) type Policies = Vec<(String, Sha256, PolicyFile)>;

impl Campaign<'_> {
    /// Runs what of the campaign is not in its folder yet; `progress` says whether to go on.
    ///
    /// # Errors
    /// Any [`CampaignError`]; `Stopped` when `progress` said so. The folder can be gone on with after any of them.
    pub fn run(&self, progress: &mut dyn FnMut(Event<'_>) -> bool) -> Result<Finished, CampaignError> {
        let folder = Folder::open(self.dir)?;
        let names = self.config.networks.iter().map(|network| network.name.as_str());
        let begun = folder.begun_networks(names)?;
        let mut clock = Clock { progress, done: 0, of: self.config.networks.len() };
        let mut networks = Vec::with_capacity(self.config.networks.len());
        for (spec, begun) in self.config.networks.iter().zip(begun) {
            networks.push(Network::open(spec, &folder.networks(), begun, self.backend, self.threads)?);
            clock.unit(Phase::Open, &spec.name)?;
        }
        let data = self.data(&networks)?;
        let plan = Plan::new(self.config, &networks, data.digest, data.calibration_digest())?;
        let study = self.study(&plan, &networks, &data);
        folder.check(&study)?;
        if !folder.is_begun() {
            self.probe(&plan, &networks, &folder)?;
        }
        folder.write(&folder.study(), &study)?;
        let work = Work { campaign: self, folder: &folder, networks: &networks, data: &data, plan: &plan };
        clock.of = work.units();
        let policies = work.policies(&mut clock)?;
        work.craft(&policies, &mut clock)?;
        let rows = work.rows(&policies, &mut clock)?;
        work.finish(study.provenance, rows, &policies)
    }

    fn data(&self, networks: &[Network]) -> Result<Data, CampaignError> {
        let config = self.config;
        // Whose class names the folders of a data set are held against: any that has names.
        let named = networks.iter().find(|network| network.bundle.manifest().classes.names.is_some());
        let Some(first) = named.or(networks.first()) else {
            return Err(super::ConfigError::Missing { what: "a network" }.into());
        };
        let manifest = first.bundle.manifest();
        let crossed = config.transfer && !config.methods.is_empty();
        for (position, network) in networks.iter().enumerate() {
            first.agree(network, crossed)?;
            let identity = network.bundle.identity();
            let before = networks.iter().take(position);
            if let Some(same) = before.into_iter().find(|other| other.bundle.identity() == identity) {
                let (first, network) = (same.name.clone(), network.name.clone());
                return Err(CampaignError::Same { first, network, identity });
            }
        }
        let open = |spec: &super::DataSpec| {
            let options = OpenOptions { class_names: manifest.classes.names.as_deref(), limit: spec.limit };
            let data = dataset::open(&spec.images, &options)?;
            data.check_labels(manifest.classes.count)?;
            for network in networks {
                let (_, height, width) = network.bundle.manifest().input.chw();
                data.check_size(height, width)?;
            }
            let digest = data.digest()?;
            Ok::<_, CampaignError>((data, digest))
        };
        let (images, digest) = open(&config.data)?;
        let calibration = config.calibration.as_ref().map(open).transpose()?;
        let same = calibration.as_ref().is_some_and(|(_, calibration)| *calibration == digest)
            || config.calibration.as_ref().is_some_and(|spec| same_images(spec, &config.data));
        if same {
            return Err(CampaignError::CalibrationIsTest { data: config.data.images.to_string() });
        }
        Ok(Data { images, digest, calibration, class_names: manifest.classes.names.clone() })
    }

    fn study(&self, plan: &Plan, networks: &[Network], data: &Data) -> StudyFile {
        let backend = BackendName::from(&self.backend.describe());
        let mut elements = plan.elements(self.config, networks, data.digest, data.calibration_digest());
        elements.insert(
            "the backend".to_owned(),
            format!("{} {} {}", backend.name, backend.provider, backend.version),
        );
        let mut not_measured = vec![no_meter()];
        if self.config.latency.is_none() {
            not_measured.push(NotMeasured::new("latency", NO_LATENCY));
        }
        for (network, why) in
            networks.iter().filter_map(|network| Some((network, network.heads.as_ref().err()?)))
        {
            let what = format!("MACs of the internal classifiers of {} alone", network.name);
            not_measured.push(NotMeasured::new(&what, why));
        }
        let provenance = Provenance {
            producer: self.producer.to_owned(),
            machine: Processor::here().to_string(),
            backend,
            threads: self.threads,
            data: data.images.describe(),
            data_sha256: data.digest,
            seed: self.config.seed,
            networks: networks.iter().map(Network::bundle_name).collect(),
            not_measured,
        };
        StudyFile { schema_version: STUDY_VERSION, provenance, elements, skipped: plan.skipped.clone() }
    }

    /// Tries the first network before anything is stored: where this backend cannot, another may.
    fn probe(&self, plan: &Plan, networks: &[Network], folder: &Folder) -> Result<(), CampaignError> {
        for (position, network) in networks.iter().enumerate() {
            let failed = |source: ProbeError| CampaignError::Probe {
                network: network.name.clone(),
                source: Box::new(source),
            };
            let mut ready = Ready::new(network, self.backend, self.threads, folder);
            ready.try_pipeline().map_err(|source| failed(source.into()))?;
            if plan.sets.iter().any(|set| set.surrogate == position) {
                GraphOracle::open(&network.bundle, self.backend, self.threads)
                    .map_err(|source| failed(source.into()))?;
            }
        }
        Ok(())
    }
}

/// Why rows have no latency.
pub(super) const NO_LATENCY: &str = "the study asks for no latency";

/// Whether two references name the same images, however many of them.
fn same_images(a: &super::DataSpec, b: &super::DataSpec) -> bool {
    match (&a.images, &b.images) {
        (DataRef::Shapes { split: a, .. }, DataRef::Shapes { split: b, .. }) => a == b,
        (a, b) => a == b,
    }
}

/// Pictures of a campaign.
pub(super) struct Data {
    pub images: Box<dyn Dataset>,
    pub digest: Sha256,
    pub calibration: Option<(Box<dyn Dataset>, Sha256)>,
    class_names: Option<Vec<String>>,
}

impl Data {
    pub fn calibration_digest(&self) -> Option<Sha256> {
        self.calibration.as_ref().map(|(_, digest)| *digest)
    }

    /// Digest of the whole data set that the calibration images are the first of: nobody is to judge a policy on any of it.
    pub fn whole_calibration(&self, config: &Config) -> Result<Sha256, DataError> {
        let Some(spec) = &config.calibration else { return Ok(self.digest) };
        let whole = match &spec.images {
            DataRef::Shapes { split, .. } => DataRef::Shapes { split: *split, count: None },
            other => other.clone(),
        };
        let options = OpenOptions { class_names: self.class_names.as_deref(), limit: None };
        dataset::open(&whole, &options)?.digest()
    }
}

/// Counts units and asks whether to go on.
pub(super) struct Clock<'a> {
    progress: &'a mut dyn FnMut(Event<'_>) -> bool,
    done: usize,
    of: usize,
}

impl Clock<'_> {
    pub(super) fn unit(&mut self, phase: Phase, unit: &str) -> Result<(), CampaignError> {
        self.done += 1;
        let (done, of) = (self.done, self.of.max(self.done));
        let go_on = (self.progress)(Event { phase, unit, done, of, step: None });
        if go_on { Ok(()) } else { Err(CampaignError::Stopped) }
    }

    pub(super) fn step(&mut self, phase: Phase, unit: &str, step: [usize; 2]) -> bool {
        let (done, of) = (self.done, self.of);
        (self.progress)(Event { phase, unit, done, of, step: Some(step) })
    }
}
