//! `Transpose` (ai.onnx 1 to 25): `dx` is `dy` with the axes put back.
//!
//! Source: a permutation's transpose is its inverse.

use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let rank = step.extents(0)?.len();
    let order: Vec<usize> = match step.ints("perm")? {
        Some(order) => order.iter().filter_map(|axis| usize::try_from(*axis).ok()).collect(),
        None => (0..rank).rev().collect(),
    };
    let back: Option<Vec<usize>> =
        (0..rank).map(|axis| order.iter().position(|moved| *moved == axis)).collect();
    let back = back.filter(|_| order.len() == rank).ok_or_else(|| step.wrong("perm"))?;
    let upstream = step.upstream()?;
    let turned = step.transpose(&upstream, &back);
    step.give(0, turned);
    Ok(())
}
