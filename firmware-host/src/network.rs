//! A network that stands behind a serial port.

use std::error::Error;
use std::time::Duration;

/// What the device dialects run when they are asked to infer. The command line puts an early-exit network here.
pub trait Network: Send {
    /// What it is called, `ic01` for MLPerf Tiny's image classification.
    fn name(&self) -> &str;

    /// Bytes of an image.
    fn image_bytes(&self) -> usize;

    /// Runs on an image of [`Network::image_bytes`] bytes.
    ///
    /// # Errors
    /// What went wrong; the host is told in one line.
    fn infer(&mut self, image: &[u8]) -> Result<Inference, Box<dyn Error + Send + Sync>>;
}

/// What a network made of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Inference {
    /// A probability per class, in the order of classes.
    pub scores: Vec<f32>,
    /// The class that was answered, from 0.
    pub label: u16,
    /// Where computation stopped, from 0.
    pub exit: u8,
    /// In [0, 1].
    pub confidence: f32,
    /// From the image to the label.
    pub latency: Duration,
    /// Of this image, where it was measured.
    pub energy_j: Option<f64>,
}
