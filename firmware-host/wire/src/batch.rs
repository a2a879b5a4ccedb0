//! Samples of a meter, several to a frame.

use heapless::Vec;

use crate::fields::{Reader, Writer};
use crate::hello::MAX_CHANNELS;

/// Values that one batch can carry: samples times channels.
pub const MAX_VALUES: usize = 120;

/// Raw samples, equally spaced in device time.
///
/// Value `i * channels + c` is channel `c` of sample `i`. In units it is `raw * scales[c] / 1e9`, in watts, volts or
/// amperes as the handshake says. Sample `i` of `n` was taken at `time + span * i / (n - 1)` ticks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Device time of the first sample, in ticks; wraps.
    pub time: u32,
    /// Number of the first sample since the start; wraps. A jump is samples that the device or the link has lost.
    pub index: u32,
    /// Ticks from the first sample to the last; 0 where there is one.
    pub span: u32,
    scales: Vec<u32, MAX_CHANNELS>,
    values: Vec<i32, MAX_VALUES>,
}

/// A sample that does not go into a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Send this batch, then begin another.
    #[error("a batch holds {MAX_VALUES} values, this one has {0}")]
    Full(usize),
    /// Channels are none, or too many.
    #[error("a batch has 1 to {MAX_CHANNELS} channels, got {0}")]
    Channels(usize),
    /// A sample has a value per channel.
    #[error("a sample of this batch has {expected} values, got {found}")]
    Values {
        /// Channels of the batch.
        expected: usize,
        /// Values of the sample.
        found: usize,
    },
}

impl Batch {
    /// An empty batch of channels that count in `scales` billionths of their unit.
    ///
    /// # Errors
    /// [`BatchError::Channels`] where there are none, or more than [`MAX_CHANNELS`].
    pub fn new(time: u32, index: u32, scales: &[u32]) -> Result<Self, BatchError> {
        let scales = Vec::from_slice(scales).map_err(|_| BatchError::Channels(scales.len()))?;
        if scales.is_empty() {
            return Err(BatchError::Channels(0));
        }
        Ok(Self { time, index, span: 0, scales, values: Vec::new() })
    }

    /// Adds a sample taken `since` ticks after the first.
    ///
    /// # Errors
    /// [`BatchError::Full`], or [`BatchError::Values`] where it has not one value per channel. The batch is as before.
    pub fn push(&mut self, since: u32, sample: &[i32]) -> Result<(), BatchError> {
        if sample.len() != self.scales.len() {
            return Err(BatchError::Values { expected: self.scales.len(), found: sample.len() });
        }
        self.values.extend_from_slice(sample).map_err(|_| BatchError::Full(self.values.len()))?;
        self.span = since;
        Ok(())
    }

    /// Billionths of a unit per count, channel by channel.
    #[must_use]
    pub fn scales(&self) -> &[u32] {
        &self.scales
    }

    /// The samples in order, a value per channel each.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = &[i32]> {
        self.values.chunks_exact(self.scales.len().max(1))
    }

    /// Samples in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len() / self.scales.len().max(1)
    }

    /// Whether it has no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(crate) fn write<const N: usize>(&self, to: &mut Writer<'_, N>) -> Option<()> {
        to.u32(self.time)?;
        to.u32(self.index)?;
        to.u32(self.span)?;
        to.u8(u8::try_from(self.scales.len()).ok()?)?;
        to.u8(u8::try_from(self.len()).ok()?)?;
        self.scales.iter().try_for_each(|scale| to.u32(*scale))?;
        self.values.iter().try_for_each(|value| to.i32(*value))
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let (time, index, span) = (from.u32()?, from.u32()?, from.u32()?);
        let (channels, count) = (usize::from(from.u8()?), usize::from(from.u8()?));
        if channels == 0 || count == 0 || (count == 1 && span != 0) {
            return None;
        }
        let mut batch = Self { time, index, span, ..Self::default() };
        for _ in 0..channels {
            batch.scales.push(from.u32()?).ok()?;
        }
        for _ in 0..channels * count {
            batch.values.push(from.i32()?).ok()?;
        }
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_takes_whole_samples_until_it_is_full() {
        assert_eq!(Batch::new(0, 0, &[]), Err(BatchError::Channels(0)));
        assert_eq!(Batch::new(0, 0, &[1; 5]), Err(BatchError::Channels(5)));
        let mut batch = Batch::new(0, 0, &[1, 1]).unwrap();
        assert_eq!(batch.push(0, &[1]), Err(BatchError::Values { expected: 2, found: 1 }));
        for sample in 0..60 {
            batch.push(sample * 125, &[1, 2]).unwrap();
        }
        assert_eq!(batch.push(7500, &[1, 2]), Err(BatchError::Full(120)));
        assert_eq!((batch.len(), batch.span), (60, 59 * 125));
    }
}
