//! Natural corruption at published severities: noise of the sensor, too much light.
//!
//! Source: Hendrycks & Dietterich 2019 and its published code: samples in [0, 1] as float64, clipped, times 255, cut off
//! (not rounded) to uint8. What is random is keyed by seed and image, where the published code draws on.

mod brightness;
mod noise;

use offramp_models::dataset::{Chw, DataError, Dataset, Picture, Samples};
use serde::{Deserialize, Serialize};

/// What is done to pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Corruption {
    /// Normal noise on every sample.
    GaussianNoise,
    /// A greater value in HSV.
    Brightness,
}

/// Whose constants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Constants {
    /// CIFAR-10-C and CIFAR-100-C.
    #[default]
    Cifar,
    /// Tiny ImageNet-C.
    TinyImagenet,
}

/// How much, 1 to 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Severity(u8);

/// A severity that nobody published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a severity is 1 to 5, got {found}")]
pub struct SeverityError {
    found: u8,
}

impl Severity {
    /// All five.
    pub const ALL: [Self; 5] = [Self(1), Self(2), Self(3), Self(4), Self(5)];
}

impl TryFrom<u8> for Severity {
    type Error = SeverityError;

    fn try_from(found: u8) -> Result<Self, SeverityError> {
        if (1..=5).contains(&found) { Ok(Self(found)) } else { Err(SeverityError { found }) }
    }
}

impl From<Severity> for u8 {
    fn from(severity: Severity) -> Self {
        severity.0
    }
}

impl Corruption {
    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::GaussianNoise => "gaussian-noise",
            Self::Brightness => "brightness",
        }
    }

    /// The published constant: the noise's standard deviation, or what is added to the value.
    pub fn constant(self, constants: Constants, severity: Severity) -> f64 {
        let by_severity = match (self, constants) {
            (Self::GaussianNoise, Constants::Cifar) => [0.04, 0.06, 0.08, 0.09, 0.10],
            (Self::GaussianNoise, Constants::TinyImagenet) => [0.04, 0.08, 0.12, 0.15, 0.18],
            (Self::Brightness, Constants::Cifar) => [0.05, 0.1, 0.15, 0.2, 0.3],
            (Self::Brightness, Constants::TinyImagenet) => [0.1, 0.2, 0.3, 0.4, 0.5],
        };
        by_severity[usize::from(severity.0) - 1]
    }
}

/// A data set whose pictures are corrupted as they are read; labels and order stay.
pub struct Corrupted<'a> {
    data: &'a dyn Dataset,
    kind: Corruption,
    constant: f64,
    seed: u64,
    text: String,
}

impl<'a> Corrupted<'a> {
    /// Corrupts `data`; the noise of a picture depends on `seed` and its index.
    pub fn new(
        data: &'a dyn Dataset,
        kind: Corruption,
        constants: Constants,
        severity: Severity,
        seed: u64,
    ) -> Self {
        let constant = kind.constant(constants, severity);
        let text = format!("{} with {} of severity {}", data.describe(), kind.name(), severity.0);
        Self { data, kind, constant, seed, text }
    }
}

impl Dataset for Corrupted<'_> {
    fn len(&self) -> usize {
        self.data.len()
    }

    fn label(&self, image: usize) -> Option<usize> {
        self.data.label(image)
    }

    fn read(&self, image: usize, into: &mut Picture) -> Result<(), DataError> {
        self.data.read(image, into)?;
        let shape = into.shape();
        let mut samples: Vec<f64> = match into.samples() {
            Samples::U8(samples) => samples.iter().map(|sample| f64::from(*sample) / 255.0).collect(),
            Samples::F32(samples) => samples.iter().map(|sample| f64::from(*sample)).collect(),
        };
        match self.kind {
            Corruption::GaussianNoise => noise::add(self.constant, self.seed, image, &mut samples),
            Corruption::Brightness => brightness::raise(self.constant, shape, &mut samples),
        }
        for (into, sample) in into.fill_u8(shape).iter_mut().zip(samples) {
            *into = (sample.clamp(0.0, 1.0) * 255.0) as u8;
        }
        Ok(())
    }

    fn class_names(&self) -> Option<&[String]> {
        self.data.class_names()
    }

    fn describe(&self) -> String {
        self.text.clone()
    }
}

/// The planes of a picture, three of colour or all alike.
fn is_colour(shape: Chw) -> bool {
    shape.channels >= 3
}
