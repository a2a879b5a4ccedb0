//! `offramp split`: a network becomes a bundle.

use std::path::PathBuf;

use clap::Args;
use offramp_exporter::ExportError;
use offramp_exporter::exits::Choice;
use offramp_exporter::image::Normalisation;
use offramp_exporter::plan::PlanOptions;
use offramp_exporter::split::{self, SplitOptions, Written};
use offramp_exporter::verify::VerifyOptions;
use offramp_graph::macs::Counting;
use serde_json::json;

use crate::engines::{Candidate, EngineFlags, chain};
use crate::output;
use crate::status::{Status, hint};

/// Cut a plain multi-output network at its exits, write the segments as a bundle, and prove them.
#[derive(Args)]
#[command(after_help = "Examples:\n  offramp split network.onnx -o network.bundle\n  \
                        offramp split network.onnx -o network.bundle --exit head1 --exit head2 --exit logits\n  \
                        offramp split network.onnx -o network.bundle --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225")]
pub struct Split {
    /// The network: ONNX, one output per exit
    #[arg(value_name = "MODEL.onnx")]
    model: PathBuf,
    /// The bundle's folder
    #[arg(short, long, value_name = "BUNDLE")]
    output: PathBuf,
    #[command(flatten)]
    network: NetworkFlags,
    /// The bundle's name [default: the model's file name]
    #[arg(long, value_name = "N")]
    name: Option<String>,
    /// Replace a bundle that is there
    #[arg(long)]
    force: bool,
    /// Also write the graphs that give the gradient of any loss with respect to the image
    #[arg(long)]
    gradients: bool,
    /// Do not prove that composed segments equal the whole network
    #[arg(long)]
    no_proof: bool,
    /// Largest difference that the proof allows
    #[arg(long, value_name = "X", default_value_t = 1e-4)]
    tolerance: f32,
    #[command(flatten)]
    engine: EngineFlags,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What the model's file does not say.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Network")]
pub struct NetworkFlags {
    /// A tensor that is an exit's logits; once per exit [default: every output]
    #[arg(long, value_name = "TENSOR")]
    exit: Vec<String>,
    /// A network with one output: one segment, no early exit
    #[arg(long = "static")]
    single: bool,
    /// Per-channel mean to take off, where the network does not normalise by itself
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', requires = "std", allow_hyphen_values = true)]
    mean: Option<Vec<f32>>,
    /// Per-channel standard deviation to divide by
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', requires = "mean")]
    std: Option<Vec<f32>>,
    /// Values of black and white [default: 0,1 for float32, 0,255 for uint8]
    #[arg(long, value_name = "LOW,HIGH", value_delimiter = ',', num_args = 2, allow_hyphen_values = true)]
    range: Option<Vec<f32>>,
    /// A file with one class name per line
    #[arg(long, value_name = "FILE")]
    classes: Option<PathBuf>,
}

impl NetworkFlags {
    /// How the network is planned.
    pub fn options(&self) -> PlanOptions {
        let range = self.range.as_deref().and_then(|range| <[f32; 2]>::try_from(range).ok());
        PlanOptions {
            exits: Choice { tensors: self.exit.clone(), single: self.single },
            normalisation: Normalisation { mean: self.mean.clone(), std: self.std.clone(), range },
            classes: self.classes.clone(),
            counting: Counting::Macs,
        }
    }
}

impl Split {
    pub fn run(self) -> anyhow::Result<Status> {
        let options = SplitOptions {
            plan: self.network.options(),
            name: self.name.clone(),
            force: self.force,
            gradients: self.gradients,
            verify: VerifyOptions {
                tolerance: self.tolerance,
                threads: self.engine.thread_count(),
                ..VerifyOptions::default()
            },
        };
        let candidates = if self.no_proof { Vec::new() } else { self.engine.candidates()? };
        let spinner = output::spinner("splitting");
        let written = self.attempt(&options, &candidates);
        spinner.finish_and_clear();
        let written = match written {
            Ok(written) => written,
            Err(error @ (ExportError::GradientProof { .. } | ExportError::GradientNotFinite { .. })) => {
                crate::status::explain(&hint(
                    error,
                    "nothing was written; leave --gradients out to run the network",
                ));
                return Ok(Status::NotHeld);
            }
            Err(error @ (ExportError::Proof { .. } | ExportError::ForwardProof { .. })) => {
                crate::status::explain(&hint(error, "nothing was written; --tolerance allows more"));
                return Ok(Status::NotHeld);
            }
            Err(error) => return Err(explain(error)),
        };
        if self.json {
            self.print_json(&written)?
        } else {
            self.print_text(&written)?
        }
        Ok(Status::Done)
    }

    /// Splits with the first candidate that can run the network.
    fn attempt(&self, options: &SplitOptions, candidates: &[Candidate]) -> Result<Written, ExportError> {
        let [first @ .., last] = candidates else {
            return split::split(&self.model, &self.output, options, None);
        };
        for candidate in first {
            let tried = split::split(&self.model, &self.output, options, Some(candidate.backend.as_ref()));
            let Err(error) = &tried else { return tried };
            let Some(refusal) = error.refused_by_backend() else { return tried };
            output::note(format!("note: not proved by {}: {}", candidate.name(), chain(refusal)));
        }
        split::split(&self.model, &self.output, options, Some(last.backend.as_ref()))
    }

    fn print_json(&self, written: &Written) -> anyhow::Result<()> {
        let bundle = &written.bundle;
        output::json(&json!({
            "schema_version": 1,
            "bundle": {"dir": bundle.dir(), "name": bundle.manifest().name, "identity": bundle.identity()},
            "exits": bundle.manifest().exits,
            "segments": bundle.manifest().segments,
            "split_s": written.split_time.as_secs_f64(),
            "proof_s": written.verification.as_ref().map(|_| written.proof_time.as_secs_f64()),
            "proof": written.verification,
            "extras": bundle.manifest().extras,
            "gradient_proof": written.gradient_verification,
        }))
    }

    fn print_text(&self, written: &Written) -> anyhow::Result<()> {
        let manifest = written.bundle.manifest();
        let mut lines = vec![format!(
            "{}: {} exits, {} classes, {:.1} M multiply-adds, identity {}",
            written.bundle.dir().display(),
            manifest.exits.len(),
            manifest.classes.count,
            manifest.exits.last().map_or(0, |exit| exit.macs) as f64 / 1e6,
            written.bundle.identity().prefix(12)
        )];
        lines
            .push(super::inspect::exit_table(&manifest.exits, |exit| manifest.segments[exit].boundary_bytes));
        lines.push(match &written.verification {
            Some(proof) => super::verify::sentence(proof),
            None => "not proved (--no-proof)".to_owned(),
        });
        if let Some(proof) = &written.gradient_verification {
            lines.push(format!(
                "gradient graphs explain the logits between random images to {:.1e}, tolerance {:.0e}",
                proof.difference, proof.tolerance
            ));
        }
        output::text(lines.join("\n"))
    }
}

/// Adds the flag that helps to an error of the exporter.
pub fn explain(error: ExportError) -> anyhow::Error {
    let advice = match &error {
        ExportError::OneOutput { .. } => {
            "export the network with one output per exit, name inner tensors with --exit, or use --static \
             for a network without early exits"
        }
        ExportError::NotLogits { .. } | ExportError::Classes { .. } => {
            "name the tensors that are logits with --exit, once per exit"
        }
        ExportError::Activation { .. } => "name the tensor before the activation with --exit",
        ExportError::UnknownExit { .. } => "`offramp inspect` lists the outputs of a network",
        ExportError::Exists { bundle: true, .. } => "--force replaces the bundle",
        ExportError::Exists { bundle: false, .. } => "choose another folder: only bundles are replaced",
        ExportError::Gradient(_) => "leave --gradients out: the network runs without",
        ExportError::NotStatic { .. } => "leave --static out, or choose one output with --exit",
        _ => return error.into(),
    };
    hint(error, advice)
}
