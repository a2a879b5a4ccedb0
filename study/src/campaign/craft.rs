//! Crafting: one set at a time, on one network at a time.

use std::num::NonZeroUsize;

use offramp_models::dataset::Dataset;
use offramp_models::preprocess::Preprocessor;
use offramp_runtime::policy::PolicySpec;
use offramp_runtime::report::BackendName;
use serde::{Deserialize, Serialize};

use super::folder::Folder;
use super::plan::PlannedSet;
use super::{CampaignError, Network};
use crate::adversarial::{
    self, Craft, CraftError, Environment, Labels, MANIFEST_VERSION, Progress, SetManifest, Summary,
};
use crate::attack::AttackError;
use crate::oracle::{GraphOracle, Oracle as _};

/// Images that a universal perturbation is crafted on.
const CRAFTING: NonZeroUsize = NonZeroUsize::MIN.saturating_add(127);

/// The JSON of a set.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum SetFile {
    /// The set's manifest; its pictures lie beside it.
    Crafted(Box<SetManifest>),
    /// There is no set.
    Nothing {
        /// Why.
        nothing: String,
    },
}

/// What crafting needs beside the set's plan.
pub(super) struct Material<'a> {
    pub network: &'a Network,
    pub data: &'a dyn Dataset,
    pub data_sha256: offramp_models::Sha256,
    /// The policy that the attack may know.
    pub policy: PolicySpec,
    pub batch: NonZeroUsize,
    pub producer: &'a str,
    pub backend: BackendName,
}

/// Crafts `set` and stores pictures first, then what they are: a set without its manifest is no set.
pub(super) fn craft(
    set: &PlannedSet,
    material: Material<'_>,
    oracle: &mut GraphOracle,
    folder: &Folder,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<(), CampaignError> {
    let Material { network, data, policy, batch, .. } = material;
    let failed = |source| CampaignError::Craft {
        network: network.name.clone(),
        set: set.spec.label.clone(),
        source: Box::new(source),
    };
    let manifest = network.bundle.manifest();
    let shape = Preprocessor::new(&manifest.input)
        .map_err(|source| failed(CraftError::Picture { image: 0, source }))?
        .shape();
    let (method, labels) = (set.spec.method.clone(), set.spec.labels);
    let craft = Craft { method, policy, labels, batch, crafting: CRAFTING };
    let crafted = match adversarial::craft(oracle, data, shape, &craft, progress) {
        Ok(crafted) => crafted,
        Err(error @ CraftError::NothingToAttack { .. }) => {
            let file = SetFile::Nothing { nothing: error.to_string() };
            return Ok(folder.write(&folder.set_manifest(&set.name), &file)?);
        }
        Err(CraftError::Attack { source, .. }) if matches!(*source, AttackError::Stopped) => {
            return Err(CampaignError::Stopped);
        }
        Err(error) => return Err(failed(error)),
    };
    let predicted = labels == Labels::Predicted || craft.method.needs_predictions();
    let manifest = SetManifest {
        schema_version: MANIFEST_VERSION,
        surrogate: network.bundle_name(),
        method: craft.method,
        policy: craft.policy,
        data: data.describe(),
        data_sha256: material.data_sha256,
        labels: if predicted { Labels::Predicted } else { Labels::Data },
        environment: Environment { producer: material.producer.to_owned(), backend: material.backend },
        summary: Summary::of(&crafted.images, oracle.exits()),
        images: crafted.images.iter().map(Into::into).collect(),
    };
    adversarial::write_npz(&crafted, &folder.set(&set.name))?;
    adversarial::write_manifest(&manifest, &folder.set_manifest(&set.name))?;
    Ok(())
}
