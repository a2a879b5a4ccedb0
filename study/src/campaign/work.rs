//! The units of a campaign, in their order: policies, sets, recordings and rows, confirmed predictions.

use offramp_models::Sha256;
use offramp_runtime::policy::{PolicyFile, PolicySpec};
use offramp_runtime::recording::Recording;
use offramp_runtime::replay::Replay;
use offramp_runtime::report::BackendName;
use serde_json::json;

use super::cell::Evidence;
use super::craft::{self, Material, SetFile};
use super::driver::{Campaign, Clock, Data, Phase, Policies};
use super::folder::Folder;
use super::measure::{self, Returns};
use super::plan::{Plan, PlannedInput, PlannedSet, Source};
use super::policy::ONLY;
use super::record::{self, Ready, images};
use super::row::Row;
use super::rows::Rows;
use super::{CampaignError, Network};
use crate::oracle::GraphOracle;

/// A campaign under way.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    pub campaign: &'a Campaign<'a>,
    pub folder: &'a Folder,
    pub networks: &'a [Network],
    pub data: &'a Data,
    pub plan: &'a Plan,
}

impl<'a> Work<'a> {
    /// Units in all.
    pub fn units(self) -> usize {
        let of = |(target, network): (usize, &Network)| {
            let policies = if network.exits() == 1 { 1 } else { self.campaign.config.policies.len() };
            self.inputs(target).count() * (1 + policies) + 2
        };
        let networks = self.networks.iter().enumerate();
        self.networks.len() + self.plan.sets.len() + networks.map(of).sum::<usize>()
    }

    pub fn inputs(self, target: usize) -> impl Iterator<Item = &'a PlannedInput> {
        self.plan.inputs_of(target, self.campaign.config.transfer)
    }

    fn ready(self, network: &'a Network) -> Ready<'a> {
        Ready::new(network, self.campaign.backend, self.campaign.threads, self.folder)
    }

    /// Every network's policies, calibrated where that is asked for.
    pub fn policies(self, clock: &mut Clock<'_>) -> Result<Vec<Policies>, CampaignError> {
        let tables = &self.campaign.config.policies;
        let mut all = Vec::with_capacity(self.networks.len());
        for network in self.networks {
            let mut policies = Policies::new();
            if network.exits() == 1 {
                let file = PolicyFile::by_hand(PolicySpec::fixed(0));
                policies.push((ONLY.to_owned(), Sha256::of_json(&json!(file.policy)), file));
            } else {
                let recording = match tables.iter().any(super::PolicyTable::is_calibrated) {
                    true => self.calibration(network, clock)?,
                    false => None,
                };
                for table in tables {
                    let file = table.resolve(&network.name, &network.macs(), recording.as_ref())?;
                    let calibration = self.data.calibration_digest().filter(|_| table.is_calibrated());
                    let key = Sha256::of_json(&json!({"policy": table, "calibration": calibration}));
                    file.write(&self.folder.policy(&network.name, &table.name))?;
                    policies.push((table.name.clone(), key, file));
                }
            }
            all.push(policies);
            clock.unit(Phase::Policies, &network.name)?;
        }
        Ok(all)
    }

    fn calibration(
        self,
        network: &'a Network,
        clock: &mut Clock<'_>,
    ) -> Result<Option<Recording>, CampaignError> {
        let Some((images, digest)) = &self.data.calibration else { return Ok(None) };
        let input = PlannedInput::of_images("the calibration images", "calibration", *digest);
        let (mut done, of) = (0, images.len());
        let mut step = || {
            done += 1;
            clock.step(Phase::Policies, &network.name, [done, of])
        };
        let whole = || self.data.whole_calibration(self.campaign.config);
        self.ready(network).recording(&input, images.as_ref(), &whole, self.folder, &mut step).map(Some)
    }

    /// Crafts the sets that are missing, one network at a time.
    pub fn craft(self, policies: &[Policies], clock: &mut Clock<'_>) -> Result<(), CampaignError> {
        for (surrogate, (network, policies)) in self.networks.iter().zip(policies).enumerate() {
            let mut oracle: Option<GraphOracle> = None;
            for set in self.plan.sets.iter().filter(|set| set.surrogate == surrogate) {
                if !self.folder.has_set(&set.name)? {
                    let oracle = match &mut oracle {
                        Some(oracle) => oracle,
                        empty => empty.insert(self.oracle(network)?),
                    };
                    let mut step = |progress: crate::adversarial::Progress| {
                        clock.step(Phase::Craft, &set.name, [progress.done, progress.of])
                    };
                    craft::craft(set, self.material(network, set, policies), oracle, self.folder, &mut step)?;
                }
                clock.unit(Phase::Craft, &set.name)?;
            }
        }
        Ok(())
    }

    fn oracle(self, network: &Network) -> Result<GraphOracle, CampaignError> {
        let Campaign { backend, threads, .. } = *self.campaign;
        GraphOracle::open(&network.bundle, backend, threads).map_err(|source| CampaignError::Oracle {
            network: network.name.clone(),
            source: Box::new(source),
        })
    }

    fn material(self, network: &'a Network, set: &PlannedSet, policies: &Policies) -> Material<'a> {
        let config = self.campaign.config;
        let known = config.policy_of(&set.spec).map(|table| table.name.as_str());
        let policy = policies.iter().find(|(name, ..)| Some(name.as_str()) == known).or(policies.first());
        Material {
            network,
            data: self.data.images.as_ref(),
            data_sha256: self.data.digest,
            policy: policy.map(|(.., file)| file.policy.clone()).unwrap_or_default(),
            batch: config.batch,
            producer: self.campaign.producer,
            backend: BackendName::from(&self.campaign.backend.describe()),
        }
    }

    /// Records what is not recorded and adds the rows that are missing, one network at a time.
    pub fn rows(self, policies: &[Policies], clock: &mut Clock<'_>) -> Result<Vec<Row>, CampaignError> {
        let mut rows = Rows::open(&self.folder.rows())?;
        for (target, (network, policies)) in self.networks.iter().zip(policies).enumerate() {
            let mut ready = self.ready(network);
            let benign = self.replay(&mut ready, &self.plan.benign, clock)?;
            for input in self.inputs(target) {
                let cells: Vec<_> =
                    policies.iter().map(|policy| self.cell(target, network, input, policy)).collect();
                let set = self.set(input)?;
                let replay = match &set {
                    Some(SetFile::Nothing { nothing }) => Err(nothing.clone()),
                    _ if input.source == Source::Benign => Ok(benign.clone()),
                    _ => Ok(self.replay(&mut ready, input, clock)?),
                };
                clock.unit(Phase::Record, &format!("{} on {}", network.name, input.label))?;
                let set = match &set {
                    Some(SetFile::Crafted(manifest)) => Some(manifest.as_ref()),
                    _ => None,
                };
                let evidence = Evidence { benign: &benign, input: &replay, set };
                for cell in cells {
                    if !rows.has(cell.key) {
                        rows.push(self.row(&cell, &mut ready, &evidence)?)?;
                    }
                    clock.unit(Phase::Row, &format!("{}, {}", cell.input.label, cell.policy.0))?;
                }
            }
            self.confirm(&mut ready, &benign, policies)?;
            clock.unit(Phase::Confirm, &network.name)?;
        }
        Ok(rows.into_all())
    }

    /// What `network` says of `input`.
    pub fn replay(
        self,
        ready: &mut Ready<'_>,
        input: &PlannedInput,
        clock: &mut Clock<'_>,
    ) -> Result<Replay, CampaignError> {
        let images = images(input, self.campaign.config, self.data.images.as_ref(), self.folder)?;
        let (mut done, of) = (0, images.len());
        let name = format!("{} on {}", ready.network.name, input.label);
        let mut step = || {
            done += 1;
            clock.step(Phase::Record, &name, [done, of])
        };
        let recording =
            ready.recording(input, images.as_ref(), &|| images.digest(), self.folder, &mut step)?;
        record::replay(ready.network, input, &recording)
    }

    /// The set's manifest, or why there is none; `None` for other inputs.
    pub fn set(self, input: &PlannedInput) -> Result<Option<SetFile>, CampaignError> {
        match input.source {
            Source::Set(_) => Ok(Some(self.folder.read(&self.folder.set_manifest(&input.name))?)),
            _ => Ok(None),
        }
    }

    /// Runs the first policies and measures every exit, unless that was done.
    fn confirm(
        self,
        ready: &mut Ready<'_>,
        benign: &Replay,
        policies: &Policies,
    ) -> Result<(), CampaignError> {
        let chosen = policies.get(..CONFIRMED.min(policies.len())).unwrap_or_default();
        let path = self.folder.measured(&ready.network.name);
        if path.is_file() {
            let done: Returns = self.folder.read(&path)?;
            let keys = done.confirmations.iter().map(|confirmation| confirmation.key);
            if keys.eq(chosen.iter().map(|(_, key, _)| *key)) {
                return Ok(());
            }
        }
        let (name, backend) =
            (ready.network.bundle_name(), BackendName::from(&self.campaign.backend.describe()));
        let data = self.data.images.as_ref();
        let returns = measure::returns(name, backend, ready.pipeline()?, data, benign, chosen)?;
        Ok(self.folder.write(&path, &returns)?)
    }
}

/// Policies of each network whose prediction is confirmed by running them.
const CONFIRMED: usize = 4;
