//! What a set says about itself.

use offramp_models::Sha256;
use offramp_runtime::policy::PolicySpec;
use offramp_runtime::report::{BackendName, BundleName};
use serde::{Deserialize, Serialize};

use super::{Crafted, Labels, Size, Summary};
use crate::method::Method;

/// Version of the manifest's form.
pub const MANIFEST_VERSION: u32 = 1;

/// The JSON beside an adversarial set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetManifest {
    /// [`MANIFEST_VERSION`].
    pub schema_version: u32,
    /// The network that the set was crafted on.
    pub surrogate: BundleName,
    /// The attack and its settings.
    pub method: Method,
    /// The policy under which exits are counted, and which the attack may know.
    pub policy: PolicySpec,
    /// What the set was made from.
    pub data: String,
    /// Digest of that data, all of it.
    pub data_sha256: Sha256,
    /// Whose labels were attacked.
    pub labels: Labels,
    /// Where it was crafted.
    pub environment: Environment,
    /// What it does.
    pub summary: Summary,
    /// One entry per image.
    pub images: Vec<ImageEntry>,
}

/// Program and engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Program and version.
    pub producer: String,
    /// What ran the gradient graphs.
    pub backend: BackendName,
}

/// One image of a set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageEntry {
    /// Index in the data.
    pub index: usize,
    /// The data's label.
    pub label: Option<usize>,
    /// The label attacked.
    pub attacked: usize,
    /// Size as stored.
    #[serde(flatten)]
    pub size: Size,
    /// The exits where the benign and the stored image stop.
    pub exits: [usize; 2],
    /// The labels that they get.
    pub predicted: [usize; 2],
    /// Whether the aim holds for the benign image, before rounding and as stored.
    pub reached: [Option<bool>; 3],
}

/// Mean and greatest sizes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sizes {
    /// Mean over the images.
    pub mean: Size,
    /// Greatest of the images.
    pub max: Size,
}

impl Sizes {
    /// Sizes of `images`; zeros of none.
    pub fn of(images: &[Crafted]) -> Self {
        let sizes = || images.iter().map(|image| image.size);
        let mean = |of: fn(Size) -> f64| sizes().map(of).sum::<f64>() / images.len().max(1) as f64;
        let max = |of: fn(Size) -> f64| sizes().map(of).fold(0.0, f64::max);
        let of = |each: &dyn Fn(fn(Size) -> f64) -> f64| Size {
            linf: each(|size| size.linf),
            l2: each(|size| size.l2),
            l1: each(|size| size.l1),
        };
        Self { mean: of(&mean), max: of(&max) }
    }
}

impl From<&Crafted> for ImageEntry {
    fn from(image: &Crafted) -> Self {
        Self {
            index: image.index,
            label: image.label,
            attacked: image.attacked,
            size: image.size,
            exits: [image.benign.exit, image.stored.exit],
            predicted: [image.benign.predicted, image.stored.predicted],
            reached: [image.benign.reached, image.float.reached, image.stored.reached],
        }
    }
}
