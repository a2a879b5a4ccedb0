//! What `run` and `bench` have in common: a bundle on a backend, a policy, and pictures.

use std::path::PathBuf;

use clap::Args;
use offramp_models::dataset::Dataset;
use offramp_models::{Bundle, BundleError};
use offramp_runtime::feed::Feed;
use offramp_runtime::meter::{Joules, NotMeasured};
use offramp_runtime::report::{Report, Subject, Tally};

use crate::backends::BackendFlags;
use crate::input::InputFlags;
use crate::meters::MeterFlags;
use crate::output;
use crate::policies::{Chosen, PolicyFlags};
pub use crate::prepared::Device;
use crate::prepared::PreparedBundle;

/// What to run, on what, and when to stop.
#[derive(Args)]
pub struct WorkloadFlags {
    /// The bundle, a folder that `split` wrote
    bundle: PathBuf,
    /// Where prepared segments are kept [default: BUNDLE/.prepared]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    #[command(flatten)]
    pub input: InputFlags,
    #[command(flatten)]
    policy: PolicyFlags,
    #[command(flatten)]
    pub backend: BackendFlags,
    #[command(flatten)]
    pub meter: MeterFlags,
}

/// A bundle, a policy and pictures, ready to run.
pub struct Workload {
    /// The bundle on its backend.
    pub prepared: PreparedBundle,
    /// When an image stops.
    pub chosen: Chosen,
    /// The pictures.
    pub data: Box<dyn Dataset>,
}

impl WorkloadFlags {
    /// The bundle, as far as its manifest tells.
    ///
    /// # Errors
    /// When it is none.
    pub fn bundle(&self) -> Result<Bundle, BundleError> {
        Bundle::open(&self.bundle)
    }

    /// Opens everything else, what is quickly refused first, and says on stderr what was taken.
    ///
    /// # Errors
    /// When policy, pictures or backend cannot be used, or do not fit each other.
    pub fn open(&self, bundle: Bundle, device: Device) -> anyhow::Result<Workload> {
        let chosen = self.policy.choose(&bundle)?;
        let data = self.input.open(bundle.manifest())?;
        let prepared = self.prepare(bundle, device)?;
        let feed = Feed::new(data.as_ref(), prepared.pipeline.input())?;
        output::note(format!("policy: {} ({})", chosen.file.policy, chosen.origin));
        output::note(format!("input: {}; the network takes {}", data.describe(), feed.describe()));
        chosen.warn_if_calibrated_on(&self.input.input, prepared.bundle.manifest());
        drop(feed);
        Ok(Workload { prepared, chosen, data })
    }

    /// The bundle alone.
    ///
    /// # Errors
    /// As [`PreparedBundle::open`].
    pub fn prepare(&self, bundle: Bundle, device: Device) -> anyhow::Result<PreparedBundle> {
        PreparedBundle::open(bundle, &self.backend, self.cache.as_deref(), device)
    }

    /// The same bundle on another backend.
    ///
    /// # Errors
    /// As [`PreparedBundle::open`].
    pub fn prepare_on(&self, workload: &Workload, flags: &BackendFlags) -> anyhow::Result<PreparedBundle> {
        PreparedBundle::open(
            workload.prepared.bundle.clone(),
            flags,
            self.cache.as_deref(),
            Device::default(),
        )
    }
}

impl Workload {
    /// What came out, in figures.
    pub fn report(&self, tally: Tally, energy: Result<Joules, NotMeasured>) -> Report {
        let macs = self.prepared.macs();
        let subject = Subject {
            bundle: self.prepared.bundle_name(),
            backend: self.prepared.backend_name(),
            policy: self.chosen.file.policy.clone(),
            macs: &macs,
        };
        tally.report(subject, energy)
    }
}
