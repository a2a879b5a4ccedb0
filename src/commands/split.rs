//! `offramp split`: a network becomes a bundle.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::Args;
use offramp_exporter::ExportError;
use offramp_exporter::exits::Choice;
use offramp_exporter::image::Normalisation;
use offramp_exporter::plan::PlanOptions;
use offramp_exporter::split::{self, SplitOptions, Written};
use offramp_exporter::tails::{Agreement, TailOptions, WireData};
use offramp_exporter::verify::VerifyOptions;
use offramp_graph::macs::Counting;
use offramp_models::dataset::{DataError, DataRef};
use offramp_models::{Causes, Manifest, ManifestError, Tail, Wire};
use offramp_runtime::backend::Backend;
use offramp_runtime::backend::tract::TractBackend;
use serde_json::json;

use crate::backends::{BackendFlags, Candidate, Candidates};
use crate::input::DATA;
use crate::status::{Status, hint, usage};
use crate::{output, quantities};

/// Cut a plain multi-output network at its exits, write the segments as a bundle, and prove them
#[derive(Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "Examples:\n  offramp split network.onnx -o network.bundle\n  \
                        offramp split network.onnx -o network.bundle --exit head1 --exit head2 --exit logits\n  \
                        offramp split network.onnx -o network.bundle --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225\n  \
                        offramp split network.onnx -o network.bundle --tails\n  \
                        offramp split network.onnx -o network.bundle --tails 0,2 --wire u8 --wire-data calibration.npz"
)]
pub struct Split {
    /// The network: ONNX, one output per exit
    #[arg(value_name = "MODEL.onnx")]
    model: PathBuf,
    /// The bundle's folder
    #[arg(short, long, value_name = "BUNDLE")]
    output: PathBuf,
    /// The bundle's name: letters, digits, ".", "_" and "-" [default: the model's file name]
    #[arg(long, value_name = "N", value_parser = name)]
    name: Option<String>,
    /// Replace a bundle that is there
    #[arg(long)]
    force: bool,
    /// Also write the graphs that give the gradient of any loss with respect to the image
    #[arg(long)]
    gradients: bool,
    /// Also write tails, what a server runs of the network after each cut; with K,.. only those after K segments, 0 taking
    /// the image. ONNX Runtime and tract both prove them, as far as they can run them
    #[arg(long, value_name = "K,..", num_args = 0..=1, value_delimiter = ',', value_parser = quantities::cut,
          conflicts_with = "no_proof")]
    tails: Option<Vec<usize>>,
    /// Form in which tensors reach tails: f32, or u8, a quarter of the bytes, for which there is a second set of tails
    #[arg(long, value_name = "W", default_value = "f32", requires = "tails")]
    wire: Wire,
    /// Pictures that the steps of --wire u8 are calibrated on: as --input of other commands
    #[arg(long, value_name = "DATA", required_if_eq("wire", "u8"), long_help = DATA)]
    wire_data: Option<DataRef>,
    /// Take only the first N pictures of --wire-data; each passes through the network and, once per cut, through its tail
    #[arg(long, value_name = "N", requires = "wire_data", value_parser = quantities::count)]
    wire_limit: Option<NonZeroUsize>,
    /// Do not prove that composed segments equal the whole network
    #[arg(long)]
    no_proof: bool,
    /// Largest difference that the proof allows
    #[arg(long, value_name = "X", default_value = "1e-4", value_parser = quantities::tolerance)]
    tolerance: f32,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    network: NetworkFlags,
    #[command(flatten)]
    backend: BackendFlags,
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
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', value_parser = quantities::mean, requires = "std",
          allow_hyphen_values = true)]
    mean: Option<Vec<f32>>,
    /// Per-channel standard deviation to divide by
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', value_parser = quantities::deviation, requires = "mean",
          allow_hyphen_values = true)]
    std: Option<Vec<f32>>,
    /// Values of black and white [default: 0,1 for float32, 0,255 for uint8]
    #[arg(long, value_name = "LOW,HIGH", value_parser = quantities::range, allow_hyphen_values = true)]
    range: Option<[f32; 2]>,
    /// A file with one class name per line
    #[arg(long, value_name = "FILE")]
    classes: Option<PathBuf>,
}

impl NetworkFlags {
    /// How the network is planned.
    pub fn options(&self) -> PlanOptions {
        PlanOptions {
            exits: Choice { tensors: self.exit.clone(), single: self.single },
            normalisation: Normalisation {
                mean: self.mean.clone(),
                std: self.std.clone(),
                range: self.range,
            },
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
            tails: self.tails.clone().map(|cuts| {
                let data = self.wire_data.clone().filter(|_| self.wire == Wire::U8);
                let wire_data = data.map(|data| WireData { data, limit: self.wire_limit });
                TailOptions { cuts, wire_data }
            }),
            verify: VerifyOptions {
                tolerance: self.tolerance,
                threads: self.backend.thread_count(),
                ..VerifyOptions::default()
            },
        };
        let candidates = (!self.no_proof).then(|| self.backend.candidates(None)).transpose()?;
        let replaced = policies(&self.output);
        let (written, _) = split(&self.model, &self.output, &options, candidates)?;
        if !replaced.is_empty() {
            output::note(format!(
                "note: gone with the bundle that was there: {}; calibrate again",
                replaced.join(", ")
            ));
        }
        if self.json {
            self.print_json(&written)?
        } else {
            self.print_text(&written)?
        }
        Ok(Status::Done)
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
            "tails": written.tails,
            "agreements": written.agreements,
            "tail_proofs": written.tail_verifications,
            "tails_not_proved": not_proved(written),
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
        lines.push(super::inspect::exit_table(&manifest.exits, "MACs", |exit| {
            manifest.segments[exit].boundary_bytes
        }));
        lines.push(match &written.verification {
            Some(proof) => super::verify::sentence(proof),
            None => "not proved (--no-proof)".to_owned(),
        });
        if let Some(proof) = &written.gradient_verification {
            lines.push(format!(
                "gradient graphs agree with the network: integrated between random images, the gradient gives the change of \
                 the logits to {:.1e} of it, tolerance {:.0e}",
                proof.difference, proof.tolerance
            ));
        }
        if !written.tails.is_empty() {
            lines.push(tail_table(&written.tails));
            lines.extend(written.agreements.first().map(|_| agreement_table(&written.agreements)));
            lines.extend(written.tail_verifications.iter().map(super::verify::tail_sentence));
        }
        output::text(lines.join("\n"))
    }
}

/// Policies of the bundle that is at `folder`, which a new one would not have.
fn policies(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder.join("policies")).into_iter().flatten().flatten();
    let names = files.map(|file| format!("policies/{}", file.file_name().to_string_lossy()));
    names.collect()
}

/// Engines that cannot run the tails.
fn not_proved(written: &Written) -> Vec<serde_json::Value> {
    let told = written.tails_unproved.iter();
    told.map(|(backend, why)| json!({"backend": backend, "why": Causes(why).to_string()})).collect()
}

/// What a server is to be given, and what each image costs on the way there.
pub fn tail_table(tails: &[Tail]) -> String {
    let width = tails.iter().map(|tail| tail.name.len()).max().unwrap_or(0);
    let row = |tail: &Tail| format!("  {:width$}  {:>9} bytes per image", tail.name, tail.bytes_per_image());
    tails.iter().map(row).collect::<Vec<_>>().join("\n")
}

/// What bytes save and change.
pub fn agreement_table(agreements: &[Agreement]) -> String {
    let head = "  cut  bytes per image: f32        u8     image  same final label".to_owned();
    let row = |row: &Agreement| {
        let Agreement { cut, images, agreement, f32_bytes, u8_bytes, image_bytes } = row;
        let share = agreement * 100.0;
        format!("  {cut:>3}{f32_bytes:>22}{u8_bytes:>10}{image_bytes:>10}  {share:.2} % of {images} images")
    };
    std::iter::once(head).chain(agreements.iter().map(row)).collect::<Vec<_>>().join("\n")
}

fn name(text: &str) -> Result<String, String> {
    let expected = "expected letters, digits, \".\", \"_\" and \"-\", a letter or digit first";
    Manifest::check_name(text).map(|()| text.to_owned()).map_err(|_| expected.to_owned())
}

/// Splits, and proves on the first candidate that can run the network; gives that back.
pub fn split(
    model: &Path,
    target: &Path,
    options: &SplitOptions,
    candidates: Option<Candidates>,
) -> anyhow::Result<(Written, Option<Candidate>)> {
    let spinner = output::spinner("splitting");
    let split = |backends: &[&dyn Backend]| split::split(model, target, options, backends);
    let written = match candidates {
        Some(candidates) => {
            // tract is always among several candidates, and the last.
            let tract = candidates.are_several().then(TractBackend::new);
            let with_tract = |backend: &dyn Backend| match &tract {
                Some(tract) if backend.describe() != tract.describe() => split(&[backend, tract]),
                _ => split(&[backend]),
            };
            candidates
                .first_that_runs(ExportError::refused_by_backend, with_tract)
                .map(|(written, candidate)| (written, Some(candidate)))
        }
        None => split(&[]).map(|written| (written, None)),
    };
    spinner.finish_and_clear();
    let (written, candidate) = written.map_err(explain)?;
    for (backend, refused) in &written.tails_unproved {
        output::note(format!("note: tails are not proved on {}: {}", backend.name, Causes(refused)));
    }
    Ok((written, candidate))
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
        ExportError::UnknownExit { .. } => {
            "--exit takes a tensor's name as it is in the file; without --exit every output is an exit"
        }
        ExportError::Exists { replaceable: true, .. } => "--force replaces it",
        ExportError::Exists { replaceable: false, .. } => {
            "choose another folder: only what offramp wrote of the same kind is replaced"
        }
        ExportError::NoTails { .. } => {
            "`offramp split --tails` writes them; for u8 also --wire u8 --wire-data DATA"
        }
        ExportError::Proof { .. } | ExportError::ForwardProof { .. } | ExportError::TailProof { .. } => {
            "nothing was written; --tolerance allows more"
        }
        ExportError::GradientProof { .. } | ExportError::GradientNotFinite { .. } => {
            "nothing was written; leave --gradients out to run the network"
        }
        ExportError::Gradient(_) => "leave --gradients out: the network runs without",
        ExportError::NoCut { cuts, .. } => {
            let expected = format!("cuts 0 to {}, commas between them; all without a number", cuts - 1);
            return usage(error.to_string(), format!("--tails takes {expected}"));
        }
        ExportError::Data(data) if matches!(**data, DataError::Size { .. }) => {
            "only folders of images are resized and cropped: give the pictures as a folder, or bring them to that size"
        }
        ExportError::Data(_) => "--help says what DATA may be",
        ExportError::Manifest(ManifestError::Count { what: what @ ("mean" | "std"), expected, found }) => {
            let message =
                format!("--{what} has {found} numbers, the network's input has {expected} channels");
            return usage(message, "one number per channel, with commas between them: --mean 0.5,0.5,0.5");
        }
        ExportError::OtherNetwork { .. } => {
            "--against takes the network that the bundle was split from; `offramp inspect` shows a network's exits"
        }
        ExportError::NotStatic { .. } => "leave --static out, or choose one output with --exit",
        _ => return error.into(),
    };
    hint(error, advice)
}
