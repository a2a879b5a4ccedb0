//! `Clip` (ai.onnx 6 to 13): `dx = dy` where `min < x < max`, else 0, so also at the bounds, as in PyTorch 2.15; the bounds
//! themselves get nothing.
//!
//! Source: `hardtanh` and `clamp` with numbers as bounds; the reference networks hold it against them.

use offramp_graph::ir::Attribute;

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    if step.wants(1) || step.wants(2) {
        return Err(step.unsupported("bounds that the image changes"));
    }
    let mut cotangent = step.upstream()?;
    let (input, zero) = (step.input(0)?, step.scalar(0.0));
    for (at, name, inside) in [(1, "min", "Greater"), (2, "max", "Less")] {
        let stated = step.node.attributes.iter().find(|(key, _)| key == name);
        let bound = match stated {
            Some((_, Attribute::Float(bound))) => step.scalar(*bound),
            _ => match step.optional(at) {
                Some(bound) => bound.to_owned(),
                None => continue,
            },
        };
        let inside = step.emit(inside, &[input, &bound]);
        cotangent = step.emit("Where", &[&inside, &cotangent, &zero]);
    }
    step.give(0, cotangent);
    Ok(())
}
