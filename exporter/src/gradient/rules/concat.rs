//! `Concat` (ai.onnx 4 to 13): every input gets its part of `dy`.
//!
//! Source: elements stay apart.

use offramp_graph::shape::Extent;

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let rank = step.output_extents(0)?.len();
    let axis = step.axis(step.int("axis", 0)?, rank)?;
    let upstream = step.upstream()?;
    let mut start = 0;
    for at in 0..step.node.inputs.len() {
        let Some(Extent::Known(extent)) = step.extents(at)?.get(axis) else {
            return Err(step.unsupported("the batch among what it joins"));
        };
        if step.wants(at) {
            let part = step.slice(&upstream, axis, start, start + extent);
            step.give(at, part);
        }
        start += extent;
    }
    Ok(())
}
