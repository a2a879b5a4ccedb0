//! The gradient of a network that was split already: a bundle's own graphs, or derived from its segments.

use offramp_graph::ir::Model;
use offramp_graph::{fold, fuse};
use offramp_models::manifest::Extra;
use offramp_models::{Bundle, BundleError};

use super::{GradientError, Gradients, derive_from};

/// A bundle whose gradient cannot be derived.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleGradientError {
    /// Its files are not what was written.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A segment or gradient graph is no model.
    #[error(transparent)]
    Read(#[from] offramp_graph::ReadError),
    /// The segments do not fit together.
    #[error("the segments cannot be put together")]
    Fuse(#[from] offramp_graph::FuseError),
    /// The network does not hold together.
    #[error("the segments, put together, cannot be folded")]
    Fold(#[from] fold::FoldError),
    /// An operator stands in the way.
    #[error(transparent)]
    Gradient(#[from] GradientError),
}

/// The gradient graphs of `bundle`, all of whose files are checked: those that it brings, else derived from its segments,
/// which composed are the network.
///
/// # Errors
/// [`BundleGradientError`]; `Gradient` names the operator that has no rule.
pub fn of_bundle(bundle: &Bundle) -> Result<Gradients, BundleGradientError> {
    bundle.check()?;
    let manifest = bundle.manifest();
    let brought = |kind| manifest.extra(kind).map(|extra| Model::read(bundle.dir().join(&extra.file)));
    if let (Some(forward), Some(backward)) =
        (brought(Extra::GRADIENT_FORWARD), brought(Extra::GRADIENT_BACKWARD))
    {
        return Ok(Gradients { forward: forward?, backward: backward? });
    }
    let parts = manifest.segments.iter().map(|segment| Model::read(bundle.dir().join(&segment.file)));
    let whole = match parts.collect::<Result<Vec<_>, _>>()? {
        mut only if only.len() == 1 => only.remove(0),
        parts => fuse(&parts)?,
    };
    let logits: Vec<String> = manifest.exits.iter().map(|exit| exit.logits.clone()).collect();
    let folded = fold::fold(whole)?;
    Ok(derive_from(&folded.model, &manifest.input.name, &logits)?)
}
