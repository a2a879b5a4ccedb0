//! `offramp prepare`: what this device needs, built and kept before anything is timed.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::engines::EngineFlags;
use crate::output;
use crate::session::Session;
use crate::status::Status;

/// Build and cache what this device needs: optimised segments, TensorRT engines.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  offramp prepare network.bundle\n  offramp prepare network.bundle --backend ort:tensorrt-fp16"
)]
pub struct Prepare {
    /// The bundle
    bundle: PathBuf,
    /// Where prepared segments are kept [default: BUNDLE/.prepared]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineFlags,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Prepare {
    pub fn run(self) -> anyhow::Result<Status> {
        let session = Session::open(&self.bundle, &self.engine, self.cache.as_deref())?;
        let rows: Vec<_> = session
            .pipeline
            .stages()
            .iter()
            .enumerate()
            .map(|(segment, stage)| json!({"segment": segment, "backend": stage.description}))
            .collect();
        if self.json {
            output::json(&json!({
                "schema_version": 1, "bundle": session.bundle_name(), "segments": session.segments,
                "kept": session.kept, "prepare_s": session.prepare_s, "providers": rows,
            }))?;
        } else {
            let from = match session.segments {
                offramp_runtime::prepare::Segments::Optimised if session.kept => {
                    "optimised for this device and kept"
                }
                offramp_runtime::prepare::Segments::Optimised => "optimised for this device, not kept",
                offramp_runtime::prepare::Segments::Cached => "optimised for this device before",
                _ => "as bundled",
            };
            let count = rows.len();
            output::text(format!("{count} segments, {from}, ready in {:.2} s", session.prepare_s))?;
        }
        Ok(Status::Done)
    }
}
