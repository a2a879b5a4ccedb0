//! What a split would do: the folded network, its exits, its parts and their cost.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use offramp_graph::fold::Folded;
use offramp_graph::ir::{Dim, ElementType, Graph, Model, ValueInfo};
use offramp_graph::macs::{self, Counting, MacsByNode};
use offramp_graph::shape::Shapes;
use offramp_graph::{Index, partition};
use offramp_models::{Classes, DType, Exit, Input, Sha256, Source, TensorSpec, regular};

use crate::exits::{self, Choice, FoundExit};
use crate::image::{self, Normalisation};
use crate::{ExportError, fold};

/// How to split.
#[derive(Clone, Debug, Default)]
pub struct PlanOptions {
    /// Which tensors are exits.
    pub exits: Choice,
    /// What the file cannot say about the input.
    pub normalisation: Normalisation,
    /// One class name per line.
    pub classes: Option<PathBuf>,
    /// How arithmetic is counted.
    pub counting: Counting,
}

/// A network ready to be written as a bundle.
#[derive(Debug)]
pub struct Plan {
    /// The file that was read.
    pub source: Source,
    /// Bytes of that file, external data left out.
    pub source_bytes: u64,
    /// The folded network.
    pub model: Model,
    /// What the network takes.
    pub input: Input,
    /// What its logits stand for.
    pub classes: Classes,
    /// Exits as found, by depth.
    pub found: Vec<FoundExit>,
    /// Exits as the manifest tells them.
    pub exits: Vec<Exit>,
    /// One part per exit.
    pub parts: Vec<PlannedPart>,
}

/// One segment to be.
#[derive(Debug)]
pub struct PlannedPart {
    /// Its graph.
    pub model: Model,
    /// What it takes.
    pub inputs: Vec<TensorSpec>,
    /// What it gives, logits first.
    pub outputs: Vec<TensorSpec>,
    /// Multiply-adds.
    pub macs: u64,
    /// Parameters.
    pub params: u64,
    /// What crosses the cut after it.
    pub boundary: Vec<TensorSpec>,
}

impl PlannedPart {
    /// Bytes per image that cross the cut after this part.
    pub fn boundary_bytes(&self) -> u64 {
        self.boundary.iter().map(|spec| spec.bytes_per_image() as u64).sum()
    }
}

/// Reads, folds and cuts the network in `path`; writes nothing.
///
/// # Errors
/// Any [`ExportError`] but those of writing and proving.
pub fn plan(path: &Path, options: &PlanOptions) -> Result<Plan, ExportError> {
    let mut model = Model::read(path)?;
    let read = |source| ExportError::Read { path: path.to_owned(), source };
    let sha256 = Sha256::of_file(path).map_err(read)?;
    let source_bytes = std::fs::metadata(path).map_err(read)?.len();
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();

    let input = image::describe(&model.graph, options.normalisation.clone())?;
    free_batch(&mut model, &input);
    keep_exits(&mut model.graph, &options.exits.tensors)?;
    let Folded { model, shapes, .. } = fold::fold(model)?;
    refuse_nan(&model.graph)?;
    let found = {
        let index = Index::new(&model.graph);
        exits::find(&model.graph, &index, &options.exits, &|name| shapes.spec(name).ok())?
    };
    let classes = class_names(options.classes.as_deref(), found.first().map_or(0, |exit| exit.classes))?;
    let logits: Vec<String> = found.iter().map(|exit| exit.logits.clone()).collect();
    let parts = partition(&model, &logits, &|name| shapes.spec(name).ok().map(|spec| value_info(&spec)))?;
    let costs = macs::count(&model, &shapes, options.counting)?;
    let parts = measure(&model, parts, &input, &shapes, &costs)?;
    let exits = exits_of(&found, &parts);
    let source = Source { file, sha256 };
    Ok(Plan { source, source_bytes, model, input, classes, found, exits, parts })
}

/// Gives the input's batch the one name that all shapes use.
fn free_batch(model: &mut Model, input: &Input) {
    if let Some(info) = model.graph.inputs.first_mut()
        && input.fixed_batch().is_none()
        && let Some(batch) = info.dims.as_mut().and_then(|dims| dims.first_mut())
    {
        *batch = Dim::Named("batch".to_owned());
    }
}

/// Engines differ in what they make of NaN: some turn it into a confident answer.
fn refuse_nan(graph: &Graph) -> Result<(), ExportError> {
    let float32 = ElementType::Known(DType::Float32);
    let is_nan = |bytes: &[u8; 4]| f32::from_le_bytes(*bytes).is_nan();
    let bad = graph.initializers.iter().find(|initializer| {
        let tensor = &initializer.tensor;
        tensor.dtype == float32 && tensor.data.as_chunks().0.iter().any(is_nan)
    });
    bad.map_or(Ok(()), |bad| Err(ExportError::NanWeight { tensor: bad.name.clone() }))
}

/// Makes named exits the graph's outputs, so that folding keeps them under their names.
fn keep_exits(graph: &mut Graph, exits: &[String]) -> Result<(), ExportError> {
    if exits.is_empty() {
        return Ok(());
    }
    let made: HashSet<&str> = graph.nodes.iter().flat_map(|node| &node.outputs).map(String::as_str).collect();
    if let Some(unknown) = exits.iter().find(|exit| !made.contains(exit.as_str())) {
        return Err(exits::unknown(graph, unknown));
    }
    let output = |exit: &String| {
        let stated = graph.outputs.iter().find(|output| output.name == *exit);
        stated.cloned().unwrap_or_else(|| ValueInfo::float32(exit))
    };
    graph.outputs = exits.iter().map(output).collect();
    Ok(())
}

pub(crate) fn value_info(spec: &TensorSpec) -> ValueInfo {
    let dim = |extent: &Option<usize>| match extent {
        Some(extent) => Dim::Known(*extent),
        None => Dim::Named("batch".to_owned()),
    };
    ValueInfo {
        name: spec.name.clone(),
        dtype: Some(ElementType::Known(spec.dtype)),
        dims: Some(spec.shape.iter().map(dim).collect()),
    }
}

fn class_names(file: Option<&Path>, count: usize) -> Result<Classes, ExportError> {
    let Some(path) = file else { return Ok(Classes { count, names: None }) };
    let text = regular::read_to_string(path)
        .map_err(|source| ExportError::Read { path: path.to_owned(), source })?;
    let names: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
    if names.len() != count {
        return Err(ExportError::ClassNames { path: path.to_owned(), expected: count, found: names.len() });
    }
    Ok(Classes { count, names: Some(names) })
}

fn measure(
    whole: &Model,
    parts: Vec<Model>,
    input: &Input,
    shapes: &Shapes,
    costs: &MacsByNode,
) -> Result<Vec<PlannedPart>, ExportError> {
    let describe = |exit: usize, name: &str| {
        if name == input.name {
            return Ok(input.spec());
        }
        let tensor = name.to_owned();
        let spec = shapes.spec(name).map_err(|source| ExportError::Boundary { tensor, exit, source })?;
        if spec.shape.iter().filter(|extent| extent.is_none()).count() > 1 {
            return Err(ExportError::BatchTwice { tensor: spec, exit });
        }
        Ok(spec)
    };
    let first_outputs =
        whole.graph.nodes.iter().enumerate().filter_map(|(at, node)| Some((node.outputs.first()?, at)));
    let place: HashMap<&String, usize> = first_outputs.collect();
    let mut planned = Vec::with_capacity(parts.len());
    for (exit, mut model) in parts.into_iter().enumerate() {
        let graph = &mut model.graph;
        let all = |infos: &[ValueInfo]| {
            infos.iter().map(|info| describe(exit, &info.name)).collect::<Result<Vec<_>, _>>()
        };
        let (inputs, outputs) = (all(&graph.inputs)?, all(&graph.outputs)?);
        // The file states what the manifest says, however little the model did.
        graph.inputs = inputs.iter().map(value_info).collect();
        graph.outputs = outputs.iter().map(value_info).collect();
        let cost = costs.sum(graph.nodes.iter().filter_map(|node| place.get(node.outputs.first()?).copied()));
        planned.push(PlannedPart {
            macs: cost.macs,
            params: cost.params,
            inputs,
            outputs,
            boundary: Vec::new(),
            model,
        });
    }
    for exit in 0..planned.len() {
        let (before, after) = planned.split_at(exit + 1);
        let needed: HashSet<&str> =
            after.iter().flat_map(|part| &part.inputs).map(|spec| spec.name.as_str()).collect();
        let image = input.spec();
        let live = std::iter::once(&image).chain(before.iter().flat_map(|part| &part.outputs));
        let boundary = live.filter(|spec| needed.contains(spec.name.as_str())).cloned().collect();
        planned[exit].boundary = boundary;
    }
    Ok(planned)
}

fn exits_of(found: &[FoundExit], parts: &[PlannedPart]) -> Vec<Exit> {
    let whole: u64 = parts.iter().map(|part| part.macs).sum();
    let (mut macs, mut params) = (0, 0);
    let exit = |(index, (found, part)): (usize, (&FoundExit, &PlannedPart))| {
        macs += part.macs;
        params += part.params;
        Exit {
            index,
            name: found.name.clone(),
            logits: found.logits.clone(),
            segment: index,
            macs,
            macs_fraction: if whole == 0 { 1.0 } else { macs as f64 / whole as f64 },
            params,
        }
    };
    found.iter().zip(parts).enumerate().map(exit).collect()
}
