//! What adversarial and corrupted inputs do to an early-exit network.
//!
//! An [`oracle`] answers with the logits of every exit and the gradient for any cotangents on them, on the backends
//! that run the network; a [`loss`] turns logits into cotangents; an [`attack`] walks along the gradient within a
//! budget. Nothing of this is linked on the edge.

pub mod adversarial;
pub mod attack;
pub mod bench;
pub mod campaign;
pub mod corruption;
pub mod findings;
pub mod loss;
pub mod method;
pub mod metrics;
pub mod offload;
pub mod oracle;
pub mod plot;
mod random;
pub mod report;
pub mod softmax;
