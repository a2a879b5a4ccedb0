//! A bundle's gradient graphs, from its files or from its segments.

use offramp_exporter::gradient::{self, BundleGradientError};
use offramp_models::{Bundle, BundleError};
use offramp_runtime::backend::{Backend, BackendError, Origin};

use super::{GraphOracle, OracleError};

/// A bundle that cannot be asked for gradients.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Its files are not what was written.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// It brings no gradient graphs, and none can be derived from its segments.
    #[error("the bundle has no gradient graphs, and they cannot be derived from its segments")]
    Derive(#[source] BundleGradientError),
    /// A derived graph cannot be written down.
    #[error("the gradient graphs derived from the segments are too large for one file")]
    Write(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The graphs cannot be prepared.
    #[error(transparent)]
    Oracle(#[from] OracleError),
}

impl OpenError {
    /// The backend's part in it, where another backend may do better.
    pub fn refused_by_backend(&self) -> Option<&BackendError> {
        match self {
            Self::Oracle(OracleError::Backend(error)) => Some(error),
            _ => None,
        }
    }
}

impl GraphOracle {
    /// Prepares the gradient graphs of `bundle`: those that `split --gradients` wrote, checked against their digests,
    /// else derived from its segments.
    ///
    /// # Errors
    /// [`OpenError`]; `Derive` names the operator that has no gradient.
    pub fn open(bundle: &Bundle, backend: &dyn Backend, threads: Option<usize>) -> Result<Self, OpenError> {
        let manifest = bundle.manifest();
        let listed = |file: &str| {
            let extra = manifest.extras.iter().find(|extra| extra.file == file)?;
            Some(bundle.dir().join(&extra.file))
        };
        if let (Some(forward), Some(backward)) = (listed(gradient::FORWARD), listed(gradient::BACKWARD)) {
            bundle.check()?;
            let (forward, backward) = (Origin::File(&forward), Origin::File(&backward));
            return Ok(Self::new(manifest, forward, backward, backend, threads)?);
        }
        let derived = gradient::derive_from_segments(bundle).map_err(OpenError::Derive)?;
        let forward = derived.forward.to_bytes().map_err(|error| OpenError::Write(error.into()))?;
        let backward = derived.backward.to_bytes().map_err(|error| OpenError::Write(error.into()))?;
        let (forward, backward) = (Origin::Bytes(&forward), Origin::Bytes(&backward));
        Ok(Self::new(manifest, forward, backward, backend, threads)?)
    }
}
