//! `Clip` (ai.onnx 6 to 13): `dx = dy` where `min <= x <= max`, else 0; bounds get nothing.
//!
//! Source: `clamp` in PyTorch's derivatives.yaml, which lets the bounds through.

use offramp_graph::ir::Attribute;

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    if step.wants(1) || step.wants(2) {
        return Err(step.unsupported("bounds that the image changes"));
    }
    let mut cotangent = step.upstream()?;
    let (input, zero) = (step.input(0)?, step.scalar(0.0));
    for (at, name, beyond) in [(1, "min", "Less"), (2, "max", "Greater")] {
        let stated = step.node.attributes.iter().find(|(key, _)| key == name);
        let bound = match stated {
            Some((_, Attribute::Float(bound))) => step.scalar(*bound),
            _ => match step.optional(at) {
                Some(bound) => bound.to_owned(),
                None => continue,
            },
        };
        let outside = step.emit(beyond, &[input, &bound]);
        cotangent = step.emit("Where", &[&outside, &zero, &cotangent]);
    }
    step.give(0, cotangent);
    Ok(())
}
