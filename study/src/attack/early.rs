//! The Early Attack: every early exit wrong, the final label kept.
//!
//! Source: the project's paper, §6.1 and algorithm 1: with `x = (tanh w + 1) / 2`, minimise the distance from the image
//! plus `c * L` over `w` by Adam. The published code departs from the text in many ways; each is a field here, and the
//! three [`EarlyMode`]s are settings of them.

mod adam;
mod distance;
mod keep;
mod mode;

use super::evaluation::Evaluation;
use super::{Attack, AttackError, Batch};
use crate::loss::EarlyLoss;
use crate::oracle::Oracle;
use crate::random;
use adam::Adam;
pub use distance::Distance;
pub use keep::{Keep, KeepError};
pub use mode::{C, EarlyMode};
use rand::Rng as _;
use serde::{Deserialize, Serialize};

/// The Early Attack; labels are the final exit's answers to the benign images.
#[derive(Clone, Debug, PartialEq)]
pub struct Early {
    /// What is added, `c` times, to the distance.
    pub loss: EarlyLoss,
    /// Weight of the loss, `c`.
    pub c: f32,
    /// Distance from the image.
    pub distance: Distance,
    /// Where the search starts.
    pub start: EarlyStart,
    /// Which iterate is the result.
    pub keep: Keep,
    /// Shows the network every iterate as 8 bits would store it, and passes its gradient straight through.
    pub rounding: bool,
    /// Iterations at most, `T`.
    pub iterations: usize,
    /// Adam's.
    pub learning_rate: f32,
    /// Seed of random starts.
    pub seed: u64,
}

/// Where the search starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EarlyStart {
    /// `w` drawn evenly from [0, 1): a bright grey noise that has nothing of the image.
    Noise,
    /// The image.
    Image,
}

/// Keeps `atanh` finite at black and white.
const INSIDE: f32 = 1.0 - 1e-6;

/// One image on its way.
struct Search {
    /// Position in the batch.
    image: usize,
    w: Vec<f32>,
    adam: Adam,
    /// Squared l2 distance of the best success so far.
    nearest: f64,
}

impl Early {
    fn search(&self, batch: Batch<'_>, image: usize, samples: usize) -> Search {
        let pixels = &batch.pixels[image * samples..(image + 1) * samples];
        let w = match self.start {
            EarlyStart::Image => pixels.iter().map(|x| (INSIDE * (2.0 * x - 1.0)).atanh()).collect(),
            EarlyStart::Noise => {
                let mut random = random::generator(self.seed, batch.indices[image], 0);
                pixels.iter().map(|_| random.random::<f32>()).collect()
            }
        };
        Search { image, w, adam: Adam::new(samples, self.learning_rate), nearest: f64::INFINITY }
    }

    /// Whether the search for this image is over, now that its iterate has been seen; takes the iterate where it is to
    /// be kept.
    fn settle(
        &self,
        iteration: usize,
        success: bool,
        search: &mut Search,
        original: &[f32],
        iterate: &[f32],
        result: &mut [f32],
    ) -> bool {
        let last = iteration + 1 == self.iterations;
        match self.keep {
            Keep::Nearest => {
                let distance: f64 = iterate.iter().zip(original).map(|(x, o)| f64::from(x - o).powi(2)).sum();
                if success && distance < search.nearest {
                    search.nearest = distance;
                    result.copy_from_slice(iterate);
                } else if last && search.nearest.is_infinite() {
                    result.copy_from_slice(iterate);
                }
                last
            }
            Keep::First | Keep::FirstAfter(_) => {
                let floor = if let Keep::FirstAfter(floor) = self.keep { floor } else { 0 };
                let over = last || (success && iteration >= floor);
                if over {
                    result.copy_from_slice(iterate);
                }
                over
            }
        }
    }
}

impl Attack for Early {
    fn perturb(
        &self,
        oracle: &mut dyn Oracle,
        batch: Batch<'_>,
        step: &mut dyn FnMut() -> bool,
    ) -> Result<Vec<f32>, AttackError> {
        let samples = oracle.samples();
        let originals: Vec<&[f32]> = batch.pixels.chunks_exact(samples).collect();
        let mut result = batch.pixels.to_vec();
        let mut searches: Vec<Option<Search>> =
            (0..batch.len()).map(|image| Some(self.search(batch, image, samples))).collect();
        let mut rows = Rows::of(&searches, batch.labels, samples);
        let mut evaluation = Evaluation::new(oracle, searches.len());
        for iteration in 0..self.iterations {
            for (search, pixels) in searches.iter().zip(rows.pixels.chunks_exact_mut(samples)) {
                let Some(search) = search else { continue };
                for (pixel, w) in pixels.iter_mut().zip(&search.w) {
                    *pixel = f32::midpoint(w.tanh(), 1.0);
                }
                if self.rounding {
                    pixels.iter_mut().for_each(|pixel| *pixel = (*pixel * 255.0).round() / 255.0);
                }
            }
            evaluation.climb(oracle, &self.loss, &rows.pixels, &rows.labels)?;
            let iterates = rows.pixels.chunks_exact(samples).zip(evaluation.reached.clone());
            for ((slot, (iterate, reached)), ascent) in
                searches.iter_mut().zip(iterates).zip(evaluation.gradients())
            {
                let Some(search) = slot else { continue };
                let original = originals[search.image];
                let kept = &mut result[search.image * samples..(search.image + 1) * samples];
                if self.settle(iteration, reached == Some(true), search, original, iterate, kept) {
                    *slot = None;
                    continue;
                }
                // What is ascended is minus the loss, what is minimised is distance + c * loss.
                ascent.iter_mut().for_each(|gradient| *gradient *= -self.c);
                self.distance.add_gradient(iterate, original, ascent);
                for (gradient, w) in ascent.iter_mut().zip(&search.w) {
                    let t = w.tanh();
                    *gradient *= (1.0 - t * t) / 2.0;
                }
                search.adam.descend(&mut search.w, ascent);
            }
            if !step() {
                return Err(AttackError::Stopped);
            }
            let going = searches.iter().filter(|search| search.is_some()).count();
            if going == 0 {
                break;
            }
            // Every size of batch is wired anew, so batches shrink by halves.
            if going * 2 <= searches.len() && oracle.fixed_batch().is_none() {
                searches.retain(Option::is_some);
                rows = Rows::of(&searches, batch.labels, samples);
                evaluation = Evaluation::new(oracle, searches.len());
            }
        }
        Ok(result)
    }

    fn iterations(&self) -> usize {
        self.iterations
    }
}

/// What the network is asked about.
struct Rows {
    pixels: Vec<f32>,
    labels: Vec<usize>,
}

impl Rows {
    fn of(searches: &[Option<Search>], labels: &[usize], samples: usize) -> Self {
        let labels = searches.iter().flatten().map(|search| labels[search.image]).collect();
        Self { pixels: vec![0.0; searches.len() * samples], labels }
    }
}
