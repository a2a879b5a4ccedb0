//! One row: figures from recordings, and what is measured beside them.

use offramp_models::Sha256;
use offramp_models::dataset::Dataset;
use offramp_runtime::policy::{Policy, PolicyFile};
use offramp_runtime::replay::Replay;
use serde_json::json;

use super::driver::NO_LATENCY;
use super::figures::figures;
use super::plan::{PlannedInput, Source};
use super::record::{Ready, images};
use super::row::{InputKind, Measured, Row, RowInput, RowPolicy};
use super::work::Work;
use super::{CampaignError, Network, measure};
use crate::adversarial::SetManifest;

/// One row to be.
pub(super) struct Cell<'c> {
    pub target: usize,
    pub network: &'c Network,
    pub input: &'c PlannedInput,
    pub policy: &'c (String, Sha256, PolicyFile),
    pub key: Sha256,
}

/// A row's recordings, and the set where there is one.
pub(super) struct Evidence<'e> {
    pub benign: &'e Replay,
    /// The recording, or why there is none.
    pub input: &'e Result<Replay, String>,
    pub set: Option<&'e SetManifest>,
}

impl Work<'_> {
    /// The row of `network`, at position `target`, on `input` under `policy`.
    pub fn cell<'c>(
        self,
        target: usize,
        network: &'c Network,
        input: &'c PlannedInput,
        policy: &'c (String, Sha256, PolicyFile),
    ) -> Cell<'c> {
        let key = Sha256::of_json(&json!({
            "target": network.bundle.identity(), "input": input.key, "policy": policy.1, "data": self.data.digest,
        }));
        Cell { target, network, input, policy, key }
    }

    /// Makes a row of recordings, and measures what is asked for.
    pub fn row(
        self,
        cell: &Cell<'_>,
        ready: &mut Ready<'_>,
        evidence: &Evidence<'_>,
    ) -> Result<Row, CampaignError> {
        let Cell { network, input, key, .. } = *cell;
        let (name, _, file) = cell.policy;
        let policy = file.policy.fit(network.exits()).map_err(|source| CampaignError::Policy {
            network: network.name.clone(),
            policy: name.clone(),
            source,
        })?;
        let surrogate = match input.source {
            Source::Set(set) => self.plan.sets.get(set).and_then(|set| self.networks.get(set.surrogate)),
            _ => None,
        };
        let kind = match input.source {
            Source::Benign => InputKind::Benign,
            Source::Corrupted { .. } => InputKind::Corrupted,
            Source::Set(_) => InputKind::Adversarial,
        };
        let (figures, skipped) = match evidence.input {
            Ok(replay) => {
                let sides = [evidence.benign, replay];
                (Some(figures(sides, policy.as_ref(), &network.macs(), evidence.set)), None)
            }
            Err(why) => (None, Some(why.clone())),
        };
        Ok(Row {
            key,
            surrogate: surrogate.map(Network::bundle_name),
            input: RowInput { kind, label: input.label.clone(), name: input.name.clone(), seed: input.seed },
            target: network.bundle_name(),
            policy: RowPolicy { name: name.clone(), spec: file.policy.clone() },
            measured: self.measured(cell, ready, policy.as_ref(), skipped.as_deref())?,
            figures,
            skipped,
        })
    }

    fn measured(
        self,
        cell: &Cell<'_>,
        ready: &mut Ready<'_>,
        policy: &dyn Policy,
        skipped: Option<&str>,
    ) -> Result<Measured, CampaignError> {
        let Some(spec) = self.campaign.config.latency else {
            return Ok(Measured::without_latency(NO_LATENCY));
        };
        if let Some(why) = skipped {
            return Ok(Measured::without_latency(why));
        }
        match cell.input.source {
            Source::Benign => {
                return Ok(Measured::without_latency(
                    "the images as they were are what others are compared with",
                ));
            }
            Source::Set(set)
                if !spec.transfer
                    && self.plan.sets.get(set).is_some_and(|set| set.surrogate != cell.target) =>
            {
                return Ok(Measured::without_latency("the study asks for no latency of transferred sets"));
            }
            _ => {}
        }
        let data = self.data.images.as_ref();
        let images = images(cell.input, self.campaign.config, data, self.folder)?;
        let network = cell.network.name.clone();
        let sides: [&dyn Dataset; 2] = [data, images.as_ref()];
        let (pipeline, seed) = (ready.pipeline()?, self.campaign.config.seed);
        let latency = measure::latency(pipeline, policy, sides, &cell.input.title(), spec, seed)
            .map_err(|source| CampaignError::Latency { network, source: Box::new(source) })?;
        Ok(Measured::latency(latency))
    }
}
