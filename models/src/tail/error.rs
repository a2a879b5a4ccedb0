//! Why extras are no tails.

/// Extras of a manifest that do not make tails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TailError {
    /// A tail whose file does not say what it is.
    #[error("the tail \"{file}\" is not called tails/<cut>.<f32|u8>.onnx")]
    File {
        /// The file.
        file: String,
    },
    /// A tail of another network.
    #[error("the tail \"{file}\" begins at cut {cut}, the network has cuts 0 to {}", cuts.saturating_sub(1))]
    Cut {
        /// The file.
        file: String,
        /// Where it begins.
        cut: usize,
        /// Cuts of the network.
        cuts: usize,
    },
    /// A tail without what belongs to it.
    #[error("the tail \"{tail}\" comes without \"{what}\"")]
    Missing {
        /// The tail's file.
        tail: String,
        /// The file that is not listed.
        what: String,
    },
    /// What belongs to a tail, without the tail.
    #[error("\"{file}\" of kind {kind} belongs to no tail")]
    Stray {
        /// The file.
        file: String,
        /// Its kind.
        kind: String,
    },
    /// One file listed twice.
    #[error("\"{file}\" is listed twice")]
    Twice {
        /// The file.
        file: String,
    },
}
