//! `Split` (ai.onnx 2 to 18): `dx` is the cotangents of the parts, joined; zeros for a part that no exit depends on.
//!
//! Source: elements stay apart.

use offramp_graph::ir::Attribute;
use offramp_graph::shape::Extent;

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let rank = step.extents(0)?.len();
    let axis = step.axis(step.int("axis", 0)?, rank)?;
    let mut extents = Vec::new();
    for at in 0..step.node.outputs.len() {
        match step.output_extents(at)?.get(axis) {
            Some(Extent::Known(extent)) => extents.push(*extent),
            _ => return Err(step.unsupported("the batch among what it parts")),
        }
    }
    let parts: Option<Vec<String>> = (0..extents.len()).map(|at| step.cotangent(at)).collect();
    if let Some(parts) = parts {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let joined = step.emit_with("Concat", &parts, &[("axis", Attribute::Int(axis as i64))]);
        step.give(0, joined);
        return Ok(());
    }
    let whole: usize = extents.iter().sum();
    let mut start = 0;
    for (at, extent) in extents.iter().enumerate() {
        if let Some(part) = step.cotangent(at) {
            let (mut before, mut after) = (vec![0; rank], vec![0; rank]);
            (before[axis], after[axis]) = (start, whole - start - extent);
            let padded = step.pad(&part, &before, &after, 0.0);
            step.give(0, padded);
        }
        start += extent;
    }
    Ok(())
}
