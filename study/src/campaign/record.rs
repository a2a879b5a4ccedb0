//! What networks are run on, and what they say of it.

use offramp_models::dataset::{self, DataError, DataRef, Dataset, OpenOptions, Picture};
use offramp_runtime::backend::Backend;
use offramp_runtime::pass;
use offramp_runtime::pipeline::Pipeline;
use offramp_runtime::prepare::{PrepareError, PrepareOptions, Prepared, prepare};
use offramp_runtime::recording::Recording;
use offramp_runtime::replay::Replay;

use super::config::Config;
use super::folder::Folder;
use super::plan::{PlannedInput, Source};
use super::{CampaignError, Network, store};
use crate::corruption::Corrupted;
use offramp_models::Sha256;

/// A network whose segments are prepared when they are first needed, and once.
pub(super) struct Ready<'a> {
    pub network: &'a Network,
    backend: &'a dyn Backend,
    options: PrepareOptions,
    pipeline: Option<Pipeline>,
}

impl<'a> Ready<'a> {
    pub fn new(
        network: &'a Network,
        backend: &'a dyn Backend,
        threads: Option<usize>,
        folder: &Folder,
    ) -> Self {
        let cache = Some(folder.prepared(&network.name));
        let options = PrepareOptions { threads, cache, ..PrepareOptions::default() };
        Self { network, backend, options, pipeline: None }
    }

    /// The segments.
    pub fn try_pipeline(&mut self) -> Result<&Pipeline, PrepareError> {
        match &mut self.pipeline {
            Some(pipeline) => Ok(pipeline),
            empty => {
                let prepared = prepare(&self.network.bundle, self.backend, &self.options, &mut |_| {})?;
                let Prepared { pipeline, .. } = prepared;
                Ok(empty.insert(pipeline))
            }
        }
    }

    /// The segments.
    pub fn pipeline(&mut self) -> Result<&Pipeline, CampaignError> {
        let network = self.network.name.clone();
        self.try_pipeline().map_err(|source| CampaignError::Prepare { network, source: Box::new(source) })
    }

    /// The recording on `images`, which are `input`: from the folder, else made and kept there. `digest` says what the
    /// recording is to name as its data.
    pub fn recording(
        &mut self,
        input: &PlannedInput,
        images: &dyn Dataset,
        digest: &dyn Fn() -> Result<Sha256, DataError>,
        folder: &Folder,
        each: &mut dyn FnMut() -> bool,
    ) -> Result<Recording, CampaignError> {
        let key = input.recorded_by(self.network);
        let path = folder.recording(&self.network.name, &input.name);
        if let Some(recording) = store::read(&path, key)? {
            return Ok(recording);
        }
        let (network, label) = (self.network.name.clone(), input.label.clone());
        let pipeline = self.pipeline()?;
        let digest = digest()?;
        let mut going = true;
        let recorded = pass::record(pipeline, images, digest, || going &= each());
        let recording = recorded.map_err(|source| CampaignError::Run {
            network,
            input: label,
            source: Box::new(source),
        })?;
        if !going {
            return Err(CampaignError::Stopped);
        }
        store::write(&recording, key, &path)?;
        Ok(recording)
    }
}

/// What `network` says of `input`, as recorded.
pub(super) fn replay(
    network: &Network,
    input: &PlannedInput,
    recording: &Recording,
) -> Result<Replay, CampaignError> {
    Replay::new(recording).map_err(|source| CampaignError::Replay {
        network: network.name.clone(),
        input: input.label.clone(),
        source,
    })
}

/// The images of `input`, labelled as `data` is.
pub(super) fn images<'a>(
    input: &PlannedInput,
    config: &Config,
    data: &'a dyn Dataset,
    folder: &Folder,
) -> Result<Box<dyn Dataset + 'a>, CampaignError> {
    Ok(match input.source {
        Source::Benign => Box::new(Labelled { images: None, data }),
        Source::Corrupted { spec, severity } => match config.corruptions.get(spec) {
            Some(spec) => {
                let seed = input.seed.unwrap_or(config.seed);
                Box::new(Corrupted::new(data, spec.kind, spec.constants, severity, seed))
            }
            None => Box::new(Labelled { images: None, data }),
        },
        Source::Set(_) => {
            let set = DataRef::Npz(folder.set(&input.name));
            Box::new(Labelled { images: Some(dataset::open(&set, &OpenOptions::default())?), data })
        }
    })
}

/// Pictures with the labels of others: a set stores the labels attacked where the data has none.
struct Labelled<'a> {
    /// The pictures; `None` for the data's own.
    images: Option<Box<dyn Dataset>>,
    data: &'a dyn Dataset,
}

impl Labelled<'_> {
    fn pictures(&self) -> &dyn Dataset {
        self.images.as_deref().unwrap_or(self.data)
    }
}

impl Dataset for Labelled<'_> {
    fn len(&self) -> usize {
        self.pictures().len()
    }

    fn label(&self, image: usize) -> Option<usize> {
        self.data.label(image)
    }

    fn read(&self, image: usize, into: &mut Picture) -> Result<(), DataError> {
        self.pictures().read(image, into)
    }

    fn class_names(&self) -> Option<&[String]> {
        self.data.class_names()
    }

    fn describe(&self) -> String {
        self.pictures().describe()
    }
}
