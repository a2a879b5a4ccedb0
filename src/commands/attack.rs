//! `offramp attack`: an adversarial set, crafted on the backend that runs the network.

mod early;
mod method;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use offramp_models::preprocess::Preprocessor;
use offramp_models::{Bundle, Sha256};
use offramp_runtime::report::BundleName;
use offramp_study::adversarial::{
    self, AdversarialSet, Craft, Environment, Labels, MANIFEST_VERSION, Place, SetManifest, Summary,
    WriteError,
};
use offramp_study::oracle::{GraphOracle, OpenError, Oracle as _};

use self::method::MethodFlags;
use crate::backends::BackendFlags;
use crate::input::InputFlags;
use crate::policies::{Chosen, PolicyFlags};
use crate::status::{Status, hint, usage};
use crate::{output, provenance, quantities};

/// Craft adversarial images on a network and store them as 8-bit images
///
/// What is reported is the stored set, scored again after rounding. The manifest beside the set (ADV.json) has every
/// image's perturbation and exits. Both are replaced if they are there.
#[derive(Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "Examples:\n  offramp attack network.bundle --method pgd --epsilon 8/255 --input test.npz -o adv.npz\n  \
                        offramp attack network.bundle --method early --mode improved --alpha 1 --input shapes:test:100 -o early.npz\n  \
                        offramp attack network.bundle --method early --mode as-coded --start image --input shapes:test:32 -o piece.npz\n  \
                        offramp attack network.bundle --method deepsloth --input test.npz -o slow.npz --images slow/\n  \
                        offramp run network.bundle --input adv.npz"
)]
pub struct Attack {
    /// The bundle, a folder that `split` wrote
    bundle: PathBuf,
    /// The set to write; its manifest is beside it, ADV.json; both are replaced if they are there
    #[arg(short, long, value_name = "ADV.npz")]
    output: PathBuf,
    /// Write the images as PNG files into this folder too
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// Whose labels are attacked
    #[arg(long, value_enum, default_value = "data")]
    labels: Whose,
    /// Images at once
    #[arg(long, value_name = "N", default_value = "64", value_parser = quantities::count)]
    batch: NonZeroUsize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    method: MethodFlags,
    #[command(flatten)]
    input: InputFlags,
    #[command(flatten)]
    policy: PolicyFlags,
    #[command(flatten)]
    backend: BackendFlags,
}

/// Whose labels.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Whose {
    /// The data's
    Data,
    /// The final exit's answers to the benign images
    Predicted,
}

impl Attack {
    pub fn run(self) -> anyhow::Result<Status> {
        let bundle = Bundle::open(&self.bundle)?;
        let chosen = self.policy.choose(&bundle)?;
        let method = self.method.method();
        if let Err(error) = method.prepare(bundle.manifest().exits.len(), &chosen.file.policy) {
            return Err(usage(error.to_string(), "`offramp attack --help` lists what each method takes"));
        }
        let shape = Preprocessor::new(&bundle.manifest().input)?.shape();
        let place = Place::new(&self.output, self.images.as_deref(), shape).map_err(explain)?;
        let data = self.input.open(bundle.manifest())?;
        // Of the data as it was attacked, whatever the set then takes the place of.
        let data_sha256 = provenance::digest(&self.input.input, bundle.manifest())?;
        let (mut oracle, environment) = self.oracle(&bundle)?;
        self.method.warn_of_small_steps();
        output::note(format!("input: {}", data.describe()));
        output::note(format!("policy: {} ({})", chosen.file.policy, chosen.origin));
        let labels = match self.labels {
            Whose::Data => Labels::Data,
            Whose::Predicted => Labels::Predicted,
        };
        let craft = Craft {
            method,
            policy: chosen.file.policy.clone(),
            labels,
            batch: self.batch,
            crafting: CRAFTING_IMAGES,
        };
        let bar = output::progress(1, craft.method.kind.name());
        let set = adversarial::craft(&mut oracle, data.as_ref(), shape, &craft, &mut |progress| {
            bar.set_length(progress.of as u64);
            bar.set_position(progress.done as u64);
            true
        });
        bar.finish_and_clear();
        let set = set.map_err(|error| match &error {
            adversarial::CraftError::NoLabel { .. } => {
                hint(error, "--labels predicted attacks the network's own answers")
            }
            _ => error.into(),
        })?;
        let summary = Summary::of(&set.images, oracle.exits());
        if let Some(folder) = place.pictures() {
            adversarial::write_pictures(&set, folder).map_err(explain)?;
        }
        adversarial::write_npz(&set, place.set())?;
        let source = Source { data: data.describe(), data_sha256 };
        let manifest = self.manifest(&bundle, &chosen, craft, environment, &set, summary, source);
        adversarial::write_manifest(&manifest, place.manifest())?;
        if self.json {
            output::json(&manifest)?
        } else {
            output::text(manifest.table().trim_end())?
        }
        output::note(format!("written: {}, {}", place.set().display(), place.manifest().display()));
        Ok(Status::Done)
    }

    fn oracle(&self, bundle: &Bundle) -> anyhow::Result<(GraphOracle, Environment)> {
        let spinner = output::spinner("preparing gradient graphs");
        let candidates = self.backend.candidates(None)?;
        let opened = candidates.first_that_runs(OpenError::refused_by_backend, |backend| {
            GraphOracle::open(bundle, backend, self.backend.thread_count())
        });
        spinner.finish_and_clear();
        let (oracle, candidate) = opened?;
        let backend = candidate.backend.describe();
        output::note(format!(
            "backend: {} {} {} ({})",
            backend.name, backend.provider, backend.version, candidate.why
        ));
        let producer = concat!("offramp ", env!("CARGO_PKG_VERSION")).to_owned();
        Ok((oracle, Environment { producer, backend: (&backend).into() }))
    }

    #[expect(clippy::too_many_arguments, reason = "a manifest has many parts, each from another place")]
    fn manifest(
        &self,
        bundle: &Bundle,
        chosen: &Chosen,
        craft: Craft,
        environment: Environment,
        set: &AdversarialSet,
        summary: Summary,
        source: Source,
    ) -> SetManifest {
        let surrogate = BundleName { name: bundle.manifest().name.clone(), identity: bundle.identity() };
        let predicted = matches!(self.labels, Whose::Predicted) || craft.method.needs_predictions();
        SetManifest {
            schema_version: MANIFEST_VERSION,
            surrogate,
            method: craft.method,
            policy: chosen.file.policy.clone(),
            data: source.data,
            data_sha256: source.data_sha256,
            labels: if predicted { Labels::Predicted } else { Labels::Data },
            environment,
            summary,
            images: set.images.iter().map(Into::into).collect(),
        }
    }
}

/// What a set was made from.
struct Source {
    data: String,
    data_sha256: Sha256,
}

/// Adds the flag that helps.
fn explain(error: WriteError) -> anyhow::Error {
    match &error {
        WriteError::OneFile { .. } => {
            usage(error.to_string(), "the manifest is written beside the set, as ADV.json")
        }
        WriteError::Occupied { .. } => hint(error, "choose another name: only earlier sets are replaced"),
        WriteError::Channels { .. } => hint(error, "leave --images out"),
        _ => error.into(),
    }
}

/// Images that a universal perturbation is crafted on.
const CRAFTING_IMAGES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(127);
