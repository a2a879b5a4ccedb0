//! Costs in a manifest, held against what they follow from.

use super::{Manifest, ManifestError};
use crate::TensorSpec;

/// The largest cost that fractions of it are exact for.
const MOST: u64 = 1 << 53;

/// Other writers round fractions to what they print.
const FRACTION_TOLERANCE: f64 = 1e-6;

impl Manifest {
    pub(super) fn validate_costs(&self) -> Result<(), ManifestError> {
        let (mut macs, mut params) = (0, 0);
        for (exit, segment) in self.exits.iter().zip(&self.segments) {
            let (index, sum) = (exit.index, "the sum over the segments up to it");
            let cost = |field, expected, found| {
                let (of, why) = ("exit", sum);
                equal(expected, found, ManifestError::Cost { field, of, index, expected, found, why })
            };
            macs = add("macs", index, macs, segment.macs)?;
            params = add("params", index, params, segment.params)?;
            cost("macs", macs, exit.macs)?;
            cost("params", params, exit.params)?;
        }
        for exit in &self.exits {
            let expected = if macs == 0 { 1.0 } else { exit.macs as f64 / macs as f64 };
            let (exit, found) = (exit.index, exit.macs_fraction);
            if (found - expected).abs() > FRACTION_TOLERANCE {
                return Err(ManifestError::Fraction { exit, expected, found });
            }
        }
        let why = "the bytes per image that later segments read";
        for (segment, expected) in self.segments.iter().zip(self.bytes_after()?) {
            let (field, of, index, found) =
                ("boundary_bytes", "segment", segment.index, segment.boundary_bytes);
            equal(expected, found, ManifestError::Cost { field, of, index, expected, found, why })?;
        }
        Ok(())
    }

    /// Bytes per image across the cut after each segment.
    fn bytes_after(&self) -> Result<Vec<u64>, ManifestError> {
        let mut bytes = vec![0; self.segments.len()];
        for (spec, cuts) in self.crossing() {
            for segment in cuts.start.max(1)..cuts.end {
                let (segment, weight) = (segment - 1, weight(&spec));
                bytes[segment] = add("boundary_bytes", segment, bytes[segment], weight)?;
            }
        }
        Ok(bytes)
    }
}

/// Its extents were checked before: their product fits.
fn weight(spec: &TensorSpec) -> u64 {
    spec.bytes_per_image() as u64
}

fn add(field: &'static str, segment: usize, sum: u64, more: u64) -> Result<u64, ManifestError> {
    let sum = sum.checked_add(more).filter(|sum| *sum <= MOST);
    sum.ok_or(ManifestError::TooMuch { field, segment, found: more })
}

fn equal(expected: u64, found: u64, refusal: ManifestError) -> Result<(), ManifestError> {
    if expected == found { Ok(()) } else { Err(refusal) }
}
