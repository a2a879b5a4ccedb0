//! `offramp export`: a bundle's tails for servers that others wrote.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use offramp_exporter::serving::{self, Platform, Server, ServingOptions};
use offramp_models::{Bundle, Wire};
use serde_json::json;

use super::split::{explain, tail_table};
use crate::status::Status;
use crate::{output, quantities};

/// Write a bundle's tails as another server wants them
///
/// All of them speak the Open Inference Protocol; every tail becomes a model under its name.
#[derive(Subcommand)]
pub enum Export {
    Triton(Triton),
    #[command(name = "mlserver")]
    MlServer(MlServer),
    #[command(name = "kserve")]
    KServe(KServe),
}

/// A model repository for NVIDIA Triton
#[derive(Args)]
#[command(
    after_help = "Example:\n  offramp export triton network.bundle models && tritonserver --model-repository models"
)]
pub struct Triton {
    #[command(flatten)]
    folders: Folders,
    /// What runs the graphs in Triton: its ONNX Runtime backend, or Python with `onnxruntime` from PyPI, for a Triton that
    /// brings no other backend
    #[arg(long, value_enum, default_value_t = PlatformChoice::Onnxruntime)]
    platform: PlatformChoice,
    /// Most images in one batch
    #[arg(long, value_name = "N", default_value = "32", value_parser = quantities::count)]
    max_batch: NonZeroUsize,
    /// Requests that wait before more are refused
    #[arg(long, value_name = "N", default_value = "64", value_parser = quantities::count)]
    queue: NonZeroUsize,
}

/// A folder for `mlserver start`
#[derive(Args)]
#[command(after_help = "Example:\n  offramp export mlserver network.bundle models && mlserver start models")]
pub struct MlServer {
    #[command(flatten)]
    folders: Folders,
    /// Most images in one batch
    #[arg(long, value_name = "N", default_value = "32", value_parser = quantities::count)]
    max_batch: NonZeroUsize,
}

/// A folder with a script that serves it by the KServe SDK
#[derive(Args)]
#[command(after_help = "Example:\n  offramp export kserve network.bundle models && python models/serve.py")]
pub struct KServe {
    #[command(flatten)]
    folders: Folders,
}

#[derive(Args)]
struct Folders {
    /// The bundle, a folder that `split --tails` wrote
    bundle: PathBuf,
    /// The folder to write
    target: PathBuf,
    /// Tails of this wire form alone: f32 or u8 [default: all that there are]
    #[arg(long, value_name = "W")]
    wire: Option<Wire>,
    /// Replace an earlier export
    #[arg(long)]
    force: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum PlatformChoice {
    Onnxruntime,
    Python,
}

impl Export {
    pub fn run(self) -> anyhow::Result<Status> {
        match self {
            Self::Triton(Triton { folders, platform, max_batch, queue }) => {
                let platform = match platform {
                    PlatformChoice::Onnxruntime => Platform::OnnxRuntime,
                    PlatformChoice::Python => Platform::Python,
                };
                folders.export(Server::Triton { platform, max_batch: max_batch.get(), queue: queue.get() })
            }
            Self::MlServer(MlServer { folders, max_batch }) => {
                folders.export(Server::MlServer { max_batch: max_batch.get() })
            }
            Self::KServe(KServe { folders }) => folders.export(Server::KServe),
        }
    }
}

impl Folders {
    fn export(self, server: Server) -> anyhow::Result<Status> {
        let bundle = Bundle::open(&self.bundle)?;
        let options = ServingOptions { wire: self.wire, force: self.force };
        let tails = serving::export(&bundle, &self.target, server, &options).map_err(explain)?;
        if self.json {
            output::json(&json!({
                "schema_version": 1,
                "bundle": {"name": bundle.manifest().name, "identity": bundle.identity()},
                "server": server.name(), "dir": self.target, "tails": tails,
            }))?;
        } else {
            let count = tails.len();
            output::text(format!(
                "{}: {count} tails for {}\n{}",
                self.target.display(),
                server.name(),
                tail_table(&tails)
            ))?;
        }
        Ok(Status::Done)
    }
}
