//! One known question to a tail.

use std::io;
use std::path::Path;

use super::Tail;
use crate::TensorSpec;
use crate::dataset::{ArchiveReader, ArchiveWriter, DataError};

/// What a tail is asked, and what it must answer: the one check of a peer that does not depend on names.
///
/// Stored as an archive that numpy reads: `input0`, `input1`, .. and `logits0`, `logits1`, .. in the tail's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Canary {
    /// Images asked about: one, or the batch that the network insists on.
    pub batch: usize,
    /// Little-endian elements of every input, in the tail's order.
    pub inputs: Vec<Vec<u8>>,
    /// Logits of every output, in the tail's order, row-major `[batch, classes]`.
    pub logits: Vec<Vec<f32>>,
}

impl Canary {
    /// Images that a tail is asked about.
    pub fn batch_of(tail: &Tail) -> usize {
        tail.outputs.first().and_then(|logits| logits.shape.first().copied().flatten()).unwrap_or(1)
    }

    /// Reads the canary of `tail` from the bundle in `dir`. Digests are not compared: [`crate::Bundle::tails`] does so.
    ///
    /// # Errors
    /// [`DataError`] for a file that is no archive, or not of what the tail takes and gives.
    pub fn read(dir: &Path, tail: &Tail) -> Result<Self, DataError> {
        let batch = Self::batch_of(tail);
        let mut archive = ArchiveReader::open(&dir.join(&tail.canary.file))?;
        let mut read = |kind: &str, (at, spec): (usize, &TensorSpec)| {
            archive.elements(&format!("{kind}{at}"), spec.dtype, &spec.shape_at(batch))
        };
        let inputs =
            tail.inputs.iter().enumerate().map(|input| read("input", input)).collect::<Result<_, _>>()?;
        let floats =
            |bytes: Vec<u8>| bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let logits = tail.outputs.iter().enumerate().map(|output| read("logits", output).map(floats));
        Ok(Self { batch, inputs, logits: logits.collect::<Result<_, _>>()? })
    }

    /// Writes the canary of a tail that takes `inputs` and gives `outputs`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path, inputs: &[TensorSpec], outputs: &[TensorSpec]) -> io::Result<()> {
        let mut archive = ArchiveWriter::create(path)?;
        for (at, (spec, elements)) in inputs.iter().zip(&self.inputs).enumerate() {
            archive.elements(&format!("input{at}"), spec.dtype, spec.shape_at(self.batch), elements)?;
        }
        for (at, (spec, logits)) in outputs.iter().zip(&self.logits).enumerate() {
            archive.array(&format!("logits{at}"), "<f4", spec.shape_at(self.batch), 4)?;
            archive.floats(logits)?;
        }
        archive.finish()
    }

    /// How far `answer` is from the right one: the largest difference of a logit, relative to the exit's largest where
    /// that is above 1. `None` for an answer of another form, or one that holds what is no number.
    pub fn difference(&self, answer: &[Vec<f32>]) -> Option<f32> {
        let lengths = |rows: &[Vec<f32>]| rows.iter().map(Vec::len).collect::<Vec<_>>();
        if lengths(answer) != lengths(&self.logits) || answer.iter().flatten().any(|logit| !logit.is_finite())
        {
            return None;
        }
        let apart = |(expected, found): (&Vec<f32>, &Vec<f32>)| {
            let scale = expected.iter().fold(1.0_f32, |scale, logit| scale.max(logit.abs()));
            let differences = expected.iter().zip(found).map(|(a, b)| (a - b).abs());
            differences.fold(0.0, f32::max) / scale
        };
        Some(self.logits.iter().zip(answer).map(apart).fold(0.0, f32::max))
    }
}
