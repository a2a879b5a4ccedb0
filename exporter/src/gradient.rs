//! Gradient graphs: how the logits of a network change with its image, as plain ONNX.
//!
//! [`derive()`] writes a multi-exit network as two graphs that any engine runs. The *forward* graph takes the image and
//! gives every exit's logits, in exit order, then *residuals*: tensors computed on the way that the way back needs. The
//! *backward* graph takes `cotangent.<logits>` for every exit, in exit order, then the residuals, and gives
//! `gradient.<input>`: the product of the cotangents with the Jacobian of all logits (a vector-Jacobian product), that
//! is the gradient with respect to the image of any loss whose derivatives by the logits the cotangents are. Of an
//! image of whole numbers the gradient is taken where it becomes floats, as float32.
//!
//! The walk back (`tape`) asks one rule per operator (`rules`, a module per operator with its derivation). Names of
//! the backward graph's own tensors begin with `gradient.`: both graphs can be fused into one.

mod absorb;
mod assembly;
mod broadcast;
mod bundle;
mod emitter;
pub mod error;
mod forward;
mod kernel;
mod layout;
mod places;
pub mod proof;
mod rules;
mod step;
mod tape;
mod tiles;
mod windows;

use offramp_graph::ir::Model;

use crate::plan::Plan;
pub use bundle::{BundleGradientError, of_bundle};
pub use error::GradientError;

/// The two graphs of a network's gradient.
#[derive(Clone, Debug)]
pub struct Gradients {
    /// Image in; logits in exit order, then residuals, out.
    pub forward: Model,
    /// `cotangent.<logits>` in exit order, then residuals, in; `gradient.<input>` out.
    pub backward: Model,
}

impl Gradients {
    /// The operators that [`derive()`] has a rule for, in order.
    pub fn operators() -> impl Iterator<Item = &'static str> {
        rules::operators()
    }
}

/// The forward graph in a bundle.
pub const FORWARD: &str = "gradient/forward.onnx";
/// The backward graph in a bundle.
pub const BACKWARD: &str = "gradient/backward.onnx";

/// The backward graph's input that goes with these logits.
pub fn cotangent_name(logits: &str) -> String {
    format!("cotangent.{logits}")
}

/// The backward graph's output for this input of the network.
pub fn gradient_name(input: &str) -> String {
    format!("gradient.{input}")
}

/// Derives the gradient of a planned network.
///
/// # Errors
/// [`GradientError`]: `NoRule` and `Unsupported` name the operator that stands in the way; `ElementType` and `Open`
/// the tensor.
pub fn derive(plan: &Plan) -> Result<Gradients, GradientError> {
    let logits: Vec<String> = plan.exits.iter().map(|exit| exit.logits.clone()).collect();
    derive_from(&plan.model, &plan.input.name, &logits)
}

/// Derives the gradient of `logits`, tensors of a folded `model`, with respect to its input.
///
/// # Errors
/// As [`derive()`].
pub fn derive_from(model: &Model, input: &str, logits: &[String]) -> Result<Gradients, GradientError> {
    assembly::assemble(model, input, logits)
}
