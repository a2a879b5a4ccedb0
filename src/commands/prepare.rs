//! `offramp prepare`: what this device needs, built and kept before anything is timed.

use std::path::PathBuf;

use clap::Args;
use offramp_models::Bundle;
use offramp_runtime::prepare::Segments;
use serde_json::json;

use crate::backends::BackendFlags;
use crate::output;
use crate::prepared::{Device, PreparedBundle};
use crate::status::Status;

/// Build and cache what this device needs: optimised segments, TensorRT engines
#[derive(Args)]
#[command(
    after_help = "Examples:\n  offramp prepare network.bundle\n  offramp prepare network.bundle --backend ort:tensorrt-fp16"
)]
pub struct Prepare {
    /// The bundle, a folder that `split` wrote
    bundle: PathBuf,
    /// Where prepared segments are kept [default: BUNDLE/.prepared]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backend: BackendFlags,
}

impl Prepare {
    pub fn run(self) -> anyhow::Result<Status> {
        let prepared = PreparedBundle::open(
            Bundle::open(&self.bundle)?,
            &self.backend,
            self.cache.as_deref(),
            Device::default(),
        )?;
        if self.json {
            output::json(&json!({
                "schema_version": 1, "bundle": prepared.bundle_name(), "prepared": prepared.segments,
                "kept": prepared.kept, "prepare_s": prepared.prepare_s, "segments": prepared.ran_by(),
            }))?;
        } else {
            let from = match prepared.segments {
                Segments::Optimised if prepared.kept => "optimised for this device and kept",
                Segments::Optimised => "optimised for this device, not kept",
                Segments::Cached => "optimised for this device before",
                _ => "as bundled",
            };
            let count = prepared.pipeline.stages().len();
            output::text(format!("{count} segments, {from}, ready in {:.2} s", prepared.prepare_s))?;
        }
        Ok(Status::Done)
    }
}
