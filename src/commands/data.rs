//! `offramp data`: data sets as files.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use offramp_models::dataset::{self, DataRef, ExportOptions, OpenOptions};
use serde_json::json;

use crate::input::DATA;
use crate::status::Status;
use crate::{output, quantities};

/// Work with data sets.
#[derive(Subcommand)]
pub enum Data {
    Export(Export),
}

impl Data {
    pub fn run(self) -> anyhow::Result<Status> {
        match self {
            Self::Export(export) => export.run(),
        }
    }
}

/// Write a data set as an npz archive: x, N,C,H,W uint8 (float32 where the source is); y, N int64.
#[derive(Args)]
#[command(after_help = "Examples:\n  offramp data export shapes:train -o shapes-train.npz\n  \
                        offramp data export cifar10:cifar-10-batches-bin --limit 1000 -o cifar.npz")]
pub struct Export {
    /// Pictures: FILE.npz, FOLDER, cifar10:DIR, cifar100:DIR, tiny-imagenet:DIR or shapes:SPLIT (--help tells more)
    #[arg(value_name = "DATA", long_help = DATA)]
    input: DataRef,
    /// The archive to write; replaced if it is there
    #[arg(short, long, value_name = "FILE.npz")]
    output: PathBuf,
    /// Take only the first N images
    #[arg(long, value_name = "N", value_parser = quantities::count)]
    limit: Option<NonZeroUsize>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Export {
    fn run(self) -> anyhow::Result<Status> {
        let limit = self.limit.map(NonZeroUsize::get);
        let data = dataset::open(&self.input, &OpenOptions { class_names: None, limit })?;
        let spinner = output::spinner("writing");
        let options = ExportOptions { limit, ..ExportOptions::default() };
        let written = dataset::export_npz(data.as_ref(), &self.output, &options)?;
        spinner.finish_and_clear();
        let file = self.output.display().to_string();
        if self.json {
            output::json(&json!({
                "schema_version": 1, "data": self.input.to_string(), "file": file, "images": written.images,
                "shape": [written.shape.channels, written.shape.height, written.shape.width],
                "labelled": written.labelled,
            }))?;
        } else {
            let labels = if written.labelled { "with labels" } else { "without labels" };
            output::text(format!("{file}: {} images of {}, {labels}", written.images, written.shape))?;
        }
        Ok(Status::Done)
    }
}
