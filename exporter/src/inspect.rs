//! What a split would find, told without writing anything.

use std::collections::BTreeMap;
use std::path::Path;

use offramp_models::{Causes, Classes, Exit, Input, Source, TensorSpec};
use offramp_runtime::backend::{Backend, Description, GraphSource, Origin, RunnerOptions};
use serde::Serialize;

use crate::ExportError;
use crate::plan::{self, Plan, PlanOptions};

/// A network as the exporter sees it.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// The file.
    pub source: Source,
    /// Its bytes, external data left out.
    pub source_bytes: u64,
    /// Operator sets by domain.
    pub opsets: BTreeMap<String, i64>,
    /// What the network takes.
    pub input: Input,
    /// What its logits stand for.
    pub classes: Classes,
    /// Exits by depth.
    pub exits: Vec<Exit>,
    /// Cuts, one after every exit but the final one.
    pub cuts: Vec<Cut>,
    /// Operators of the folded network by how often they occur.
    pub operators: BTreeMap<String, usize>,
    /// What the reader should know: activations left out, a fixed batch.
    pub notes: Vec<String>,
    /// Segments that a backend cannot run.
    pub unsupported: Vec<Unsupported>,
}

/// The tensors that cross after a segment.
#[derive(Clone, Debug, Serialize)]
pub struct Cut {
    /// The segment before the cut.
    pub after: usize,
    /// What crosses.
    pub tensors: Vec<TensorSpec>,
    /// Bytes per image.
    pub bytes: u64,
}

/// A segment that a backend cannot run.
#[derive(Clone, Debug, Serialize)]
pub struct Unsupported {
    /// The backend and its provider.
    pub backend: Description,
    /// The segment.
    pub segment: usize,
    /// The backend's reason with its causes.
    pub why: String,
}

/// Looks at the network in `path` and tries its segments on `backends`.
///
/// # Errors
/// What [`plan::plan`] says; a segment that a backend refuses is no error but a row of `unsupported`.
pub fn inspect(
    path: &Path,
    options: &PlanOptions,
    backends: &[&dyn Backend],
) -> Result<Inspection, ExportError> {
    let plan = plan::plan(path, options)?;
    let mut operators = BTreeMap::new();
    for node in &plan.model.graph.nodes {
        let name =
            if node.domain.is_empty() { node.op.clone() } else { format!("{}.{}", node.domain, node.op) };
        *operators.entry(name).or_insert(0) += 1;
    }
    let last = plan.parts.len().saturating_sub(1);
    let cut = |(after, part): (usize, &plan::PlannedPart)| Cut {
        after,
        tensors: part.boundary.clone(),
        bytes: part.boundary_bytes(),
    };
    let cuts = plan.parts.iter().take(last).enumerate().map(cut).collect();
    let unsupported =
        backends.iter().map(|backend| refusals(&plan, *backend)).collect::<Result<Vec<_>, _>>()?;
    Ok(Inspection {
        notes: notes(&plan),
        source: plan.source,
        source_bytes: plan.source_bytes,
        opsets: plan.model.opsets.clone(),
        input: plan.input,
        classes: plan.classes,
        exits: plan.exits,
        cuts,
        operators,
        unsupported: unsupported.into_iter().flatten().collect(),
    })
}

fn notes(plan: &Plan) -> Vec<String> {
    let activation = |exit: &crate::exits::FoundExit| {
        let op = exit.activation.as_ref()?;
        Some(format!("exit \"{}\" is a {op}: its logits are \"{}\", before it", exit.name, exit.logits))
    };
    let batch = plan.input.fixed_batch().map(|batch| format!("the network insists on a batch of {batch}"));
    plan.found.iter().filter_map(activation).chain(batch).collect()
}

fn refusals(plan: &Plan, backend: &dyn Backend) -> Result<Vec<Unsupported>, ExportError> {
    let mut refusals = Vec::new();
    for (segment, part) in plan.parts.iter().enumerate() {
        let bytes = part.model.to_bytes()?;
        let source = GraphSource { label: format!("segment {segment}"), origin: Origin::Bytes(&bytes) };
        if let Err(error) = backend.prepare(&source, &RunnerOptions::default()) {
            let why = Causes(&error).to_string();
            refusals.push(Unsupported { backend: backend.describe(), segment, why });
        }
    }
    Ok(refusals)
}
