//! The proof of a split: composed segments against the whole network.

use std::collections::HashSet;
use std::path::Path;

use offramp_graph::ir::{Dim, ElementType, Model, ValueInfo};
use offramp_models::{Bundle, DType, Exit, Input, Layout, Manifest, Sha256};
use offramp_runtime::backend::{
    Backend, Description, GraphSource, HostTensor, Origin, Runner, RunnerOptions, Value,
};
use offramp_runtime::pipeline::{Feed, Pipeline, Stage};
use offramp_runtime::prepare::{self, PrepareOptions};
use rand::{Rng as _, RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::ExportError;

/// How to prove.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// Largest difference allowed, relative to the exit's largest logit where that is above 1.
    pub tolerance: f32,
    /// Batches of random images.
    pub rounds: usize,
    /// Seed of the images.
    pub seed: u64,
    /// Threads inside one operator.
    pub threads: Option<usize>,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { tolerance: 1e-4, rounds: 3, seed: 0, threads: None }
    }
}

/// What the proof found.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// What ran both.
    pub backend: Description,
    /// Random images run.
    pub images: usize,
    /// Seed of the images.
    pub seed: u64,
    /// Largest difference allowed.
    pub tolerance: f32,
    /// By exit.
    pub exits: Vec<ExitDifference>,
}

/// How far composed and whole logits are apart.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ExitDifference {
    /// The exit.
    pub exit: usize,
    /// Largest absolute difference.
    pub difference: f32,
    /// Largest absolute logit of the whole network.
    pub scale: f32,
}

impl ExitDifference {
    fn relative(&self) -> f32 {
        self.difference / self.scale.max(1.0)
    }
}

impl Verification {
    /// The exit that differs most.
    pub fn worst(&self) -> Option<&ExitDifference> {
        self.exits.iter().max_by(|a, b| a.relative().total_cmp(&b.relative()))
    }

    /// Whether every exit is within tolerance.
    pub fn holds(&self) -> bool {
        self.exits.iter().all(|exit| exit.relative() <= self.tolerance)
    }

    /// Makes a failed proof an error.
    ///
    /// # Errors
    /// `Proof`, naming the worst exit.
    pub fn require(&self) -> Result<(), ExportError> {
        match self.worst() {
            Some(worst) if !self.holds() => Err(ExportError::Proof {
                exit: worst.exit,
                difference: worst.difference,
                tolerance: self.tolerance,
            }),
            _ => Ok(()),
        }
    }
}

/// Whether `model` is to the byte the file that the bundle was split from; external data is not looked at.
///
/// # Errors
/// `Read` when the model cannot be read.
pub fn source_matches(bundle: &Bundle, model: &Path) -> Result<bool, ExportError> {
    let found =
        Sha256::of_file(model).map_err(|source| ExportError::Read { path: model.to_owned(), source })?;
    Ok(found == bundle.manifest().source.sha256)
}

/// Runs seeded random images through the prepared bundle and through the whole of `model`, both on `backend`.
///
/// # Errors
/// `Bundle` for a tampered bundle, `OtherNetwork` when the model is another one, `NotFinite` for a network that gives no
/// numbers, or an engine's error.
pub fn verify(
    bundle: &Bundle,
    model: &Path,
    backend: &dyn Backend,
    options: &VerifyOptions,
) -> Result<Verification, ExportError> {
    let manifest = bundle.manifest();
    let prepare_options = PrepareOptions { threads: options.threads, ..PrepareOptions::default() };
    let prepared = prepare::prepare(bundle, backend, &prepare_options, &mut |_| {})?;
    let whole = Reference::new(model, manifest, backend, options.threads)?;

    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let mut exits: Vec<ExitDifference> =
        (0..manifest.exits.len()).map(|exit| ExitDifference { exit, difference: 0.0, scale: 0.0 }).collect();
    let mut images = 0;
    for round in 0..options.rounds.max(1) {
        let batch = manifest.input.fixed_batch().unwrap_or(1 + round);
        images += batch;
        let image = Noise::draw(&manifest.input, batch, &mut rng);
        let references = whole.logits(image.view(), batch)?;
        let composed = compose(&prepared.pipeline, image.view(), batch)?;
        for (exit, row) in exits.iter_mut().enumerate() {
            for (a, b) in references[exit].iter().zip(&composed[exit]) {
                if let Some(found) = [*a, *b].into_iter().find(|logit| !logit.is_finite()) {
                    return Err(ExportError::NotFinite { exit, found });
                }
                row.difference = row.difference.max((a - b).abs());
                row.scale = row.scale.max(a.abs());
            }
        }
    }
    let backend = backend.describe();
    Ok(Verification { backend, images, seed: options.seed, tolerance: options.tolerance, exits })
}

/// The whole network, ready to run.
pub(crate) struct Reference {
    runner: Box<dyn Runner>,
    /// Positions of the exits' logits among its outputs.
    outputs: Vec<usize>,
    classes: usize,
}

impl Reference {
    /// The network of `model`, with the logits of `manifest` as outputs.
    pub(crate) fn new(
        model: &Path,
        manifest: &Manifest,
        backend: &dyn Backend,
        threads: Option<usize>,
    ) -> Result<Self, ExportError> {
        let rewritten;
        let origin = match whole(model, manifest)? {
            Whole::AsIs => Origin::File(model),
            Whole::Rewritten(with_logits) => {
                rewritten = with_logits.to_bytes()?;
                Origin::Bytes(&rewritten)
            }
        };
        let source = GraphSource { label: "the whole network".to_owned(), origin };
        let host_outputs = manifest.exits.iter().map(|exit| exit.logits.clone()).collect();
        let options = RunnerOptions { threads, host_outputs, ..RunnerOptions::default() };
        let runner = backend.prepare(&source, &options)?;
        let position = |exit: &Exit| {
            let found = runner.outputs().iter().position(|output| output.name == exit.logits);
            found.ok_or_else(|| other("logits", &exit.logits, "not an output".to_owned()))
        };
        let outputs = manifest.exits.iter().map(position).collect::<Result<_, _>>()?;
        Ok(Self { runner, outputs, classes: manifest.classes.count })
    }

    /// Logits of all exits for `images`, one list each.
    pub(crate) fn logits(&self, images: HostTensor<'_>, batch: usize) -> Result<Vec<Vec<f32>>, ExportError> {
        let input = self.runner.allocate(0, batch)?;
        input.write(images)?;
        let mut bound = self.runner.bind(&[input], batch)?;
        bound.run()?;
        let read = |output: &usize| {
            let mut row = vec![0.0; batch * self.classes];
            bound.outputs()[*output].read(&mut row)?;
            Ok(row)
        };
        self.outputs.iter().map(read).collect()
    }
}

enum Whole {
    /// The file's own outputs hold every exit's logits.
    AsIs,
    /// Outputs replaced by the logits, which lie before a softmax or inside the graph.
    Rewritten(Box<Model>),
}

fn other(what: &'static str, expected: &str, found: String) -> ExportError {
    ExportError::OtherNetwork { what, expected: expected.to_owned(), found }
}

/// The model as its file has it, never folded: the proof shares no step with the split.
fn whole(path: &Path, manifest: &Manifest) -> Result<Whole, ExportError> {
    let mut model = Model::read(path)?;
    let expected = &manifest.input.name;
    match model.graph.inputs.as_slice() {
        [input] if input.name == *expected => {}
        inputs => {
            let names: Vec<_> = inputs.iter().map(|input| input.name.as_str()).collect();
            return Err(other("input", expected, names.join(", ")));
        }
    }
    let is_output = |exit: &Exit| model.graph.outputs.iter().any(|output| output.name == exit.logits);
    if manifest.exits.iter().all(is_output) && model.functions.is_empty() {
        return Ok(Whole::AsIs);
    }
    // Not every engine knows local functions.
    model.inline()?;
    let made: HashSet<&str> =
        model.graph.nodes.iter().flat_map(|node| &node.outputs).map(String::as_str).collect();
    if let Some(exit) = manifest.exits.iter().find(|exit| !made.contains(exit.logits.as_str())) {
        return Err(other("logits", &exit.logits, "not a tensor of the model".to_owned()));
    }
    let batch = manifest.input.fixed_batch().map_or(Dim::Named("batch".to_owned()), Dim::Known);
    let output = |exit: &Exit| ValueInfo {
        name: exit.logits.clone(),
        dtype: Some(ElementType::Known(DType::Float32)),
        dims: Some(vec![batch.clone(), Dim::Known(manifest.classes.count)]),
    };
    model.graph.outputs = manifest.exits.iter().map(output).collect();
    Ok(Whole::Rewritten(Box::new(model)))
}

/// Logits of every exit for `batch` preprocessed images, by running all segments on values handed from one to the next.
///
/// # Errors
/// `Run` when a segment fails or the images are not of the network's input.
pub fn compose(
    pipeline: &Pipeline,
    images: HostTensor<'_>,
    batch: usize,
) -> Result<Vec<Vec<f32>>, ExportError> {
    let passed = values(pipeline, images, batch, usize::MAX)?;
    let read = |(stage, outputs): (&Stage, &Vec<Value>)| {
        let mut row = vec![0.0; batch * pipeline.classes()];
        outputs[stage.logits].read(&mut row)?;
        Ok(row)
    };
    pipeline.stages().iter().zip(&passed.stages).map(read).collect()
}

/// What segments made of images.
pub(crate) struct Values {
    /// The images.
    pub image: Value,
    /// By segment, its outputs.
    pub stages: Vec<Vec<Value>>,
}

/// Runs the first `segments` segments on values handed from one to the next.
pub(crate) fn values(
    pipeline: &Pipeline,
    images: HostTensor<'_>,
    batch: usize,
    segments: usize,
) -> Result<Values, ExportError> {
    let reader = pipeline.stages().iter().find_map(|stage| {
        let position = stage.feeds.iter().position(|feed| *feed == Feed::Image)?;
        Some((stage, position))
    });
    let (reader, position) =
        reader.ok_or_else(|| ExportError::NoValue { tensor: pipeline.input().name.clone() })?;
    let image = reader.runner.allocate(position, batch)?;
    image.write(images)?;
    let mut stages: Vec<Vec<Value>> = Vec::new();
    for stage in pipeline.stages().iter().take(segments) {
        let feed = |feed: &Feed| match *feed {
            Feed::Image => image.clone(),
            Feed::Output { stage, output } => stages[stage][output].clone(),
        };
        let inputs: Vec<Value> = stage.feeds.iter().map(feed).collect();
        let mut bound = stage.runner.bind(&inputs, batch)?;
        bound.run()?;
        stages.push(bound.outputs().to_vec());
    }
    Ok(Values { image, stages })
}

pub(crate) enum Noise {
    Float32(Vec<f32>),
    Uint8(Vec<u8>),
}

impl Noise {
    pub(crate) fn draw(input: &Input, batch: usize, rng: &mut ChaCha8Rng) -> Self {
        let elements = input.spec().elements_per_image() / input.fixed_batch().unwrap_or(1) * batch;
        if input.dtype == DType::Uint8 {
            let mut bytes = vec![0; elements];
            rng.fill_bytes(&mut bytes);
            return Self::Uint8(bytes);
        }
        let pixel = |position| Self::pixel(input, position, rng.random());
        Self::Float32((0..elements).map(pixel).collect())
    }

    /// The network's value at `position` for a `shade` from black, 0, to white, 1.
    pub(crate) fn pixel(input: &Input, position: usize, shade: f32) -> f32 {
        let [low, high] = input.range;
        let (channels, height, width) = input.chw();
        let value = low + (high - low) * shade;
        let channel = match input.layout {
            Layout::Nchw => position / (height * width) % channels,
            Layout::Nhwc => position % channels,
        };
        match (&input.mean, &input.std) {
            (Some(mean), Some(std)) => (value - mean[channel]) / std[channel],
            _ => value,
        }
    }

    pub(crate) fn view(&self) -> HostTensor<'_> {
        match self {
            Self::Float32(values) => HostTensor::Float32(values),
            Self::Uint8(values) => HostTensor::Uint8(values),
        }
    }
}
