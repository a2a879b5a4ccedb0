//! A plan becomes a bundle: written aside, proved, then let appear.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use offramp_models::manifest::{DataFile, Extra, SCHEMA_VERSION};
use offramp_models::{Bundle, BundleError, Manifest, Segment, Tail};
use offramp_runtime::backend::{Backend, BackendError, Description};

use crate::gradient::proof::{self, GradientVerification};
use crate::plan::{Plan, PlannedPart};
use crate::staging::{self, Staging};
use crate::tails::proof::TailVerification;
use crate::tails::{Agreement, TailOptions};
use crate::verify::{self, Verification, VerifyOptions};
use crate::{ExportError, gradient, plan, tails};

/// How to write and prove.
#[derive(Clone, Debug)]
pub struct SplitOptions {
    /// How to find exits and cut.
    pub plan: plan::PlanOptions,
    /// The bundle's name; default: the model's file name without its ending.
    pub name: Option<String>,
    /// Replace a bundle that is there.
    pub force: bool,
    /// Whether gradient graphs are written, and proved with the bundle.
    pub gradients: bool,
    /// Which tails are written, and proved with the bundle; `None` for no tails.
    pub tails: Option<TailOptions>,
    /// How the bundle is proved.
    pub verify: VerifyOptions,
}

/// A bundle that was written.
#[derive(Debug)]
pub struct Written {
    /// The bundle.
    pub bundle: Bundle,
    /// The proof, unless none was asked for.
    pub verification: Option<Verification>,
    /// The proof of the gradient graphs, where they were asked for with a proof.
    pub gradient_verification: Option<GradientVerification>,
    /// Tails that were written.
    pub tails: Vec<Tail>,
    /// What the tails that take bytes change, by cut.
    pub agreements: Vec<Agreement>,
    /// Proofs of the tails, one per engine that can run them.
    pub tail_verifications: Vec<TailVerification>,
    /// Engines that cannot run the tails, and why.
    pub tails_unproved: Vec<(Description, BackendError)>,
    /// Time for reading, cutting and writing.
    pub split_time: Duration,
    /// Time for the proof.
    pub proof_time: Duration,
}

/// Splits the network in `model` into a bundle at `target` and proves it on the first of `backends`, if there is one. Tails
/// are proved on all of them, as far as they can run them.
///
/// Nothing appears at `target` unless everything succeeded.
///
/// # Errors
/// Any [`ExportError`]; `Proof` when composed segments and whole network differ, `Gradient` for a network without one,
/// `GradientProof` and `ForwardProof` for gradient graphs that do not hold, `TailProof` for tails that do not, `NoEngine`
/// for tails without a backend.
pub fn split(
    model: &Path,
    target: &Path,
    options: &SplitOptions,
    backends: &[&dyn Backend],
) -> Result<Written, ExportError> {
    let started = Instant::now();
    if options.tails.is_some() && backends.is_empty() {
        return Err(ExportError::NoEngine);
    }
    let staging = Staging::new(target, options.force, &staging::BUNDLE)?;
    let plan = plan::plan(model, &options.plan)?;
    let extras = if options.gradients { write_gradients(&plan, staging.path()) } else { Ok(Vec::new()) };
    let extras = extras.map_err(|error| staging.tell(error))?;
    let mut manifest =
        write(&plan, options.name.as_deref(), extras, staging.path()).map_err(|error| staging.tell(error))?;
    let split_time = started.elapsed();

    let started = Instant::now();
    let (mut verification, mut gradient_verification) = (None, None);
    let (mut agreements, mut tail_verifications, mut tails_unproved) = (Vec::new(), Vec::new(), Vec::new());
    if let Some(backend) = backends.first() {
        let bundle = Bundle::open(staging.path())?;
        let proved = verify::verify(&bundle, model, *backend, &options.verify)?;
        proved.require()?;
        verification = Some(proved);
        if options.gradients {
            let [forward, backward] =
                [gradient::FORWARD, gradient::BACKWARD].map(|file| staging.path().join(file));
            let files = [forward.as_path(), backward.as_path()];
            let proved = proof::verify(files, bundle.manifest(), model, *backend, &options.verify)?;
            proved.require()?;
            gradient_verification = Some(proved);
        }
        if let Some(asked_for) = &options.tails {
            let written = tails::write(&plan, &bundle, *backend, asked_for, &options.verify);
            let written = written.map_err(|error| staging.tell(error))?;
            manifest.extras.extend(written.extras);
            agreements = written.agreements;
            save(&manifest, staging.path()).map_err(|error| staging.tell(error))?;
            let bundle = Bundle::open(staging.path())?;
            for (at, backend) in backends.iter().enumerate() {
                match tails::proof::verify(&bundle, *backend, &options.verify) {
                    Ok(proved) => {
                        proved.require()?;
                        tail_verifications.push(proved);
                    }
                    Err(ExportError::Backend(refused)) if at > 0 => {
                        tails_unproved.push((backend.describe(), refused));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }
    let proof_time = started.elapsed();
    staging.publish()?;
    let bundle = Bundle::open(target)?;
    Ok(Written {
        bundle,
        verification,
        gradient_verification,
        tails: manifest.tails().map_err(|source| BundleError::Tail { path: target.to_owned(), source })?,
        agreements,
        tail_verifications,
        tails_unproved,
        split_time,
        proof_time,
    })
}

fn write(
    plan: &Plan,
    name: Option<&str>,
    extras: Vec<Extra>,
    folder: &Path,
) -> Result<Manifest, ExportError> {
    let segments_folder = folder.join("segments");
    fs::create_dir(&segments_folder)
        .map_err(|source| ExportError::Write { path: segments_folder.clone(), source })?;
    let segments = plan.parts.iter().enumerate().map(|(index, part)| write_segment(index, part, folder));
    let manifest = Manifest {
        schema_version: SCHEMA_VERSION,
        name: name.map_or_else(|| default_name(&plan.source.file), str::to_owned),
        producer: concat!("offramp ", env!("CARGO_PKG_VERSION")).to_owned(),
        source: plan.source.clone(),
        input: plan.input.clone(),
        classes: plan.classes.clone(),
        exits: plan.exits.clone(),
        segments: segments.collect::<Result<_, _>>()?,
        extras,
    };
    save(&manifest, folder)?;
    Ok(manifest)
}

fn save(manifest: &Manifest, folder: &Path) -> Result<(), ExportError> {
    manifest.validate()?;
    let path = folder.join(offramp_models::bundle::MANIFEST);
    let text = serde_json::to_string_pretty(manifest)
        .map_err(|source| ExportError::Write { path: path.clone(), source: source.into() })?;
    fs::write(&path, text + "\n").map_err(|source| ExportError::Write { path, source })
}

/// Writes the gradient graphs and says where they are.
fn write_gradients(plan: &Plan, folder: &Path) -> Result<Vec<Extra>, ExportError> {
    let gradients = gradient::derive(plan)?;
    let home = folder.join("gradient");
    fs::create_dir(&home).map_err(|source| ExportError::Write { path: home.clone(), source })?;
    let mut extras = Vec::new();
    for (model, file, kind) in [
        (&gradients.forward, gradient::FORWARD, Extra::GRADIENT_FORWARD),
        (&gradients.backward, gradient::BACKWARD, Extra::GRADIENT_BACKWARD),
    ] {
        let written = model.write(folder.join(file))?;
        let extra = |file: String, sha256, kind: &str| Extra { file, sha256, kind: kind.to_owned() };
        extras.push(extra(file.to_owned(), written.sha256, kind));
        let data = written.data.map(|data| extra(format!("{file}.data"), data.sha256, Extra::GRADIENT_DATA));
        extras.extend(data);
    }
    Ok(extras)
}

fn write_segment(index: usize, part: &PlannedPart, folder: &Path) -> Result<Segment, ExportError> {
    let file = format!("segments/{index}.onnx");
    let written = part.model.write(folder.join(&file))?;
    Ok(Segment {
        index,
        sha256: written.sha256,
        data: written.data.map(|data| DataFile { file: format!("{file}.data"), sha256: data.sha256 }),
        file,
        inputs: part.inputs.clone(),
        outputs: part.outputs.clone(),
        macs: part.macs,
        params: part.params,
        boundary_bytes: part.boundary_bytes(),
    })
}

/// The file's stem, with what does not belong in a name replaced.
fn default_name(file: &str) -> String {
    let stem = file.strip_suffix(".onnx").unwrap_or(file);
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    stem.chars().map(plain).collect()
}
