//! Networks of a campaign: bundles, or models split into its folder.

use std::path::{Path, PathBuf};

use offramp_exporter::ExportError;
use offramp_exporter::exits::Choice;
use offramp_exporter::heads;
use offramp_exporter::image::Normalisation;
use offramp_exporter::plan::PlanOptions;
use offramp_exporter::split::{SplitOptions, split};
use offramp_exporter::verify::VerifyOptions;
use offramp_models::dataset::shapes;
use offramp_models::partial::Partial;
use offramp_models::{Bundle, Causes, Sha256, zoo};
use offramp_runtime::backend::Backend;
use offramp_runtime::report::BundleName;
use serde_json::json;

use super::config::{ModelSpec, NetworkSource, NetworkSpec};
use super::{CampaignError, FolderError};

/// A network, ready to be prepared.
pub struct Network {
    /// Its name in the campaign.
    pub name: String,
    /// Its files.
    pub bundle: Bundle,
    /// Digest of how it was split; `None` where it came as a bundle or with the program.
    pub split: Option<Sha256>,
    /// Multiply-adds of the internal classifiers alone, an entry for every exit but the final one, or why they are not known.
    pub heads: Result<Vec<u64>, String>,
}

impl Network {
    /// Opens `spec`; a model is split into `folder` and proved on `backend` first, unless the study was `begun` with it.
    ///
    /// # Errors
    /// `Bundle`, `Split`, `Zoo` or `Folder`.
    pub(super) fn open(
        spec: &NetworkSpec,
        folder: &Path,
        begun: bool,
        backend: &dyn Backend,
        threads: Option<usize>,
    ) -> Result<Self, CampaignError> {
        let name = spec.name.clone();
        let splitting = Splitting { name: &name, folder, begun, backend, threads };
        let bundle = match &spec.source {
            NetworkSource::Bundle(dir) => open(&name, dir)?,
            NetworkSource::Model(model) => splitting.split(model)?,
            NetworkSource::Zoo(known) if known == zoo::SHAPES_SDN_NAME => {
                let write = |path: &Path, bytes: &[u8]| {
                    std::fs::write(path, bytes)
                        .map_err(|source| FolderError::Write { path: path.to_owned(), source })
                };
                let files = Partial::folder(&std::env::temp_dir().join("offramp-zoo"))
                    .map_err(|source| FolderError::Write { path: std::env::temp_dir(), source })?;
                let (path, classes) =
                    (files.path().join(format!("{known}.onnx")), files.path().join("classes.txt"));
                write(&path, zoo::SHAPES_SDN)?;
                write(&classes, shapes::CLASS_NAMES.join("\n").as_bytes())?;
                let model = ModelSpec {
                    path,
                    is_static: false,
                    exits: Vec::new(),
                    mean: None,
                    std: None,
                    classes: Some(classes),
                };
                splitting.split(&model)?
            }
            NetworkSource::Zoo(found) => {
                return Err(CampaignError::Zoo { known: zoo::SHAPES_SDN_NAME, found: found.clone() });
            }
        };
        let heads = heads::macs(&bundle).map_err(|error| Causes(&error).to_string());
        let split = if let NetworkSource::Model(model) = &spec.source { Some(model.digest()?) } else { None };
        Ok(Self { name, bundle, split, heads })
    }

    /// The network as rows and reports name it.
    pub fn bundle_name(&self) -> BundleName {
        BundleName { name: self.name.clone(), identity: self.bundle.identity() }
    }

    /// Holds `other` to tell the same classes apart, under the same names where both have names, and where sets are tried on
    /// both (`crossed`) to take pictures of the same shape.
    ///
    /// # Errors
    /// `Classes`, `ClassNames` or `Shapes`.
    pub(super) fn agree(&self, other: &Self, crossed: bool) -> Result<(), CampaignError> {
        let [here, there] = [self, other].map(|network| network.bundle.manifest());
        let (first, network) = (self.name.clone(), other.name.clone());
        let (expected, found) = (here.classes.count, there.classes.count);
        if expected != found {
            return Err(CampaignError::Classes { first, expected, network, found });
        }
        let names = here.classes.names.iter().flatten().zip(there.classes.names.iter().flatten());
        if let Some((class, (expected, found))) = names.enumerate().find(|(_, (here, there))| here != there) {
            let (expected, found) = (expected.clone(), found.clone());
            return Err(CampaignError::ClassNames { first, expected, network, found, class });
        }
        let (expected, found) = (here.input.chw(), there.input.chw());
        if crossed && expected != found {
            return Err(CampaignError::Shapes { first, expected, network, found });
        }
        Ok(())
    }

    /// Cumulative multiply-adds by exit.
    pub fn macs(&self) -> Vec<u64> {
        self.bundle.manifest().exits.iter().map(|exit| exit.macs).collect()
    }

    /// Number of exits.
    pub fn exits(&self) -> usize {
        self.bundle.manifest().exits.len()
    }

    /// The name of a class, or its number.
    pub fn class(&self, label: usize) -> String {
        let names = self.bundle.manifest().classes.names.as_ref();
        names.and_then(|names| names.get(label)).cloned().unwrap_or_else(|| label.to_string())
    }
}

impl ModelSpec {
    /// Digest of everything but the model that says how it is split.
    fn digest(&self) -> Result<Sha256, FolderError> {
        let Self { path: _, is_static, exits, mean, std, classes } = self;
        let of = |path: &PathBuf| {
            Sha256::of_file(path).map_err(|source| FolderError::Read { path: path.clone(), source })
        };
        let classes = classes.as_ref().map(of).transpose()?;
        Ok(Sha256::of_json(&json!([is_static, exits, mean, std, classes])))
    }
}

fn open(name: &str, dir: &Path) -> Result<Bundle, CampaignError> {
    Bundle::open(dir)
        .map_err(|source| CampaignError::Bundle { network: name.to_owned(), source: Box::new(source) })
}

/// A model on its way into the campaign's folder.
struct Splitting<'a> {
    name: &'a str,
    folder: &'a Path,
    /// Whether the study has the bundle in the folder already.
    begun: bool,
    backend: &'a dyn Backend,
    threads: Option<usize>,
}

impl Splitting<'_> {
    fn split(&self, model: &ModelSpec) -> Result<Bundle, CampaignError> {
        let target: PathBuf = self.folder.join(self.name);
        if self.begun && target.is_dir() {
            let bundle = open(self.name, &target)?;
            let source = Sha256::of_file(&model.path)
                .map_err(|source| FolderError::Read { path: model.path.clone(), source })?;
            let found = bundle.manifest().source.sha256;
            if source != found {
                let what = format!("the model of network \"{}\"", self.name);
                let (expected, found) = (source.to_string(), found.to_string());
                return Err(FolderError::Other { dir: self.folder.to_owned(), what, expected, found }.into());
            }
            return Ok(bundle);
        }
        let (exits, single) = (model.exits.clone(), model.is_static);
        let options = SplitOptions {
            plan: PlanOptions {
                exits: Choice { tensors: exits, single },
                normalisation: Normalisation {
                    mean: model.mean.clone(),
                    std: model.std.clone(),
                    range: None,
                },
                classes: model.classes.clone(),
                ..PlanOptions::default()
            },
            name: Some(self.name.to_owned()),
            force: true,
            gradients: false,
            tails: None,
            verify: VerifyOptions { threads: self.threads, ..VerifyOptions::default() },
        };
        let failed = |source: ExportError| CampaignError::Split {
            network: self.name.to_owned(),
            source: Box::new(source),
        };
        Ok(split(&model.path, &target, &options, &[self.backend]).map_err(failed)?.bundle)
    }
}
