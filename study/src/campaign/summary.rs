//! From rows and recordings to findings.

use offramp_models::Sha256;
use offramp_models::dataset::{self, DataRef, OpenOptions};
use offramp_runtime::confidence::Measure;
use offramp_runtime::policy::{Fallback, PolicyFile};
use offramp_runtime::replay::Replay;
use serde_json::json;

use super::craft::SetFile;
use super::driver::{Finished, Policies};
use super::measure::Returns;
use super::plan::{PlannedInput, PlannedSet, Source};
use super::row::Row;
use super::specimen::specimens;
use super::store;
use super::work::Work;
use super::{CampaignError, Network, sets};
use crate::adversarial::SetManifest;
use crate::findings::{Findings, Provenance, Specimen};
use crate::method::Kind;
use crate::metrics::confirmation::Confirmed;
use crate::metrics::early_attack::Setting;
use crate::metrics::latency::MeasuredLatency;
use crate::metrics::policies::PolicyReplay;
use crate::metrics::sweep::Family;
use crate::metrics::{self, Comparison, Costs, Pairing};
use crate::report::Stored;

/// Thresholds per measure that policy replay tries.
const REPLAYED: usize = 100;

/// A set that was crafted, on which network, and what it says of itself.
type Manifest<'a> = (&'a PlannedInput, &'a Network, SetManifest);

/// What one network said of everything.
struct Replayed<'a> {
    network: &'a Network,
    policies: &'a Policies,
    macs: Vec<u64>,
    returns: Returns,
    benign: Replay,
    inputs: Vec<(&'a PlannedInput, Replay)>,
}

impl<'a> Work<'a> {
    /// Reads everything back, computes findings and stores them.
    pub fn finish(
        self,
        provenance: Provenance,
        rows: Vec<Row>,
        policies: &[Policies],
    ) -> Result<Finished, CampaignError> {
        let mut replayed = Vec::with_capacity(self.networks.len());
        for (target, (network, policies)) in self.networks.iter().zip(policies).enumerate() {
            replayed.push(self.read_back(target, network, policies)?);
        }
        let manifests = self.manifests()?;
        let mut findings = self.findings(&replayed, &rows, &manifests)?;
        findings.tables.insert(0, sets::table(&manifests));
        findings.tables.retain(|table| !table.rows.is_empty());
        findings.specimens = self.specimens(&manifests)?;
        self.store(&provenance, &findings)?;
        let returns = replayed.into_iter().map(|replayed| replayed.returns).collect();
        Ok(Finished { provenance, rows, findings, returns, skipped: self.plan.skipped.clone() })
    }

    fn read_back(
        self,
        target: usize,
        network: &'a Network,
        policies: &'a Policies,
    ) -> Result<Replayed<'a>, CampaignError> {
        let returns = self.folder.read(&self.folder.measured(&network.name))?;
        let (mut benign, mut inputs) = (None, Vec::new());
        for input in self.inputs(target) {
            let Some(replay) = self.stored_replay(network, input)? else { continue };
            match input.source {
                Source::Benign => benign = Some(replay),
                _ => inputs.push((input, replay)),
            }
        }
        let missing = || super::FolderError::Read {
            path: self.folder.recording(&network.name, "benign"),
            source: std::io::ErrorKind::NotFound.into(),
        };
        let benign = benign.ok_or_else(missing)?;
        Ok(Replayed { network, policies, macs: network.macs(), returns, benign, inputs })
    }

    /// What the folder has of `network` on `input`; `None` where nothing was crafted.
    fn stored_replay(self, network: &Network, input: &PlannedInput) -> Result<Option<Replay>, CampaignError> {
        let key = Sha256::of_json(&json!({"network": network.bundle.identity(), "input": input.key}));
        let recording = store::read(&self.folder.recording(&network.name, &input.name), key)?;
        let replay = recording.map(|recording| {
            Replay::new(&recording).map_err(|source| CampaignError::Replay {
                network: network.name.clone(),
                input: input.label.clone(),
                source,
            })
        });
        replay.transpose()
    }

    fn findings(
        self,
        replayed: &[Replayed<'_>],
        rows: &[Row],
        manifests: &[Manifest<'_>],
    ) -> Result<Findings, CampaignError> {
        let names: Vec<Vec<String>> = replayed.iter().map(Replayed::names).collect();
        let (mut comparisons, mut early) = (Vec::new(), Vec::new());
        for (target, (of, names)) in replayed.iter().zip(&names).enumerate() {
            for ((input, replay), set) in of.inputs.iter().zip(names) {
                let planned = self.planned(input);
                let surrogate =
                    planned.and_then(|set| self.networks.get(set.surrogate)).unwrap_or(of.network);
                // Success is about labels, which no policy changes: the first comparison stands for all.
                if let Some(set) =
                    planned.filter(|set| set.surrogate == target && set.spec.method.kind == Kind::Early)
                {
                    let method = &set.spec.method;
                    let crafted = manifests.iter().find(|(of, ..)| of.name == input.name);
                    early.push((method.series(), method.early().loss.alpha, crafted, comparisons.len()));
                }
                for (policy_name, _, PolicyFile { policy, .. }) in of.policies {
                    comparisons.push(Comparison::new(Pairing {
                        network: &of.network.name,
                        set,
                        surrogate: &surrogate.name,
                        policy_name,
                        policy,
                        costs: Costs {
                            seconds: Some(&of.returns.exit_latency_s),
                            ..Costs::counted(&of.macs)
                        },
                        benign: &of.benign,
                        adversarial: replay,
                    })?);
                }
            }
        }
        let mut findings = metrics::findings(&comparisons, Measure::MaxSoftmax);
        let early: Vec<_> = early
            .iter()
            .filter_map(|(series, alpha, crafted, at)| {
                let crafted = crafted.map(|(.., manifest)| &manifest.summary);
                let comparison = comparisons.get(*at)?;
                Some(Setting { series, alpha: f64::from(*alpha), comparison, crafted })
            })
            .collect();
        let confirmed: Vec<_> = replayed.iter().flat_map(Replayed::confirmed).collect();
        let replays: Vec<_> =
            replayed.iter().filter(|of| of.benign.exits() > 1).map(Replayed::sweep).collect();
        let latencies: Vec<_> = rows.iter().filter_map(measured).collect();
        findings.tables.extend([
            metrics::early_attack::table(&early),
            metrics::latency::table(&latencies),
            metrics::latency::by_exit(&latencies),
            metrics::confirmation::table(&confirmed),
            metrics::policies::front_table(&replays),
            metrics::policies::table(&replays),
        ]);
        findings.figures.extend(metrics::early_attack::figures(&early));
        findings.figures.extend(metrics::policies::figures(&replays));
        Ok(findings)
    }

    fn planned(self, input: &PlannedInput) -> Option<&'a PlannedSet> {
        match input.source {
            Source::Set(set) => self.plan.sets.get(set),
            _ => None,
        }
    }

    /// Every set that was crafted.
    fn manifests(self) -> Result<Vec<Manifest<'a>>, CampaignError> {
        let mut manifests = Vec::new();
        for input in &self.plan.inputs {
            let surrogate = self.planned(input).and_then(|set| self.networks.get(set.surrogate));
            if let (Some(network), Some(SetFile::Crafted(manifest))) = (surrogate, self.set(input)?) {
                manifests.push((input, network, *manifest));
            }
        }
        Ok(manifests)
    }

    fn specimens(self, manifests: &[Manifest<'_>]) -> Result<Vec<Specimen>, CampaignError> {
        let mut all = Vec::new();
        let count = self.campaign.config.specimens;
        for (input, network, manifest) in manifests.iter().filter(|_| count > 0) {
            let stored = dataset::open(&DataRef::Npz(self.folder.set(&input.name)), &OpenOptions::default())?;
            let pictures = [self.data.images.as_ref(), stored.as_ref()];
            all.extend(specimens(&input.title(), manifest, network, pictures, count)?);
        }
        Ok(all)
    }

    fn store(self, provenance: &Provenance, findings: &Findings) -> Result<(), CampaignError> {
        self.folder.clear_findings()?;
        for table in &findings.tables {
            let at = |ending: &str| self.folder.tables().join(format!("{}.{ending}", table.name));
            self.folder.write_text(&at("csv"), &table.csv())?;
            self.folder.write(&at("json"), &table.json())?;
        }
        for figure in &findings.figures {
            let path = self.folder.figures().join(format!("{}.svg", figure.name));
            self.folder.write_text(&path, &crate::plot::svg(figure)?)?;
        }
        Ok(Stored::new(provenance.clone(), findings.clone()).write(self.folder.dir())?)
    }
}

impl Replayed<'_> {
    /// What the inputs are called, one name per input.
    fn names(&self) -> Vec<String> {
        self.inputs.iter().map(|(input, _)| input.title()).collect()
    }

    fn confirmed(&self) -> impl Iterator<Item = Confirmed> + '_ {
        self.returns.confirmations.iter().map(|point| Confirmed {
            network: self.network.name.clone(),
            images: "benign".to_owned(),
            policy: point.policy.clone(),
            predicted: point.predicted,
            run: point.run,
        })
    }

    fn sweep(&self) -> PolicyReplay {
        let names = [self.network.name.as_str(), "benign"];
        PolicyReplay::new(names, &self.benign, &self.macs, &Family::all(REPLAYED), Fallback::Final)
    }
}

fn measured(row: &Row) -> Option<MeasuredLatency<'_>> {
    let measured = row.measured.latency.as_ref()?;
    Some(MeasuredLatency { network: &row.target.name, policy_name: &row.policy.name, measured })
}
