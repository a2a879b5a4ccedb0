//! What crosses between segments.

use std::collections::HashMap;
use std::ops::Range;

use super::{Exit, Manifest, Segment};
use crate::TensorSpec;

impl Manifest {
    /// What crosses cut `cut`, which lies before segment `cut`: all that this and later segments take and do not make
    /// themselves. The image first, then outputs of earlier segments in the order in which they are made; at cut 0 the
    /// image alone, and nothing beyond the last segment.
    pub fn cut(&self, cut: usize) -> Vec<TensorSpec> {
        let crossing = self.crossing().filter(|(_, cuts)| cuts.contains(&cut));
        crossing.map(|(spec, _)| spec).collect()
    }

    /// Logits of exits `cut` to the last: what segments from there on are run for.
    pub fn logits_from(&self, cut: usize) -> Vec<TensorSpec> {
        let logits = |(exit, segment): (&Exit, &Segment)| {
            segment.outputs.iter().find(|spec| spec.name == exit.logits).cloned()
        };
        self.exits.iter().zip(&self.segments).skip(cut).filter_map(logits).collect()
    }

    /// The image and all outputs of segments, and the cuts that each crosses.
    pub(super) fn crossing(&self) -> impl Iterator<Item = (TensorSpec, Range<usize>)> {
        let mut last_reader: HashMap<&str, usize> = HashMap::new();
        for segment in &self.segments {
            let read = segment.inputs.iter().map(|spec| (spec.name.as_str(), segment.index));
            last_reader.extend(read);
        }
        let made = self
            .segments
            .iter()
            .flat_map(|segment| segment.outputs.iter().map(|output| (segment.index + 1, output.clone())));
        std::iter::once((0, self.input.spec())).chain(made).map(move |(first, spec)| {
            // The first segment takes the image, whatever it makes of it.
            let unread = if first == 0 { 1 } else { first };
            let end = last_reader.get(spec.name.as_str()).map_or(unread, |reader| reader + 1);
            (spec, first..end)
        })
    }
}
