//! A bundle, prepared on the backend that was asked for, and the pictures that go through it.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use offramp_models::Bundle;
use offramp_models::DType;
use offramp_models::dataset::{Dataset, Picture};
use offramp_models::preprocess::{Fit, HostBuffer, Preprocessor};
use offramp_runtime::backend::{Description, HostTensor};
use offramp_runtime::pipeline::Pipeline;
use offramp_runtime::prepare::{self, PrepareOptions, Progress, Segments};
use offramp_runtime::report::{BackendName, BundleName, Preprocessing};

use crate::engines::{EngineFlags, chain};
use crate::output;

/// A bundle ready to run.
pub struct Session {
    /// The bundle.
    pub bundle: Bundle,
    /// Its segments on this device.
    pub pipeline: Pipeline,
    /// What runs them.
    pub backend: Description,
    /// What they are.
    pub segments: Segments,
    /// Whether they lie in the cache for the next time.
    pub kept: bool,
    /// Seconds that preparing took.
    pub prepare_s: f64,
}

impl Session {
    /// Opens and prepares `bundle` on the best candidate that can run it, and says on stderr which and why.
    ///
    /// # Errors
    /// The last candidate's error.
    pub fn open(bundle: &Path, engine: &EngineFlags, cache: Option<&Path>) -> anyhow::Result<Self> {
        let bundle = Bundle::open(bundle)?;
        let cache = cache.map_or_else(|| bundle.dir().join(".prepared"), PathBuf::from);
        let mut candidates = engine.candidates_with_cache(Some(&cache))?.into_iter();
        let options = PrepareOptions {
            threads: engine.thread_count(),
            cache: Some(cache),
            ..PrepareOptions::default()
        };
        loop {
            let candidate = candidates.next().context("no backend is left to try")?;
            let spinner = output::spinner("preparing");
            let started = std::time::Instant::now();
            let prepared = prepare::prepare(&bundle, candidate.backend.as_ref(), &options, &mut |progress| {
                spinner.set_message(describe(progress));
            });
            spinner.finish_and_clear();
            let backend = candidate.backend.describe();
            match prepared {
                Ok(prepared) => {
                    let Description { name, provider, version } = &backend;
                    output::note(format!("backend: {name} {provider} {version} ({})", candidate.why));
                    if *name == "tract" && (engine.no_spinning || engine.threads.is_some_and(|n| n > 1)) {
                        output::note(
                            "note: tract runs on one thread, --threads and --no-spinning do nothing",
                        );
                    }
                    for note in &prepared.notes {
                        output::note(format!("note: {}", chain(note)));
                    }
                    let (pipeline, segments, kept) = (prepared.pipeline, prepared.segments, prepared.kept);
                    let prepare_s = started.elapsed().as_secs_f64();
                    return Ok(Self { bundle, pipeline, backend, segments, kept, prepare_s });
                }
                Err(prepare::PrepareError::Backend(error)) if candidates.len() > 0 => {
                    output::note(format!("note: not {}: {}", candidate.name(), chain(&error)));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The bundle's name for reports.
    pub fn bundle_name(&self) -> BundleName {
        BundleName { name: self.bundle.manifest().name.clone(), identity: self.bundle.identity() }
    }

    /// The backend's name for reports.
    pub fn backend_name(&self) -> BackendName {
        BackendName::from(&self.backend)
    }

    /// Cumulative multiply-adds by exit.
    pub fn macs(&self) -> Vec<u64> {
        self.pipeline.exits().iter().map(|exit| exit.macs).collect()
    }
}

fn describe(progress: Progress) -> String {
    match progress {
        Progress::Checking => "checking digests".to_owned(),
        Progress::Optimising => "optimising for this device".to_owned(),
        Progress::Segment { index, of } => format!("loading segment {} of {of}", index + 1),
        _ => "preparing".to_owned(),
    }
}

/// Pictures as the network's input, batch by batch.
pub struct Feed<'a> {
    data: &'a dyn Dataset,
    preprocessor: Preprocessor,
    picture: Picture,
    buffer: HostBuffer,
    /// Pictures that had another size.
    resized: BTreeSet<usize>,
}

impl<'a> Feed<'a> {
    /// A feed of `data` for the network of `bundle`.
    ///
    /// # Errors
    /// When no picture can become the network's input.
    pub fn new(data: &'a dyn Dataset, bundle: &Bundle) -> anyhow::Result<Self> {
        let preprocessor = Preprocessor::new(&bundle.manifest().input)?;
        Ok(Self {
            data,
            preprocessor,
            picture: Picture::default(),
            buffer: HostBuffer::default(),
            resized: BTreeSet::new(),
        })
    }

    /// Images `first..first + count`, preprocessed.
    ///
    /// # Errors
    /// When one cannot be read or does not fit the network.
    pub fn batch(&mut self, first: usize, count: usize) -> anyhow::Result<HostTensor<'_>> {
        self.buffer.clear();
        for image in first..first + count {
            self.data.read(image, &mut self.picture)?;
            let fit = self
                .preprocessor
                .append(&self.picture, &mut self.buffer)
                .with_context(|| format!("image {image}"))?;
            if fit == Fit::Resized {
                self.resized.insert(image);
            }
        }
        Ok(match self.preprocessor.dtype() {
            DType::Uint8 => HostTensor::Uint8(self.buffer.uint8()),
            _ => HostTensor::Float32(self.buffer.float32()),
        })
    }

    /// What became of the pictures so far.
    pub fn preprocessing(&self) -> Preprocessing {
        Preprocessing { how: self.describe().to_owned(), resized: Some(self.resized.len()) }
    }

    /// What becomes of the pictures.
    pub fn describe(&self) -> &str {
        self.preprocessor.describe()
    }
}

/// Positions of batches over `images`.
pub fn batches(images: usize, batch: NonZeroUsize) -> impl Iterator<Item = (usize, usize)> {
    (0..images).step_by(batch.get()).map(move |first| (first, batch.get().min(images - first)))
}
