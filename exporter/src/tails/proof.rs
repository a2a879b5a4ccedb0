//! The proof of tails: each answers as the segments that it stands for.

use std::path::Path;

use offramp_models::{Bundle, Canary, Tail, TensorSpec, Wire};
use offramp_runtime::backend::{Backend, Description, Origin, Runner, Value};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::composition::{self, Composition, Passed};
use crate::ExportError;
use crate::verify::{Noise, VerifyOptions};

/// How far tails and segments are apart on one engine.
#[derive(Clone, Debug, Serialize)]
pub struct TailVerification {
    /// What ran both.
    pub backend: Description,
    /// Random images run through segments and tails.
    pub images: usize,
    /// Largest difference allowed.
    pub tolerance: f32,
    /// By tail.
    pub tails: Vec<TailDifference>,
}

/// How far one tail is from what it stands for, relative to the exit's largest logit where that is above 1.
#[derive(Clone, Debug, Serialize)]
pub struct TailDifference {
    /// Where it begins.
    pub cut: usize,
    /// Form of the tensors that it takes.
    pub wire: Wire,
    /// From the segments, on random images; `None` for a tail that takes other values than segments give.
    pub segments: Option<f32>,
    /// From its canary, which was answered by the segments when the bundle was written.
    pub canary: f32,
}

impl TailDifference {
    /// The larger one.
    pub fn largest(&self) -> f32 {
        self.canary.max(self.segments.unwrap_or(0.0))
    }
}

impl TailVerification {
    /// The tail that differs most.
    pub fn worst(&self) -> Option<&TailDifference> {
        self.tails.iter().max_by(|a, b| a.largest().total_cmp(&b.largest()))
    }

    /// Whether every tail is within tolerance.
    pub fn holds(&self) -> bool {
        self.tails.iter().all(|tail| tail.largest() <= self.tolerance)
    }

    /// Makes a failed proof an error.
    ///
    /// # Errors
    /// `TailProof`, naming the worst tail.
    pub fn require(&self) -> Result<(), ExportError> {
        match self.worst() {
            Some(worst) if !self.holds() => Err(ExportError::TailProof {
                cut: worst.cut,
                wire: worst.wire,
                difference: worst.largest(),
                tolerance: self.tolerance,
            }),
            _ => Ok(()),
        }
    }
}

/// Runs seeded random images, the same as [`crate::verify::verify`], through the segments of `bundle` and from there
/// through each of its tails, and asks every tail its canary.
///
/// # Errors
/// `Bundle` for tails that were changed, `TailNotFinite` for one that gives no numbers, `Data` for a canary that
/// cannot be read, or an engine's error.
pub fn verify(
    bundle: &Bundle,
    backend: &dyn Backend,
    options: &VerifyOptions,
) -> Result<TailVerification, ExportError> {
    let tails = bundle.tails()?;
    let (description, tolerance) = (backend.describe(), options.tolerance);
    if tails.is_empty() {
        return Ok(TailVerification { backend: description, images: 0, tolerance, tails: Vec::new() });
    }
    let segments = Composition::new(bundle, backend, options.threads)?;
    let input = &bundle.manifest().input;
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let mut rounds = Vec::new();
    for round in 0..options.rounds.max(1) {
        let batch = input.fixed_batch().unwrap_or(1 + round);
        let image = Noise::draw(input, batch, &mut rng);
        rounds.push((batch, segments.run(image.view(), batch, usize::MAX)?));
    }
    let images = rounds.iter().map(|(batch, _)| batch).sum();
    let prove = |tail: &Tail| prove(bundle, tail, backend, options, &rounds);
    let tails = tails.iter().map(prove).collect::<Result<_, _>>()?;
    Ok(TailVerification { backend: description, images, tolerance, tails })
}

fn prove(
    bundle: &Bundle,
    tail: &Tail,
    backend: &dyn Backend,
    options: &VerifyOptions,
    rounds: &[(usize, Passed<'_>)],
) -> Result<TailDifference, ExportError> {
    let path = bundle.dir().join(&tail.file);
    let prepared = PreparedTail::open(backend, tail.cut, tail.wire, &path, &tail.outputs, options.threads)?;
    let differ = |canary: &Canary, answer: &[Vec<f32>]| {
        canary.difference(answer).ok_or(ExportError::TailNotFinite { cut: tail.cut, wire: tail.wire })
    };
    let segments = match tail.wire {
        Wire::U8 => None,
        Wire::F32 => {
            let mut largest = 0.0_f32;
            for (batch, passed) in rounds {
                let answer = prepared.logits(&passed.values(&tail.inputs)?, *batch)?;
                let logits = passed.logits_from(tail.cut)?;
                let question = Canary { batch: *batch, inputs: Vec::new(), logits };
                largest = largest.max(differ(&question, &answer)?);
            }
            Some(largest)
        }
    };
    let canary = Canary::read(bundle.dir(), tail).map_err(Box::new)?;
    let answer = prepared.answer(&canary.inputs, canary.batch)?;
    Ok(TailDifference { cut: tail.cut, wire: tail.wire, segments, canary: differ(&canary, &answer)? })
}

/// A tail, ready to run.
pub(super) struct PreparedTail {
    runner: Box<dyn Runner>,
    /// Positions of the exits' logits among its outputs.
    logits: Vec<usize>,
}

impl PreparedTail {
    /// The tail in the file at `path`, which gives `outputs`.
    pub(super) fn open(
        backend: &dyn Backend,
        cut: usize,
        wire: Wire,
        path: &Path,
        outputs: &[TensorSpec],
        threads: Option<usize>,
    ) -> Result<Self, ExportError> {
        let label = format!("tail {cut} ({wire})");
        let runner = composition::prepare(backend, &label, Origin::File(path), outputs, threads)?;
        let logits = outputs.iter().map(|spec| {
            let found = runner.outputs().iter().position(|output| output.name == spec.name);
            found.ok_or_else(|| ExportError::NoValue { tensor: spec.name.clone() })
        });
        Ok(Self { logits: logits.collect::<Result<_, _>>()?, runner })
    }

    /// Logits of all its exits, one list each.
    pub(super) fn logits(&self, inputs: &[Value], batch: usize) -> Result<Vec<Vec<f32>>, ExportError> {
        let mut bound = self.runner.bind(inputs, batch)?;
        bound.run()?;
        self.logits.iter().map(|at| composition::floats(&bound.outputs()[*at])).collect()
    }

    /// What it answers to inputs in host memory, little-endian.
    pub(super) fn answer(&self, inputs: &[Vec<u8>], batch: usize) -> Result<Vec<Vec<f32>>, ExportError> {
        let mut values = Vec::with_capacity(inputs.len());
        for (at, bytes) in inputs.iter().enumerate() {
            let value = self.runner.allocate(at, batch)?;
            value.write_bytes(0, bytes)?;
            values.push(value);
        }
        self.logits(&values, batch)
    }
}
