//! What can go wrong between an attack and the network.

use offramp_models::preprocess::PreprocessError;
use offramp_runtime::backend::{BackendError, RunError};
use offramp_runtime::confidence::NotFinite;

/// A network that gives no logits or no gradient.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OracleError {
    /// The engine cannot run a gradient graph.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The engine failed.
    #[error("the {pass} pass failed")]
    Run {
        /// `forward` or `backward`.
        pass: &'static str,
        /// The engine's reason.
        #[source]
        source: RunError,
    },
    /// No picture can become the network's input.
    #[error(transparent)]
    Input(#[from] PreprocessError),
    /// An exit's logits are no numbers.
    #[error("image {image} of the batch has no answer")]
    Logits {
        /// Position in the batch.
        image: usize,
        /// The logit.
        source: NotFinite,
    },
    /// A gradient that is no number.
    #[error(
        "the gradient of image {image} of the batch is {found} at sample {sample}, expected a finite number"
    )]
    Gradient {
        /// Position in the batch.
        image: usize,
        /// Position among the picture's samples.
        sample: usize,
        /// NaN or an infinity.
        found: f32,
    },
    /// Graphs that do not belong to the bundle.
    #[error("the gradient graphs lack \"{tensor}\", which the bundle's manifest names")]
    Tensor {
        /// Logits, or the gradient of the input.
        tensor: String,
    },
    /// Not whole pictures, or a backward pass of another batch than the forward pass before it.
    #[error("{what}: expected {expected} elements, got {found}")]
    Length {
        /// `pixels`, `logits`, `cotangents` or `gradient`.
        what: &'static str,
        /// Elements expected.
        expected: usize,
        /// Elements given.
        found: usize,
    },
}
