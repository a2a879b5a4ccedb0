//! The seam between attacks and networks: logits of all exits, gradients with respect to the picture.

mod error;
mod graph;
mod open;

pub use error::OracleError;
pub use graph::GraphOracle;
pub use open::OpenError;

/// A network that can be asked for gradients.
///
/// Pictures are float32 in [0, 1], plane by plane (NCHW), whatever form the network takes them in; logits have the
/// shape `[images, exits, classes]`.
pub trait Oracle {
    /// Exits of the network.
    fn exits(&self) -> usize;

    /// Logits per exit.
    fn classes(&self) -> usize;

    /// Samples of one picture.
    fn samples(&self) -> usize;

    /// The only number of images that the network takes at once, `None` where any will do.
    fn fixed_batch(&self) -> Option<usize> {
        None
    }

    /// Fills `logits` for the pictures in `pixels`, as many as there are; what the gradient needs of this pass is kept.
    ///
    /// # Errors
    /// [`OracleError`] when the engine fails or a logit is no finite number.
    fn forward(&mut self, pixels: &[f32], logits: &mut [f32]) -> Result<(), OracleError>;

    /// Fills `gradient`, of the pixels' shape, with the gradient of `sum(cotangents * logits)` at the latest
    /// [`Oracle::forward`]; `cotangents` have the logits' shape.
    ///
    /// # Errors
    /// [`OracleError`] when the engine fails, a gradient is no finite number or nothing was run forward.
    fn backward(&mut self, cotangents: &[f32], gradient: &mut [f32]) -> Result<(), OracleError>;
}
