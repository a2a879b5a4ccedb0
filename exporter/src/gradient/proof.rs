//! The proof of gradient graphs: along a short way between two images, gradients add up to the difference of the loss.
//!
//! A loss is drawn: the sum of all logits, each times a random number; these are the cotangents. By the gradient
//! theorem the difference of the loss between the ends of a straight way is the gradient's line integral, whatever the
//! kinks of ReLU and max on it, which spoil differences at a point. The integral is taken by the trapezoidal rule on
//! several ways, short and long: on long ways more kinks fall between two points, on short ones float32 rounds the
//! loss. The best length counts.

use std::path::Path;

use offramp_models::{DType, Input, Manifest};
use offramp_runtime::backend::{
    Backend, Bound, GraphSource, HostTensor, Origin, Runner, RunnerOptions, Value,
};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::{cotangent_name, gradient_name};
use crate::ExportError;
use crate::verify::{Noise, Reference, VerifyOptions};

/// The most that a way's integral may differ from the loss, relative to the root of the summed squares of what pixels
/// contribute. A gradient that lacks a path, a mask or a factor is off by the share that this has.
pub const TOLERANCE: f64 = 0.02;

/// Stretches per way.
const STRETCHES: usize = 16;
/// Ways per length, each in a direction of its own, drawn as a sign per pixel.
const WAYS: usize = 4;
/// How far every pixel moves along a way, in units of the input's range.
const LENGTHS: [f32; 3] = [1.0 / 128.0, 1.0 / 512.0, 1.0 / 2048.0];

/// How well the gradient explains the loss.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct GradientVerification {
    /// Root mean square, over ways, of the integral's relative difference from the loss.
    pub difference: f64,
    /// What was allowed.
    pub tolerance: f64,
    /// Largest difference of a logit of the forward graph from the whole network's, relative to the largest logit.
    pub logits: f32,
    /// What was allowed of that.
    pub logits_tolerance: f32,
}

impl GradientVerification {
    /// Fails unless the gradient explains the loss, and the forward graph is the network.
    ///
    /// # Errors
    /// `GradientProof`, `ForwardProof`.
    pub fn require(&self) -> Result<(), ExportError> {
        let Self { difference, tolerance, logits, logits_tolerance } = *self;
        // Not a number is not within a tolerance.
        if difference.is_nan() || difference > tolerance {
            return Err(ExportError::GradientProof { difference, tolerance });
        }
        if logits > logits_tolerance {
            return Err(ExportError::ForwardProof { difference: logits, tolerance: logits_tolerance });
        }
        Ok(())
    }
}

/// Runs seeded random images and cotangents through the two graphs of `files`, forward first, and through the network
/// that they were derived from.
///
/// # Errors
/// `GradientNotFinite` for a gradient that is no number, `OtherNetwork` when the model is another one, or an engine's
/// error.
pub fn verify(
    files: [&Path; 2],
    manifest: &Manifest,
    model: &Path,
    backend: &dyn Backend,
    options: &VerifyOptions,
) -> Result<GradientVerification, ExportError> {
    let logits = manifest.exits.iter().map(|exit| exit.logits.clone()).collect();
    let pair = Pair::new(backend, files, &manifest.input.name, logits, options.threads)?;
    let reference = Reference::new(model, manifest, backend, options.threads)?;
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let batch = manifest.input.fixed_batch().unwrap_or(2);
    let image = Noise::draw(&manifest.input, batch, &mut rng);
    let (expected, found) = (reference.logits(image.view(), batch)?, pair.logits(image.view(), batch)?);
    let (mut apart, mut scale) = (0.0_f32, 1.0_f32);
    for (expected, found) in expected.iter().flatten().zip(found.iter().flatten()) {
        apart = apart.max((expected - found).abs());
        scale = scale.max(expected.abs());
    }
    Ok(GradientVerification {
        difference: pair.verify(&manifest.input, options.seed)?,
        tolerance: TOLERANCE,
        logits: apart / scale,
        logits_tolerance: options.tolerance,
    })
}

/// The two graphs, ready to run.
struct Pair {
    forward: Box<dyn Runner>,
    backward: Box<dyn Runner>,
    logits: Vec<String>,
}

impl Pair {
    /// Loads both graphs; the host reads logits and gradient.
    fn new(
        backend: &dyn Backend,
        [forward, backward]: [&Path; 2],
        input: &str,
        logits: Vec<String>,
        threads: Option<usize>,
    ) -> Result<Self, ExportError> {
        let prepare = |file, label: &str, host_outputs: Vec<String>| {
            let source = GraphSource { label: label.to_owned(), origin: Origin::File(file) };
            backend.prepare(&source, &RunnerOptions { threads, host_outputs, ..RunnerOptions::default() })
        };
        Ok(Self {
            forward: prepare(forward, "the forward graph", logits.clone())?,
            backward: prepare(backward, "the backward graph", vec![gradient_name(input)])?,
            logits,
        })
    }

    /// Logits of all exits, one list each.
    fn logits(&self, image: HostTensor<'_>, batch: usize) -> Result<Vec<Vec<f32>>, ExportError> {
        let forward = self.run(image, batch)?;
        self.logits.iter().enumerate().map(|(at, _)| read(&forward.outputs()[at])).collect()
    }

    fn run(&self, image: HostTensor<'_>, batch: usize) -> Result<Box<dyn Bound>, ExportError> {
        let input = self.forward.allocate(0, batch)?;
        input.write(image)?;
        let mut bound = self.forward.bind(&[input], batch)?;
        bound.run()?;
        Ok(bound)
    }

    /// Logits of all exits in a row, and the gradient of their sum with `weights`.
    fn gradient(
        &self,
        image: HostTensor<'_>,
        weights: &[Vec<f32>],
        batch: usize,
    ) -> Result<(Vec<Vec<f32>>, Vec<f32>), ExportError> {
        let forward = self.run(image, batch)?;
        let logits = self.logits.iter().enumerate().map(|(at, _)| read(&forward.outputs()[at]));
        let logits = logits.collect::<Result<Vec<_>, _>>()?;
        let mut inputs: Vec<Value> = Vec::new();
        for (position, spec) in self.backward.inputs().iter().enumerate() {
            let cotangent = self.logits.iter().position(|logits| cotangent_name(logits) == spec.name);
            if let Some(weights) = cotangent.and_then(|exit| weights.get(exit)) {
                let value = self.backward.allocate(position, batch)?;
                value.write(HostTensor::Float32(weights))?;
                inputs.push(value);
                continue;
            }
            let residual = self.forward.outputs().iter().position(|output| output.name == spec.name);
            inputs.extend(residual.and_then(|at| forward.outputs().get(at)).cloned());
        }
        let mut backward = self.backward.bind(&inputs, batch)?;
        backward.run()?;
        let gradient = backward.outputs().first().map(read).transpose()?;
        Ok((logits, gradient.unwrap_or_default()))
    }

    /// Takes the ways.
    fn verify(&self, input: &Input, seed: u64) -> Result<f64, ExportError> {
        let batch = input.fixed_batch().unwrap_or(2);
        let lengths: &[f32] = if input.dtype == DType::Uint8 { &[0.0] } else { &LENGTHS };
        let mut best = f64::INFINITY;
        for length in lengths {
            // The same images, directions and weights at every length.
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut squares = 0.0;
            for _ in 0..WAYS {
                let way = Way::draw(input, batch, *length, &mut rng);
                squares += self.take(&way, batch, &mut rng)?.powi(2);
            }
            best = best.min((squares / WAYS as f64).sqrt());
        }
        Ok(best)
    }

    /// The relative difference between the way's integral and the loss.
    fn take(&self, way: &Way, batch: usize, rng: &mut ChaCha8Rng) -> Result<f64, ExportError> {
        let counts = self.logits(way.at(0).view(), batch)?;
        let weights: Vec<Vec<f32>> =
            counts.iter().map(|row| row.iter().map(|_| rng.random_range(-1.0..1.0)).collect()).collect();
        let (mut integral, mut first, mut last) = (0.0, None, 0.0);
        let mut shares = vec![0.0_f64; way.start.len()];
        let mut before: Option<(Image, Vec<f32>)> = None;
        for point in 0..=STRETCHES {
            let image = way.at(point);
            let (logits, gradient) = self.gradient(image.view(), &weights, batch)?;
            if let Some(found) = gradient.iter().find(|element| !element.is_finite()) {
                return Err(ExportError::GradientNotFinite { found: *found });
            }
            last = loss(&logits, &weights);
            first = first.or(Some(last));
            if let Some((earlier, other)) = &before {
                for (at, share) in shares.iter_mut().enumerate() {
                    let mean = (f64::from(gradient[at]) + f64::from(other[at])) / 2.0;
                    let part = mean * (image.value(at) - earlier.value(at));
                    integral += part;
                    *share += part;
                }
            }
            before = Some((image, gradient));
        }
        let scale = shares.iter().map(|share| share * share).sum::<f64>().sqrt();
        let difference = (integral - (last - first.unwrap_or(last))).abs();
        Ok(if difference == 0.0 { 0.0 } else { difference / scale })
    }
}

fn loss(logits: &[Vec<f32>], weights: &[Vec<f32>]) -> f64 {
    let row = |(logits, weights): (&Vec<f32>, &Vec<f32>)| -> f64 {
        logits.iter().zip(weights).map(|(logit, weight)| f64::from(*logit) * f64::from(*weight)).sum()
    };
    logits.iter().zip(weights).map(row).sum()
}

fn read(value: &Value) -> Result<Vec<f32>, ExportError> {
    let mut elements = vec![0.0; value.shape().iter().product()];
    value.read(&mut elements)?;
    Ok(elements)
}

/// A straight way between two images.
struct Way {
    start: Vec<f32>,
    step: Vec<f32>,
    bytes: bool,
}

enum Image {
    Float32(Vec<f32>),
    Uint8(Vec<u8>),
}

impl Way {
    /// A way of `length`; of bytes, one whole number per stretch.
    fn draw(input: &Input, batch: usize, length: f32, rng: &mut ChaCha8Rng) -> Self {
        let elements = input.spec().elements_per_image() / input.fixed_batch().unwrap_or(1) * batch;
        let bytes = input.dtype == DType::Uint8;
        let step = if bytes { 1.0 } else { length / STRETCHES as f32 };
        let (mut start, mut steps) = (Vec::with_capacity(elements), Vec::with_capacity(elements));
        for position in 0..elements {
            let sign = if rng.random() { step } else { -step };
            if bytes {
                start.push(f32::from(rng.random_range(32..224_u8)));
                steps.push(sign);
            } else {
                let pixel = Noise::pixel(input, position, rng.random());
                start.push(pixel);
                steps.push(sign * (Noise::pixel(input, position, 1.0) - Noise::pixel(input, position, 0.0)));
            }
        }
        Self { start, step: steps, bytes }
    }

    fn at(&self, point: usize) -> Image {
        let moved = self.start.iter().zip(&self.step).map(|(start, step)| start + step * point as f32);
        match self.bytes {
            true => Image::Uint8(moved.map(|value| value as u8).collect()),
            false => Image::Float32(moved.collect()),
        }
    }
}

impl Image {
    fn view(&self) -> HostTensor<'_> {
        match self {
            Self::Float32(values) => HostTensor::Float32(values),
            Self::Uint8(values) => HostTensor::Uint8(values),
        }
    }

    fn value(&self, at: usize) -> f64 {
        match self {
            Self::Float32(values) => f64::from(values[at]),
            Self::Uint8(values) => f64::from(values[at]),
        }
    }
}
