//! Host memory that inputs are put into.

use super::Resampler;
use crate::DType;

/// A batch of inputs in the network's element type and layout. Its memory is kept from one batch to the next.
#[derive(Clone, Debug)]
pub struct HostBuffer {
    pub(super) dtype: DType,
    pub(super) images: usize,
    pub(super) floats: Vec<f32>,
    pub(super) bytes: Vec<u8>,
    pub(super) resampler: Resampler,
}

impl HostBuffer {
    /// Images in the batch.
    pub fn images(&self) -> usize {
        self.images
    }

    /// `float32` or `uint8`.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The batch of a float32 network, row-major; empty for a uint8 network.
    pub fn float32(&self) -> &[f32] {
        &self.floats
    }

    /// The batch of a uint8 network, row-major; empty for a float32 network.
    pub fn uint8(&self) -> &[u8] {
        &self.bytes
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.images = 0;
        self.floats.clear();
        self.bytes.clear();
    }
}

impl Default for HostBuffer {
    fn default() -> Self {
        Self {
            dtype: DType::Float32,
            images: 0,
            floats: Vec::new(),
            bytes: Vec::new(),
            resampler: Resampler::default(),
        }
    }
}
