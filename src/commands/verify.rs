//! `offramp verify`: composed segments against the whole network.

use std::path::PathBuf;

use clap::Args;
use offramp_exporter::ExportError;
use offramp_exporter::verify::{self, Verification, VerifyOptions};
use offramp_models::Bundle;
use serde_json::json;

use super::split::explain;
use crate::engines::{EngineFlags, chain};
use crate::output;
use crate::status::Status;

/// Prove that a bundle's composed segments equal the network they were cut from.
///
/// Status 3 beyond the tolerance; status 1 for a bundle that was tampered with.
#[derive(Args)]
#[command(after_help = "Example:\n  offramp verify network.bundle --against network.onnx --backend tract")]
pub struct Verify {
    /// The bundle
    bundle: PathBuf,
    /// The network it was split from
    #[arg(long, value_name = "MODEL.onnx")]
    against: PathBuf,
    /// Largest difference allowed, relative to the exit's largest logit where that is above 1
    #[arg(long, value_name = "X", default_value_t = 1e-4)]
    tolerance: f32,
    /// Seed of the random images
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    engine: EngineFlags,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub fn run(self) -> anyhow::Result<Status> {
        let bundle = Bundle::open(&self.bundle)?;
        let source_matches = verify::source_matches(&bundle, &self.against)?;
        if !source_matches {
            let (model, source) = (self.against.display(), &bundle.manifest().source);
            output::note(format!(
                "note: {model} is not the file that the bundle was split from: its SHA-256 is not that of {} ({})",
                source.file, source.sha256
            ));
        }
        let options = VerifyOptions {
            tolerance: self.tolerance,
            seed: self.seed,
            threads: self.engine.thread_count(),
            ..VerifyOptions::default()
        };
        let mut candidates = self.engine.candidates()?.into_iter();
        let verification = loop {
            let Some(candidate) = candidates.next() else { anyhow::bail!("no backend can run the network") };
            let tried = verify::verify(&bundle, &self.against, candidate.backend.as_ref(), &options);
            match tried.as_ref().err().and_then(ExportError::refused_by_backend) {
                Some(refusal) if candidates.len() > 0 => {
                    output::note(format!("note: {} cannot: {}", candidate.name(), chain(refusal)));
                }
                _ => break tried.map_err(explain)?,
            }
        };
        let holds = verification.holds();
        if self.json {
            output::json(&json!({
                "schema_version": 1,
                "bundle": {"name": bundle.manifest().name, "identity": bundle.identity()},
                "source_matches": source_matches, "holds": holds, "proof": verification,
            }))?;
        } else {
            output::text(sentence(&verification))?;
        }
        Ok(if holds { Status::Done } else { Status::NotHeld })
    }
}

/// A proof in one sentence.
pub fn sentence(proof: &Verification) -> String {
    let worst = proof.worst().map_or((0, 0.0), |worst| (worst.exit, worst.difference));
    let verdict = if proof.holds() { "equal" } else { "DIFFER FROM" };
    format!(
        "composed segments {verdict} the whole network on {} random images ({} {}): largest difference {:.1e} at exit {}, \
         tolerance {:.0e}",
        proof.images, proof.backend.name, proof.backend.provider, worst.1, worst.0, proof.tolerance
    )
}
