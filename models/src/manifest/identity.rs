//! The digest by which a bundle is known.

use super::Manifest;
use crate::Sha256;

impl Manifest {
    /// Identity of the bundle: SHA-256 of the canonical JSON of `input`, `classes`, `exits` and `segments`.
    ///
    /// Extras do not count.
    pub fn identity(&self) -> Sha256 {
        let parts = serde_json::json!({
            "input": self.input, "classes": self.classes, "exits": self.exits, "segments": self.segments,
        });
        Sha256::of_json(&parts)
    }
}
