//! `offramp corrupt`: a data set with noise or too much light in it.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use offramp_models::dataset::{self, DataRef, ExportOptions, OpenOptions};
use offramp_study::corruption::{Constants, Corrupted, Corruption, Severity};
use serde_json::json;

use crate::input::DATA;
use crate::status::Status;
use crate::{output, quantities};

/// Corrupt pictures at a published severity and store them as 8-bit images
#[derive(Args)]
#[command(
    after_help = "Examples:\n  offramp corrupt shapes:test --kind gaussian-noise --severity 3 -o noisy.npz\n  \
                        offramp corrupt photos.npz --kind brightness --severity 5 --constants tiny-imagenet -o bright.npz"
)]
pub struct Corrupt {
    /// Pictures, as for `run --input`
    #[arg(value_name = "DATA", long_help = DATA)]
    data: DataRef,
    /// What is done to them
    #[arg(long, value_enum)]
    kind: CorruptionKind,
    /// How much, 1 to 5
    #[arg(long, value_name = "1..5", value_parser = clap::value_parser!(u8).range(1..=5))]
    severity: u8,
    /// Whose constants: CIFAR-10-C's or Tiny ImageNet-C's
    #[arg(long, value_enum, default_value = "cifar")]
    constants: ConstantsKind,
    /// Seed of the noise
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Take only the first N images
    #[arg(long, value_name = "N", value_parser = quantities::count)]
    limit: Option<NonZeroUsize>,
    /// The file to write
    #[arg(short, long, value_name = "FILE.npz")]
    output: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Corruptions.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum CorruptionKind {
    /// Normal noise on every sample
    GaussianNoise,
    /// A greater value in HSV
    Brightness,
}

/// Published constants.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ConstantsKind {
    /// CIFAR-10-C and CIFAR-100-C
    Cifar,
    /// Tiny ImageNet-C
    TinyImagenet,
}

impl Corrupt {
    pub fn run(self) -> anyhow::Result<Status> {
        let kind = match self.kind {
            CorruptionKind::GaussianNoise => Corruption::GaussianNoise,
            CorruptionKind::Brightness => Corruption::Brightness,
        };
        let constants = match self.constants {
            ConstantsKind::Cifar => Constants::Cifar,
            ConstantsKind::TinyImagenet => Constants::TinyImagenet,
        };
        let severity = Severity::try_from(self.severity)?;
        let options = OpenOptions { class_names: None, limit: self.limit.map(NonZeroUsize::get) };
        let data = dataset::open(&self.data, &options)?;
        let corrupted = Corrupted::new(data.as_ref(), kind, constants, severity, self.seed);
        let written = dataset::export_npz(&corrupted, &self.output, &ExportOptions::default())?;
        if self.json {
            return output::json(&json!({
                "schema_version": 1,
                "file": self.output,
                "kind": kind,
                "severity": severity,
                "constants": constants,
                "constant": kind.constant(constants, severity),
                "seed": self.seed,
                "images": written.images,
                "shape": [written.shape.channels, written.shape.height, written.shape.width],
                "labelled": written.labelled,
            }))
            .map(|()| Status::Done);
        }
        output::text(format!(
            "{}: {} images of {}, {} of severity {} on {}",
            self.output.display(),
            written.images,
            written.shape,
            self.kind.to_possible_value().map_or_else(String::new, |kind| kind.get_name().to_owned()),
            self.severity,
            self.data
        ))?;
        Ok(Status::Done)
    }
}
