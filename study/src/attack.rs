//! Methods that craft adversarial images by walking along the gradient.
//!
//! Every attack works on pictures in [0, 1] and is given batches; what it does to one image depends on the seed and the
//! image's index alone, never on its neighbours or on the size of the batch.

mod ascent;
mod ball;
mod deepsloth;
mod early;
mod evaluation;
mod fgsm;
mod mi_fgsm;
mod pgd;
mod start;
mod universal;

pub use ascent::{Ascent, Decay, Start};
pub use ball::{Ball, BallError, Norm};
pub use deepsloth::{deepsloth, universal_deepsloth};
pub use early::{C, Distance, Early, EarlyMode, EarlyStart, Keep, KeepError};
pub use evaluation::Evaluation;
pub use fgsm::fgsm;
pub use mi_fgsm::mi_fgsm;
pub use pgd::{PgdOptions, pgd};
pub use universal::{Universal, apply};

use crate::oracle::{Oracle, OracleError};

/// Images to perturb.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Index of each in its data; keys what is random.
    pub indices: &'a [usize],
    /// Samples in [0, 1], shape `[images, C, H, W]`.
    pub pixels: &'a [f32],
    /// The label of each, which the attack is about.
    pub labels: &'a [usize],
}

impl Batch<'_> {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }
}

/// An attack.
pub trait Attack {
    /// Perturbed images, in [0, 1], in the shape and order of `batch`.
    ///
    /// `step` is told after every iteration, for progress; it says whether to go on.
    ///
    /// # Errors
    /// `Oracle` when the network fails, `Stopped` when `step` said so.
    fn perturb(
        &self,
        oracle: &mut dyn Oracle,
        batch: Batch<'_>,
        step: &mut dyn FnMut() -> bool,
    ) -> Result<Vec<f32>, AttackError>;

    /// Iterations per batch, for progress.
    fn iterations(&self) -> usize;
}

/// An attack that came to no end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttackError {
    /// The network gave no logits or no gradient.
    #[error(transparent)]
    Oracle(#[from] OracleError),
    /// It was told to stop.
    #[error("the attack was stopped")]
    Stopped,
}
