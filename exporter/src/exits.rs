//! Which tensors are the exits, and which comes first.

use std::collections::HashSet;

use offramp_graph::Index;
use offramp_graph::ir::{Attribute, Graph, Node};
use offramp_models::{DType, TensorSpec};

use crate::ExportError;

/// An exit of a network that is about to be split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundExit {
    /// The output or tensor by which the model names it.
    pub name: String,
    /// The logits; another tensor than `name` where the model ends in a softmax.
    pub logits: String,
    /// The activation between `logits` and `name`, left out of the segments.
    pub activation: Option<String>,
    /// Classes.
    pub classes: usize,
}

/// How exits are chosen.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Tensors named by the user; empty: all outputs.
    pub tensors: Vec<String>,
    /// A network with a single exit.
    pub single: bool,
}

/// Finds the exits of `graph`, earliest first.
///
/// An exit outranks another when the part of the network that it shares with others is larger; among equals,
/// when more nodes lie before it.
///
/// # Errors
/// `OneOutput`, `NotStatic`, `UnknownExit`, `SameExit`, `NotLogits`, `Activation` or `Classes`.
pub fn find(
    graph: &Graph,
    index: &Index<'_>,
    choice: &Choice,
    spec: &dyn Fn(&str) -> Option<TensorSpec>,
) -> Result<Vec<FoundExit>, ExportError> {
    let outputs: Vec<String> = match choice.tensors.as_slice() {
        [] => graph.outputs.iter().map(|output| output.name.clone()).collect(),
        named => named.to_vec(),
    };
    match outputs.as_slice() {
        [output] if !choice.single => return Err(ExportError::OneOutput { output: output.clone() }),
        many if choice.single && many.len() != 1 => return Err(ExportError::NotStatic { found: many.len() }),
        _ => {}
    }
    let mut exits = Vec::with_capacity(outputs.len());
    let mut seen = HashSet::new();
    for name in outputs {
        let exit = exit_at(graph, index, name, spec)?;
        if !seen.insert(exit.logits.clone()) {
            return Err(ExportError::SameExit { tensor: exit.name });
        }
        exits.push(exit);
    }
    if let Some(first) = exits.first()
        && let Some(other) = exits.iter().find(|exit| exit.classes != first.classes)
    {
        return Err(ExportError::Classes {
            first: first.name.clone(),
            expected: first.classes,
            exit: other.name.clone(),
            found: other.classes,
        });
    }
    Ok(by_depth(index, exits))
}

fn exit_at(
    graph: &Graph,
    index: &Index<'_>,
    name: String,
    spec: &dyn Fn(&str) -> Option<TensorSpec>,
) -> Result<FoundExit, ExportError> {
    let Some(producer) = index.producer(&name).and_then(|node| graph.nodes.get(node)) else {
        return Err(unknown(graph, &name));
    };
    let (logits, activation) = before_softmax(graph, index, &name, producer)?;
    let found = spec(&logits);
    let classes = match &found {
        Some(TensorSpec { dtype: DType::Float32, shape, .. }) => match shape.as_slice() {
            [None | Some(_), Some(classes)] if *classes > 0 => *classes,
            _ => return Err(not_logits(name, found)),
        },
        _ => return Err(not_logits(name, found)),
    };
    Ok(FoundExit { name, logits, activation, classes })
}

/// The error for a name that no node gives.
pub(crate) fn unknown(graph: &Graph, name: &str) -> ExportError {
    ExportError::UnknownExit { tensor: name.to_owned(), nearest: nearest(graph, name) }
}

fn not_logits(tensor: String, found: Option<TensorSpec>) -> ExportError {
    let found = found.map_or_else(
        || "of unknown shape".to_owned(),
        |spec| format!("{} {}", spec.dtype, offramp_models::tensor::Shape(&spec.shape)),
    );
    ExportError::NotLogits { tensor, found }
}

/// Steps back over a softmax, whose confidence the runtime computes itself, and over nodes that change nothing.
fn before_softmax(
    graph: &Graph,
    index: &Index<'_>,
    name: &str,
    producer: &Node,
) -> Result<(String, Option<String>), ExportError> {
    let (mut tensor, mut node, mut activation) = (name.to_owned(), producer, None);
    loop {
        match node.op.as_str() {
            "Softmax" | "LogSoftmax" if activation.is_none() && over_classes(node) => {
                activation = Some(node.op.clone());
            }
            "Sigmoid" | "HardSigmoid" | "Softmax" | "LogSoftmax" | "ArgMax" | "TopK" | "Hardmax" => {
                return Err(ExportError::Activation { tensor: name.to_owned(), op: node.op.clone() });
            }
            "Identity" => {}
            _ => return Ok((tensor, activation)),
        }
        let Some(input) = node.inputs.first() else { return Ok((tensor, activation)) };
        let Some(next) = index.producer(input).and_then(|node| graph.nodes.get(node)) else {
            return Ok((tensor, activation));
        };
        (tensor, node) = (input.clone(), next);
    }
}

/// Whether the axis of a softmax over [batch, classes] is the classes; both defaults, 1 and -1, are.
fn over_classes(node: &Node) -> bool {
    node.attributes.iter().all(|(name, value)| match (name.as_str(), value) {
        ("axis", Attribute::Int(axis)) => matches!(axis, 1 | -1),
        _ => true,
    })
}

fn by_depth(index: &Index<'_>, exits: Vec<FoundExit>) -> Vec<FoundExit> {
    let before: Vec<HashSet<usize>> =
        exits.iter().map(|exit| index.ancestors(&exit.logits).iter().collect()).collect();
    let depth = |exit: usize| {
        let shared =
            |node: &&usize| before.iter().enumerate().any(|(j, set)| j != exit && set.contains(*node));
        (before[exit].iter().filter(shared).count(), before[exit].len())
    };
    let mut ranked: Vec<_> = exits.into_iter().enumerate().map(|(at, exit)| (depth(at), at, exit)).collect();
    ranked.sort_by_key(|(depth, at, _)| (*depth, *at));
    ranked.into_iter().map(|(_, _, exit)| exit).collect()
}

fn nearest(graph: &Graph, wanted: &str) -> Option<String> {
    let wanted_lower = wanted.to_lowercase();
    let names = graph.nodes.iter().flat_map(|node| &node.outputs).filter(|name| !name.is_empty());
    names
        .map(|name| (distance(&wanted_lower, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= name.len().max(wanted.len()) / 3)
        .min()
        .map(|(_, name)| name.clone())
}

/// Levenshtein distance in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(x != y)).min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
    }
    row[b.len()]
}
