//! What an attack drives up: a pure function of one image's logits.

mod cross_entropy;
mod early;
mod uniform;

pub use cross_entropy::{Aim, CrossEntropy};
pub use early::{EarlyExits, EarlyLoss, Rivals};
pub use uniform::TowardsUniform;

/// Logits of every exit for one image, shape `[exits, classes]`.
#[derive(Clone, Copy, Debug)]
pub struct Logits<'a> {
    values: &'a [f32],
    classes: usize,
}

/// A loss that an attack ascends.
pub trait Loss {
    /// The loss of one image, and its gradient with respect to the logits in `cotangents`, shape `[exits, classes]`;
    /// what was in them is overwritten.
    fn evaluate(&self, logits: Logits<'_>, label: usize, cotangents: &mut [f32]) -> f64;

    /// Whether what the attack is after holds for an image with these logits; `None` where it is no matter of yes or no.
    fn reached(&self, logits: Logits<'_>, label: usize) -> Option<bool>;
}

impl<'a> Logits<'a> {
    /// `values` of shape `[exits, classes]`.
    pub fn new(values: &'a [f32], classes: usize) -> Self {
        Self { values, classes }
    }

    /// Number of exits.
    pub fn exits(self) -> usize {
        self.values.len() / self.classes
    }

    /// Number of classes.
    pub fn classes(self) -> usize {
        self.classes
    }

    /// The logits of one exit, shape `[classes]`.
    pub fn of(self, exit: usize) -> &'a [f32] {
        &self.values[exit * self.classes..(exit + 1) * self.classes]
    }

    /// The logits of every exit, by depth.
    pub fn by_exit(self) -> impl DoubleEndedIterator<Item = &'a [f32]> + ExactSizeIterator {
        self.values.chunks_exact(self.classes)
    }

    /// The label that an exit predicts, the lowest of equals.
    pub fn predicted(self, exit: usize) -> usize {
        let logits = self.of(exit);
        (1..logits.len()).fold(0, |best, class| if logits[class] > logits[best] { class } else { best })
    }
}
