//! `offramp verify`: composed segments against the whole network.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use offramp_exporter::ExportError;
use offramp_exporter::tails::proof::TailVerification;
use offramp_exporter::tails::{self, WireData};
use offramp_exporter::verify::{self, Verification, VerifyOptions};
use offramp_models::Bundle;
use offramp_models::dataset::DataRef;
use offramp_runtime::backend::Backend;
use serde_json::json;

use super::split::{agreement_table, explain};
use crate::backends::BackendFlags;
use crate::input::DATA;
use crate::status::Status;
use crate::{output, quantities};

/// Prove that a bundle's composed segments equal the network they were cut from, and that its tails answer as they do
///
/// Status 3 beyond the tolerance; status 1 for a bundle that was tampered with.
#[derive(Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "Examples:\n  offramp verify network.bundle --against network.onnx --backend tract\n  \
                        offramp verify network.bundle --against network.onnx --wire-data test.npz"
)]
pub struct Verify {
    /// The bundle, a folder that `split` wrote
    bundle: PathBuf,
    /// The network it was split from
    #[arg(long, value_name = "MODEL.onnx")]
    against: PathBuf,
    /// Largest difference allowed, relative to the exit's largest logit where that is above 1
    #[arg(long, value_name = "X", default_value = "1e-4", value_parser = quantities::tolerance)]
    tolerance: f32,
    /// Seed of the random images
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Also say, on these pictures, how often tails that take bytes give the final label of the segments
    #[arg(long, value_name = "DATA", long_help = DATA)]
    wire_data: Option<DataRef>,
    /// Take only the first N pictures of --wire-data
    #[arg(long, value_name = "N", requires = "wire_data", value_parser = quantities::count)]
    wire_limit: Option<NonZeroUsize>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backend: BackendFlags,
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
            threads: self.backend.thread_count(),
            ..VerifyOptions::default()
        };
        let wire_data = self.wire_data.clone().map(|data| WireData { data, limit: self.wire_limit });
        let attempt = |backend: &dyn Backend| {
            let proved = verify::verify(&bundle, &self.against, backend, &options)?;
            let tails = tails::proof::verify(&bundle, backend, &options)?;
            let agreements = wire_data.as_ref();
            let agreements =
                agreements.map(|data| tails::agreements(&bundle, backend, data, options.threads));
            Ok((proved, tails, agreements.transpose()?.unwrap_or_default()))
        };
        let spinner = output::spinner("proving");
        let proved = self.backend.candidates(None)?.first_that_runs(ExportError::refused_by_backend, attempt);
        spinner.finish_and_clear();
        let ((verification, tails, agreements), _) = proved.map_err(explain)?;
        let holds = verification.holds() && tails.holds();
        if self.json {
            output::json(&json!({
                "schema_version": 1,
                "bundle": {"name": bundle.manifest().name, "identity": bundle.identity()},
                "source_matches": source_matches, "holds": holds, "proof": verification,
                "tail_proof": Some(&tails).filter(|tails| !tails.tails.is_empty()),
                "agreements": agreements,
            }))?;
        } else {
            output::text(sentence(&verification))?;
            if !tails.tails.is_empty() {
                output::text(tail_sentence(&tails))?;
            }
            if !agreements.is_empty() {
                output::text(agreement_table(&agreements))?;
            }
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

/// A proof of tails in one sentence.
pub fn tail_sentence(proof: &TailVerification) -> String {
    let worst = proof.worst().map_or((0, 0.0), |worst| (worst.cut, worst.largest()));
    let (count, verdict) = (proof.tails.len(), if proof.holds() { "answer as" } else { "DO NOT ANSWER AS" });
    format!(
        "{count} tails {verdict} the segments on {} random images ({} {}): largest difference {:.1e} at cut {}, tolerance {:.0e}",
        proof.images, proof.backend.name, proof.backend.provider, worst.1, worst.0, proof.tolerance
    )
}
