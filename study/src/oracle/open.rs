//! A bundle's gradient graphs, from its files or from its segments.

use offramp_exporter::gradient::{self, BundleGradientError};
use offramp_models::Bundle;
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
    /// [`OpenError`]; `Gradient` names the operator that has none.
    pub fn open(bundle: &Bundle, backend: &dyn Backend, threads: Option<usize>) -> Result<Self, OpenError> {
        let gradients = gradient::of_bundle(bundle)?;
        Ok(Self::new(bundle.manifest(), &gradients, backend, threads)?)
    }
}
