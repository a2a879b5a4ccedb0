//! From rows and recordings to findings: one input after the other, so that the recordings of no more than one are held.

use offramp_models::dataset::{self, DataRef, OpenOptions};
use offramp_runtime::confidence::Measure;
use offramp_runtime::policy::{Fallback, PolicyFile};
use offramp_runtime::replay::Replay;

use super::craft::SetFile;
use super::driver::{Finished, Policies};
use super::measure::Returns;
use super::plan::{PlannedInput, PlannedSet, Source};
use super::record;
use super::row::Row;
use super::specimen::specimens;
use super::store;
use super::work::Work;
use super::{CampaignError, Network, sets};
use crate::findings::{Findings, Provenance, Specimen, Table, Topic};
use crate::method::Kind;
use crate::metrics::confirmation::Confirmed;
use crate::metrics::early_attack::Tuning;
use crate::metrics::latency::MeasuredLatency;
use crate::metrics::policies::PolicyReplay;
use crate::metrics::sweep::Family;
use crate::metrics::{Comparison, Costs, Inquiry, Origin, Pairing, Runs};
use crate::report::Stored;

/// Thresholds per measure that policy replay tries.
const REPLAYED: usize = 100;

/// A network and what it said of the images as they were.
struct Target<'a> {
    network: &'a Network,
    policies: &'a Policies,
    macs: Vec<u64>,
    returns: Returns,
    benign: Replay,
}

impl<'a> Work<'a> {
    /// Reads everything back, computes findings and stores them.
    pub fn finish(
        self,
        provenance: Provenance,
        rows: Vec<Row>,
        policies: &[Policies],
    ) -> Result<Finished, CampaignError> {
        let mut targets = Vec::with_capacity(self.networks.len());
        for (network, policies) in self.networks.iter().zip(policies) {
            targets.push(self.target(network, policies)?);
        }
        let names = self.networks.iter().map(|network| network.name.clone()).collect();
        let mut inquiry = Inquiry::new(names, Measure::MaxSoftmax);
        for input in &self.plan.inputs {
            self.ask(&mut inquiry, input, &targets)?;
        }
        let confirmed: Vec<_> = targets.iter().flat_map(Target::confirmed).collect();
        let replays: Vec<_> = targets.iter().filter(|of| of.benign.exits() > 1).map(Target::sweep).collect();
        let latencies: Vec<_> = rows.iter().filter_map(measured).collect();
        let runs = Runs { latencies: &latencies, confirmed: &confirmed, replays: &replays };
        let mut findings = inquiry.finish(runs);
        let (table, specimens) = self.sets()?;
        let none = [Vec::new(), Vec::new()];
        let sets = Topic::new("Adversarial sets", none, vec![table]);
        findings.topics.splice(..0, Some(sets).filter(|sets| !sets.is_empty()));
        findings.specimens = specimens;
        self.store(&provenance, &findings)?;
        let returns = targets.into_iter().map(|target| target.returns).collect();
        Ok(Finished { provenance, rows, findings, returns, skipped: self.plan.skipped.clone() })
    }

    fn target(self, network: &'a Network, policies: &'a Policies) -> Result<Target<'a>, CampaignError> {
        let returns = self.folder.read(&self.folder.measured(&network.name))?;
        let missing = || super::FolderError::Read {
            path: self.folder.recording(&network.name, "benign"),
            source: std::io::ErrorKind::NotFound.into(),
        };
        let benign = self.stored_replay(network, &self.plan.benign)?.ok_or_else(missing)?;
        Ok(Target { network, policies, macs: network.macs(), returns, benign })
    }

    /// What the folder has of `network` on `input`; `None` where nothing was crafted.
    fn stored_replay(self, network: &Network, input: &PlannedInput) -> Result<Option<Replay>, CampaignError> {
        let path = self.folder.recording(&network.name, &input.name);
        let recording = store::read(&path, input.recorded_by(network))?;
        recording.map(|recording| record::replay(network, input, &recording)).transpose()
    }

    /// Asks all questions of `input`, of every network that ran it under all its policies.
    fn ask(
        self,
        inquiry: &mut Inquiry,
        input: &PlannedInput,
        targets: &[Target<'_>],
    ) -> Result<(), CampaignError> {
        let planned = self.planned(input);
        let title = input.title();
        let (family, label) = match planned {
            Some(set) => (set.spec.family(), input.seeded(&set.spec.label)),
            None => (self.corruption(input), title.clone()),
        };
        let origin = Origin { crafted: planned.is_some(), family: &family, label: &label };
        let mut recorded = Vec::with_capacity(targets.len());
        for (position, target) in targets.iter().enumerate() {
            if self.plan.runs(input, position, self.campaign.config.transfer)
                && let Some(replay) = self.stored_replay(target.network, input)?
            {
                recorded.push((target, replay));
            }
        }
        let mut comparisons = Vec::new();
        for (target, replay) in &recorded {
            let surrogate =
                planned.and_then(|set| self.networks.get(set.surrogate)).unwrap_or(target.network);
            for (policy_name, _, PolicyFile { policy, .. }) in target.policies {
                comparisons.push(Comparison::new(Pairing {
                    network: &target.network.name,
                    set: &title,
                    surrogate: &surrogate.name,
                    origin,
                    policy_name,
                    policy,
                    costs: Costs {
                        head_macs: target.network.heads.as_deref().ok(),
                        seconds: Some(&target.returns.exit_latency_s),
                        ..Costs::counted(&target.macs)
                    },
                    benign: &target.benign,
                    adversarial: replay,
                })?);
            }
        }
        let early = planned.map(|set| &set.spec.method).filter(|method| method.kind == Kind::Early);
        let Some(method) = early else {
            inquiry.add(&comparisons, None);
            return Ok(());
        };
        let crafted = match self.set(input)? {
            Some(SetFile::Crafted(manifest)) => Some(manifest.summary),
            _ => None,
        };
        let (series, alpha) = (method.series(), f64::from(method.early().loss.alpha));
        inquiry.add(&comparisons, Some(Tuning { series: &series, alpha, crafted: crafted.as_ref() }));
        Ok(())
    }

    fn planned(self, input: &PlannedInput) -> Option<&'a PlannedSet> {
        match input.source {
            Source::Set(set) => self.plan.sets.get(set),
            _ => None,
        }
    }

    /// The kind of a corrupted input.
    fn corruption(self, input: &PlannedInput) -> String {
        let spec = match input.source {
            Source::Corrupted { spec, .. } => self.campaign.config.corruptions.get(spec),
            _ => None,
        };
        spec.map_or(&*input.label, |spec| spec.kind.name()).to_owned()
    }

    /// The table of all sets that were crafted, and pictures of each.
    fn sets(self) -> Result<(Table, Vec<Specimen>), CampaignError> {
        let (mut rows, mut pictures) = (Vec::new(), Vec::new());
        let count = self.campaign.config.specimens;
        for input in &self.plan.inputs {
            let surrogate = self.planned(input).and_then(|set| self.networks.get(set.surrogate));
            let (Some(network), Some(SetFile::Crafted(manifest))) = (surrogate, self.set(input)?) else {
                continue;
            };
            rows.push(sets::row(&input.title(), &network.name, &manifest));
            if count > 0 {
                let set = DataRef::Npz(self.folder.set(&input.name));
                let stored = dataset::open(&set, &OpenOptions::default())?;
                let both = [self.data.images.as_ref(), stored.as_ref()];
                pictures.extend(specimens(&input.title(), &manifest, network, both, count)?);
            }
        }
        Ok((sets::table(rows), pictures))
    }

    fn store(self, provenance: &Provenance, findings: &Findings) -> Result<(), CampaignError> {
        self.folder.clear_findings()?;
        for table in findings.tables() {
            let at = |ending: &str| self.folder.tables().join(format!("{}.{ending}", table.name));
            self.folder.write_text(&at("csv"), &table.csv())?;
            self.folder.write(&at("json"), &table.json())?;
        }
        for figure in findings.figures() {
            let path = self.folder.figures().join(format!("{}.svg", figure.name));
            self.folder.write_text(&path, &crate::plot::svg(figure)?)?;
        }
        Ok(Stored::new(provenance.clone(), findings.clone()).write(self.folder.dir())?)
    }
}

impl Target<'_> {
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
