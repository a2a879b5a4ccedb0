//! The walk from the logits back to the image.

use std::collections::{HashMap, HashSet};

use offramp_graph::ir::{ElementType, Node};
use offramp_graph::shape::TensorShape;
use offramp_models::DType;

use super::GradientError;
use super::emitter::Emitter;
use super::forward::Forward;
use super::rules;
use super::step::Step;

/// Cotangents that were found for tensors, several for one that is used several times.
#[derive(Default)]
struct Cotangents(HashMap<String, Vec<String>>);

/// Emits the cotangent of `image` from those of `logits`, pairs of a forward tensor and its cotangent; returns its
/// name.
pub(super) fn walk(
    forward: &Forward<'_>,
    emitter: &mut Emitter,
    logits: &[(String, String)],
    image: &str,
) -> Result<String, GradientError> {
    let mut cotangents = Cotangents::default();
    logits.iter().for_each(|(tensor, cotangent)| cotangents.add(tensor, cotangent.clone()));
    for node in forward.model.graph.nodes.iter().rev() {
        if !node.inputs.iter().any(|input| forward.is_reached(input)) {
            continue;
        }
        let mut found =
            |output: &String| forward.is_reached(output).then(|| cotangents.take(output, emitter)).flatten();
        let outputs: Vec<Option<String>> = node.outputs.iter().map(&mut found).collect();
        if outputs.iter().all(Option::is_none) {
            continue;
        }
        check(forward, node)?;
        let rule = rules::find(&node.domain, &node.op).ok_or_else(|| no_rule(node))?;
        let mut step = Step::new(node, forward, emitter, outputs);
        rule(&mut step)?;
        for (tensor, cotangent) in step.finish() {
            if forward.is_reached(&tensor) {
                if let Some(shape) = forward.shapes.get(&tensor) {
                    let shape = TensorShape { dtype: ElementType::Known(DType::Float32), ..shape.clone() };
                    emitter.forms.insert(cotangent.clone(), shape);
                }
                cotangents.add(&tensor, cotangent);
            }
        }
    }
    cotangents.take(image, emitter).ok_or_else(|| GradientError::Unreached { input: image.to_owned() })
}

impl Cotangents {
    fn add(&mut self, tensor: &str, cotangent: String) {
        self.0.entry(tensor.to_owned()).or_default().push(cotangent);
    }

    /// The sum of what was found for `tensor`. Sums are of two: engines fuse those into the convolutions before them.
    fn take(&mut self, tensor: &str, emitter: &mut Emitter) -> Option<String> {
        let found = self.0.remove(tensor)?;
        let form = found.first().and_then(|first| emitter.forms.get(first)).cloned();
        found.into_iter().reduce(|sum, next| {
            let sum = emitter.node(tensor, "Add", &[&sum, &next], &[]);
            emitter.forms.extend(form.clone().map(|form| (sum.clone(), form)));
            sum
        })
    }
}

/// Only float32 is differentiated; other types may be cast from and to.
fn check(forward: &Forward<'_>, node: &Node) -> Result<(), GradientError> {
    let outputs = node.outputs.iter().filter(|output| forward.is_reached(output));
    for output in outputs {
        match forward.shapes.get(output) {
            Some(shape) if matches!(shape.dtype, ElementType::Known(dtype) if odd(dtype)) => {
                let found = shape.to_string();
                return Err(GradientError::ElementType { tensor: output.clone(), found });
            }
            _ => {}
        }
    }
    Ok(())
}

fn odd(dtype: DType) -> bool {
    matches!(dtype, DType::Float16 | DType::BFloat16 | DType::Float64)
}

fn no_rule(node: &Node) -> GradientError {
    let op = match node.domain.as_str() {
        "" => node.op.clone(),
        domain => format!("{domain}.{}", node.op),
    };
    let node = match node.name.as_str() {
        "" => format!("of \"{}\"", node.outputs.first().map_or("", String::as_str)),
        name => format!("\"{name}\""),
    };
    GradientError::NoRule { op, node }
}

/// The nodes of `emitter` that `output` needs, in order, and what they take that none of them gives.
pub(super) fn live(emitter: &mut Emitter, output: &str) -> Vec<String> {
    let mut needed: HashSet<String> = HashSet::from([output.to_owned()]);
    let mut kept = Vec::with_capacity(emitter.nodes.len());
    while let Some(node) = emitter.nodes.pop() {
        if node.outputs.iter().any(|output| needed.contains(output)) {
            needed.extend(node.inputs.iter().filter(|input| !input.is_empty()).cloned());
            kept.push(node);
        }
    }
    kept.reverse();
    emitter.nodes = kept;
    emitter.constants.retain(|constant| needed.contains(&constant.name));
    let own = emitter.nodes.iter().flat_map(|node| &node.outputs);
    let own: HashSet<&String> = own.chain(emitter.constants.iter().map(|constant| &constant.name)).collect();
    let mut seen = HashSet::new();
    let used = emitter.nodes.iter().flat_map(|node| &node.inputs);
    let outside = used.filter(|name| !name.is_empty() && !own.contains(name));
    outside.filter(|name| seen.insert((*name).clone())).cloned().collect()
}
