//! Which data set pictures are from, however many of them are taken.

use offramp_models::dataset::{self, DataError, DataRef, OpenOptions};
use offramp_models::{Manifest, Sha256};

use crate::output;

/// Digest of the whole data set that `data` names, without regard to a limit.
///
/// # Errors
/// When a picture cannot be read.
pub fn digest(data: &DataRef, manifest: &Manifest) -> Result<Sha256, DataError> {
    let whole = match data {
        DataRef::Shapes { split, .. } => DataRef::Shapes { split: *split, count: None },
        other => other.clone(),
    };
    let spinner = output::spinner("reading all pictures");
    let options = OpenOptions { class_names: manifest.classes.names.as_deref(), limit: None };
    let digest = dataset::open(&whole, &options).and_then(|data| data.digest());
    spinner.finish_and_clear();
    digest
}
