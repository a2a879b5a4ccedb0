//! A bundle's gradient graphs, from its files or from its segments.

use offramp_exporter::ExportError;
use offramp_exporter::gradient::{self, BundleGradientError};
use offramp_exporter::verify::{self, VerifyOptions};
use offramp_models::Bundle;
use offramp_models::manifest::Extra;
use offramp_runtime::backend::{Backend, BackendError};

use super::{GraphOracle, OracleError};

/// A bundle that cannot be asked for gradients.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It has no gradient graphs, and none can be derived.
    #[error("the bundle gives no gradient")]
    Gradient(#[from] BundleGradientError),
    /// The graphs cannot be prepared.
    #[error(transparent)]
    Oracle(#[from] OracleError),
    /// The graphs that the bundle brings cannot be held against its segments.
    #[error("the bundle's gradient graphs cannot be compared with its segments")]
    Comparison(#[source] ExportError),
    /// The graphs that the bundle brings are another network's.
    #[error(
        "the bundle's gradient graphs are of another network than its segments: on random images the logits of \
         exit {exit} differ by {difference:.1e}, expected {tolerance:.0e} at most"
    )]
    OtherNetwork {
        /// The exit that differs most.
        exit: usize,
        /// Largest difference of a logit.
        difference: f32,
        /// Largest difference allowed, relative to the exit's largest logit where that is above 1.
        tolerance: f32,
    },
}

/// How far the logits of gradient graphs may lie from those of the segments: beyond any engine's rounding, below the
/// distance of another network. How exact they are was proved when they were written.
const SAME_NETWORK: f32 = 0.05;

impl OpenError {
    /// The backend's part in it, where another backend may do better.
    pub fn refused_by_backend(&self) -> Option<&BackendError> {
        match self {
            Self::Oracle(OracleError::Backend(error)) => Some(error),
            Self::Comparison(error) => error.refused_by_backend(),
            _ => None,
        }
    }
}

impl GraphOracle {
    /// Prepares the gradient graphs of `bundle`: those that `split --gradients` wrote, checked against their digests and
    /// held against the segments, else derived from its segments.
    ///
    /// # Errors
    /// [`OpenError`]; `Gradient` names the operator that has none, `OtherNetwork` is told of graphs that are not those of
    /// the segments.
    pub fn open(bundle: &Bundle, backend: &dyn Backend, threads: Option<usize>) -> Result<Self, OpenError> {
        let gradients = gradient::of_bundle(bundle)?;
        let oracle = Self::new(bundle.manifest(), &gradients, backend, threads)?;
        if let Some(forward) = bundle.manifest().extra(Extra::GRADIENT_FORWARD) {
            let options =
                VerifyOptions { tolerance: SAME_NETWORK, rounds: 1, threads, ..VerifyOptions::default() };
            let forward = bundle.dir().join(&forward.file);
            let compared = verify::verify(bundle, &forward, backend, &options);
            let compared = compared.map_err(OpenError::Comparison)?;
            if let Some(worst) = compared.worst()
                && !compared.holds()
            {
                let (exit, difference) = (worst.exit, worst.difference);
                return Err(OpenError::OtherNetwork { exit, difference, tolerance: SAME_NETWORK });
            }
        }
        Ok(oracle)
    }
}
