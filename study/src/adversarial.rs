//! Adversarial sets: crafted, rounded to 8 bits, scored again as stored.
//!
//! What is reported of a set is what its 8-bit images do; what the float images did before rounding is kept beside it.

mod craft;
mod manifest;
mod place;
mod score;
mod table;
mod write;

use offramp_models::dataset::Chw;

pub use craft::{Craft, CraftError, Labels, Progress, craft};
pub use manifest::{Environment, ImageEntry, MANIFEST_VERSION, SetManifest, Sizes};
pub use place::Place;
pub use score::{ExitScore, Score, Summary};
pub use write::{WriteError, write_manifest, write_npz, write_pictures};

/// Crafted images, as they are stored.
#[derive(Clone, Debug, PartialEq)]
pub struct AdversarialSet {
    /// Channels, height and width: the network's input.
    pub shape: Chw,
    /// uint8 samples, shape `[images, C, H, W]`.
    pub samples: Vec<u8>,
    /// One per image, in the order of the data.
    pub images: Vec<Crafted>,
}

/// One crafted image.
#[derive(Clone, Debug, PartialEq)]
pub struct Crafted {
    /// Index in the data it was made from.
    pub index: usize,
    /// The data's label, where there is one.
    pub label: Option<usize>,
    /// The label that the attack was about.
    pub attacked: usize,
    /// Size of the perturbation as stored, samples in [0, 1].
    pub size: Size,
    /// The image itself.
    pub benign: Score,
    /// The attack's result before rounding.
    pub float: Score,
    /// The image as stored.
    pub stored: Score,
}

/// Size of a perturbation over all samples of an image in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Size {
    /// The largest change.
    pub linf: f64,
    /// The root of the sum of squares.
    pub l2: f64,
    /// The sum of changes.
    pub l1: f64,
}
