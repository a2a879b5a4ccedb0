//! One forward and one backward pass for a batch under a loss, with buffers that are used again.

use super::AttackError;
use crate::loss::{Logits, Loss};
use crate::oracle::Oracle;

/// Logits, losses and gradients of a batch.
#[derive(Debug)]
pub struct Evaluation {
    exits: usize,
    classes: usize,
    samples: usize,
    logits: Vec<f32>,
    cotangents: Vec<f32>,
    /// By image.
    pub losses: Vec<f64>,
    /// By image: [`Loss::reached`].
    pub reached: Vec<Option<bool>>,
    /// Gradient of the losses with respect to the pixels.
    pub gradient: Vec<f32>,
}

impl Evaluation {
    /// Room for `images` of the oracle's network.
    pub fn new(oracle: &dyn Oracle, images: usize) -> Self {
        let (exits, classes, samples) = (oracle.exits(), oracle.classes(), oracle.samples());
        Self {
            exits,
            classes,
            samples,
            logits: vec![0.0; images * exits * classes],
            cotangents: vec![0.0; images * exits * classes],
            losses: vec![0.0; images],
            reached: vec![None; images],
            gradient: vec![0.0; images * samples],
        }
    }

    /// Logits and losses at `pixels`.
    ///
    /// # Errors
    /// `Oracle` when the network fails.
    pub fn look(
        &mut self,
        oracle: &mut dyn Oracle,
        loss: &dyn Loss,
        pixels: &[f32],
        labels: &[usize],
    ) -> Result<(), AttackError> {
        oracle.forward(pixels, &mut self.logits)?;
        let each = self.exits * self.classes;
        let rows = self.logits.chunks_exact(each).zip(self.cotangents.chunks_exact_mut(each));
        for (image, ((logits, cotangents), &label)) in rows.zip(labels).enumerate() {
            let logits = Logits::new(logits, self.classes);
            self.losses[image] = loss.evaluate(logits, label, cotangents);
            self.reached[image] = loss.reached(logits, label);
        }
        Ok(())
    }

    /// Logits, losses and the gradient at `pixels`: one pass forward, one backward.
    ///
    /// # Errors
    /// `Oracle` when the network fails.
    pub fn climb(
        &mut self,
        oracle: &mut dyn Oracle,
        loss: &dyn Loss,
        pixels: &[f32],
        labels: &[usize],
    ) -> Result<(), AttackError> {
        self.look(oracle, loss, pixels, labels)?;
        Ok(oracle.backward(&self.cotangents, &mut self.gradient)?)
    }

    /// The logits of one image.
    pub fn logits(&self, image: usize) -> Logits<'_> {
        let each = self.exits * self.classes;
        Logits::new(&self.logits[image * each..(image + 1) * each], self.classes)
    }

    /// The gradient of every image, to be changed.
    pub fn gradients(&mut self) -> std::slice::ChunksExactMut<'_, f32> {
        self.gradient.chunks_exact_mut(self.samples)
    }
}
