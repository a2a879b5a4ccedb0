//! From a data set to an adversarial set.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use offramp_models::dataset::{Chw, DataError, Dataset, Picture, Samples};
use offramp_models::preprocess::{PreprocessError, Resampler};
use offramp_runtime::confidence::NotFinite;
use offramp_runtime::policy::{Policy, PolicyError, PolicySpec};
use serde::{Deserialize, Serialize};

use super::{AdversarialSet, Crafted, Score, Size};
use crate::attack::{AttackError, Batch, Norm, apply};
use crate::loss::{Logits, Loss};
use crate::method::{Method, MethodError, Walk};
use crate::oracle::{Oracle, OracleError};

/// Whose labels are attacked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Labels {
    /// The data's; for the Early Attack the final exit's answers all the same.
    #[default]
    Data,
    /// The final exit's answers to the benign images.
    Predicted,
}

impl Labels {
    /// `data` or `predicted`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Predicted => "predicted",
        }
    }
}

/// How a set is crafted.
#[derive(Clone, Debug)]
pub struct Craft {
    /// The attack.
    pub method: Method,
    /// Under which exits are counted.
    pub policy: PolicySpec,
    /// Whose labels are attacked.
    pub labels: Labels,
    /// Images at once.
    pub batch: NonZeroUsize,
    /// Images, the first ones, that a universal perturbation is crafted on.
    pub crafting: NonZeroUsize,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Iterations done, over all batches.
    pub done: usize,
    /// Iterations at most.
    pub of: usize,
}

/// A set that cannot be crafted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CraftError {
    /// Settings that make no attack.
    #[error(transparent)]
    Method(#[from] MethodError),
    /// A policy that does not fit the network.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A picture that cannot be read, or a label out of range.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A picture that cannot become the network's input.
    #[error("image {image}")]
    Picture {
        /// Its index in the data.
        image: usize,
        /// Why.
        source: PreprocessError,
    },
    /// The attack needs a label.
    #[error("image {image} has no label, which {} needs", .method.name())]
    NoLabel {
        /// The first such image.
        image: usize,
        /// The attack.
        method: crate::method::Kind,
    },
    /// No image can be attacked: the aim holds for all of them as they are.
    #[error(
        "the attack's aim holds for all {images} images before anything is changed: there is nothing to attack"
    )]
    NothingToAttack {
        /// Images.
        images: usize,
    },
    /// The attack failed.
    #[error("images {first} to {last}")]
    Attack {
        /// The first of the batch.
        first: usize,
        /// The last of the batch.
        last: usize,
        /// Why.
        source: Box<AttackError>,
    },
    /// A network that insists on another batch.
    #[error("attacks need a network with a free batch or one fixed to 1, got one fixed to {found}")]
    Batch {
        /// What the network takes.
        found: usize,
    },
}

/// Crafts a set from `data` with pictures of `shape`; `progress` says whether to go on.
///
/// # Errors
/// Any [`CraftError`]; `NothingToAttack` before the first gradient, `Attack` with `Stopped` inside when `progress` said
/// so.
pub fn craft(
    oracle: &mut dyn Oracle,
    data: &dyn Dataset,
    shape: Chw,
    options: &Craft,
    progress: &mut dyn FnMut(Progress) -> bool,
) -> Result<AdversarialSet, CraftError> {
    let Craft { method, labels, .. } = options;
    let exits = oracle.exits();
    let prepared = method.prepare(exits, &options.policy)?;
    let batch = at_once(oracle, options, data.len())?;
    data.check_labels(oracle.classes())?;
    let predicted = *labels == Labels::Predicted || method.needs_predictions();
    if method.needs_labels()
        && !predicted
        && let Some(image) = (0..data.len()).find(|image| data.label(*image).is_none())
    {
        return Err(CraftError::NoLabel { image, method: method.kind });
    }
    let mut workshop = Workshop {
        data,
        shape,
        policy: options.policy.fit(exits)?,
        loss: prepared.loss,
        predicted,
        resampler: Resampler::default(),
        picture: Picture::default(),
        set: AdversarialSet { shape, samples: Vec::new(), images: Vec::new() },
    };
    let batches = data.len().div_ceil(batch);
    let (mut done, per_batch) = (
        0,
        match &prepared.walk {
            Walk::PerImage(attack) => attack.iterations(),
            Walk::Universal(_) => 0,
        },
    );
    let of = batches.saturating_mul(per_batch);
    let mut ahead = workshop.until_attackable(oracle, batch, &mut || progress(Progress { done, of }))?;
    let perturbation = match &prepared.walk {
        Walk::PerImage(_) => None,
        Walk::Universal(universal) => {
            let crafting = options.crafting.get().min(data.len());
            let material = workshop.material(oracle, 0, crafting, batch)?;
            let mut step = || {
                done += 1;
                progress(Progress { done, of: universal.iterations })
            };
            let made = universal.craft(oracle, material.batch(), batch, &mut step);
            Some(made.map_err(|error| CraftError::Attack {
                first: 0,
                last: crafting - 1,
                source: error.into(),
            })?)
        }
    };
    for number in 0..batches {
        let first = number * batch;
        let count = batch.min(data.len() - first);
        let mut material = match ahead.pop_front() {
            Some(material) => workshop.with_pixels(material)?,
            None => workshop.material(oracle, first, count, batch)?,
        };
        let failed = |source: AttackError| CraftError::Attack {
            first,
            last: first + count - 1,
            source: source.into(),
        };
        let crafted = match (&prepared.walk, &perturbation) {
            (Walk::PerImage(attack), _) => {
                let mut steps = 0;
                let mut step = || {
                    steps += 1;
                    let done = number.saturating_mul(per_batch).saturating_add(steps);
                    progress(Progress { done, of })
                };
                attack.perturb(oracle, material.batch(), &mut step).map_err(failed)?
            }
            (Walk::Universal(_), perturbation) => {
                let mut pixels = material.pixels.clone();
                apply(perturbation.as_deref().unwrap_or_default(), &mut pixels);
                pixels
            }
        };
        workshop.take(oracle, &mut material, crafted).map_err(failed)?;
    }
    Ok(workshop.set)
}

/// Images at once: no more than there are, and what the network insists on.
fn at_once(oracle: &dyn Oracle, options: &Craft, images: usize) -> Result<usize, CraftError> {
    match oracle.fixed_batch() {
        None => Ok(options.batch.get().min(images.max(1))),
        Some(1) => Ok(1),
        Some(found) => Err(CraftError::Batch { found }),
    }
}

/// What lasts from batch to batch.
struct Workshop<'a> {
    data: &'a dyn Dataset,
    shape: Chw,
    policy: Box<dyn Policy + Send + Sync>,
    loss: Box<dyn Loss>,
    /// Whether the network's own answers are attacked.
    predicted: bool,
    resampler: Resampler,
    picture: Picture,
    set: AdversarialSet,
}

/// Benign images and what the network says of them.
struct Material {
    indices: Vec<usize>,
    pixels: Vec<f32>,
    attacked: Vec<usize>,
    benign: Vec<Score>,
}

impl Material {
    fn batch(&self) -> Batch<'_> {
        Batch { indices: &self.indices, pixels: &self.pixels, labels: &self.attacked }
    }
}

impl Workshop<'_> {
    /// Reads images, and asks the network about them, at most `batch` at once.
    fn material(
        &mut self,
        oracle: &mut dyn Oracle,
        first: usize,
        count: usize,
        batch: usize,
    ) -> Result<Material, CraftError> {
        let samples = self.shape.samples();
        let indices: Vec<usize> = (first..first + count).collect();
        let pixels = self.pixels(&indices)?;
        let (mut attacked, mut benign) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let parts = pixels.chunks(batch * samples).zip(indices.chunks(batch));
        for (pixels, indices) in parts {
            let failed = |source: OracleError| CraftError::Attack {
                first: indices[0],
                last: indices[indices.len() - 1],
                source: Box::new(source.into()),
            };
            let logits = ask(oracle, pixels).map_err(failed)?;
            for (position, logits) in logits.of_images().enumerate() {
                let answer = logits.predicted(logits.exits() - 1);
                let label = self.data.label(indices[position]).filter(|_| !self.predicted);
                let label = label.unwrap_or(answer);
                attacked.push(label);
                benign.push(self.score(logits, label, position).map_err(failed)?);
            }
        }
        Ok(Material { indices, pixels, attacked, benign })
    }

    fn pixels(&mut self, indices: &[usize]) -> Result<Vec<f32>, CraftError> {
        let mut pixels = Vec::with_capacity(indices.len() * self.shape.samples());
        for &image in indices {
            self.data.read(image, &mut self.picture)?;
            let picture = self.resampler.bring_to(&self.picture, self.shape);
            match picture.map_err(|source| CraftError::Picture { image, source })?.samples() {
                Samples::U8(bytes) => pixels.extend(bytes.iter().map(|byte| f32::from(*byte) / 255.0)),
                Samples::F32(floats) => pixels.extend_from_slice(floats),
            }
        }
        Ok(pixels)
    }

    /// The first batches, up to the first with an image for which the aim does not hold yet; those before it without
    /// their pixels, for they may be all of the data.
    fn until_attackable(
        &mut self,
        oracle: &mut dyn Oracle,
        batch: usize,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<VecDeque<Material>, CraftError> {
        let (mut ahead, images) = (VecDeque::new(), self.data.len());
        for first in (0..images).step_by(batch) {
            let count = batch.min(images - first);
            let mut material = self.material(oracle, first, count, batch)?;
            if material.benign.iter().any(|score| score.reached != Some(true)) {
                ahead.push_back(material);
                return Ok(ahead);
            }
            material.pixels = Vec::new();
            ahead.push_back(material);
            if !go_on() {
                let (last, source) = (first + count - 1, Box::new(AttackError::Stopped));
                return Err(CraftError::Attack { first, last, source });
            }
        }
        Err(CraftError::NothingToAttack { images })
    }

    fn with_pixels(&mut self, mut material: Material) -> Result<Material, CraftError> {
        if material.pixels.is_empty() {
            material.pixels = self.pixels(&material.indices)?;
        }
        Ok(material)
    }

    fn score(&self, logits: Logits<'_>, label: usize, image: usize) -> Result<Score, OracleError> {
        let logits_error = |source: NotFinite| OracleError::Logits { image, source };
        Score::of(logits, self.policy.as_ref(), self.loss.as_ref(), label).map_err(logits_error)
    }

    /// Scores what was crafted, rounds it, scores it again and puts it into the set.
    fn take(
        &mut self,
        oracle: &mut dyn Oracle,
        material: &mut Material,
        crafted: Vec<f32>,
    ) -> Result<(), AttackError> {
        let samples = self.shape.samples();
        let bytes: Vec<u8> = crafted.iter().map(|x| (x * 255.0).round() as u8).collect();
        let rounded: Vec<f32> = bytes.iter().map(|byte| f32::from(*byte) / 255.0).collect();
        let float = ask(oracle, &crafted)?;
        let stored = ask(oracle, &rounded)?;
        let pictures = rounded.chunks_exact(samples).zip(material.pixels.chunks_exact(samples));
        let logits = float.of_images().zip(stored.of_images());
        let benign = std::mem::take(&mut material.benign);
        for (position, (((picture, original), (float, stored)), benign)) in
            pictures.zip(logits).zip(benign).enumerate()
        {
            let (index, attacked) = (material.indices[position], material.attacked[position]);
            let change = || picture.iter().zip(original).map(|(x, original)| x - original);
            self.set.images.push(Crafted {
                index,
                label: self.data.label(index),
                attacked,
                size: Size {
                    linf: Norm::Linf.length(change()),
                    l2: Norm::L2.length(change()),
                    l1: Norm::L1.length(change()),
                },
                benign,
                float: self.score(float, attacked, position)?,
                stored: self.score(stored, attacked, position)?,
            });
        }
        self.set.samples.extend_from_slice(&bytes);
        Ok(())
    }
}

/// Logits of a batch.
struct BatchLogits {
    values: Vec<f32>,
    each: usize,
    classes: usize,
}

impl BatchLogits {
    fn of_images(&self) -> impl Iterator<Item = Logits<'_>> {
        self.values.chunks_exact(self.each).map(|logits| Logits::new(logits, self.classes))
    }
}

fn ask(oracle: &mut dyn Oracle, pixels: &[f32]) -> Result<BatchLogits, OracleError> {
    let (classes, each) = (oracle.classes(), oracle.exits() * oracle.classes());
    let mut values = vec![0.0; pixels.len() / oracle.samples() * each];
    oracle.forward(pixels, &mut values)?;
    Ok(BatchLogits { values, each, classes })
}
