//! `MatMul` (ai.onnx 1 to 13): `Y = A B` per matrix of a stack, so `dA = dY B^T` and `dB = A^T dY`, summed over what
//! was stretched. A vector is a matrix of one row, or on the right of one column.
//!
//! Source: Giles 2008, "Collected matrix derivative results", 2.2.2. A constant matrix is transposed at export.

use offramp_graph::shape::Extent;

use crate::gradient::GradientError;
use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let (left, right) = (as_matrix(step.extents(0)?, true), as_matrix(step.extents(1)?, false));
    let upstream = step.upstream()?;
    let mut product: Vec<Extent> = step.output_extents(0)?.to_vec();
    // The axes that vectors lack, put back.
    let mut upstream_extents = product.clone();
    if step.extents(0)?.len() == 1 {
        let at = upstream_extents.len().saturating_sub(usize::from(step.extents(1)?.len() > 1));
        upstream_extents.insert(at, Extent::Known(1));
    }
    if step.extents(1)?.len() == 1 {
        upstream_extents.push(Extent::Known(1));
    }
    let upstream = match upstream_extents == product {
        true => upstream,
        false => step.reshape(&upstream, &upstream_extents)?,
    };
    let stack = upstream_extents.len().saturating_sub(2);
    product.clone_from(&upstream_extents);
    if step.wants(0) {
        let other = turned(step, 1, &right)?;
        let found = step.emit("MatMul", &[&upstream, &other]);
        give(step, 0, found, &product[..stack], &left)?;
    }
    if step.wants(1) {
        let other = turned(step, 0, &left)?;
        let found = step.emit("MatMul", &[&other, &upstream]);
        give(step, 1, found, &product[..stack], &right)?;
    }
    Ok(())
}

fn as_matrix(extents: &[Extent], left: bool) -> Vec<Extent> {
    match (extents, left) {
        ([only], true) => vec![Extent::Known(1), *only],
        ([only], false) => vec![*only, Extent::Known(1)],
        (extents, _) => extents.to_vec(),
    }
}

/// Gives the stack of matrices `found`, whose own extents are those of `matrix`.
fn give(step: &mut Step<'_>, at: usize, found: String, stack: &[Extent], matrix: &[Extent]) -> Ruled {
    let own = matrix.len().saturating_sub(2);
    let from = [stack, &matrix[own..]].concat();
    let mut summed = step.unbroadcast(found, &from, matrix)?;
    if step.extents(at)?.len() != matrix.len() {
        summed = step.reshape(&summed, step.extents(at)?)?;
    }
    step.give(at, summed);
    Ok(())
}

/// Input `at`, of extents `matrix`, with its last two axes swapped.
fn turned(step: &mut Step<'_>, at: usize, matrix: &[Extent]) -> Result<String, GradientError> {
    let name = step.input(at)?;
    if let (Some(elements), &[Extent::Known(rows), Extent::Known(columns)]) =
        (step.constant_floats(at), matrix)
        && elements.len() == rows * columns
    {
        let places = (0..columns).flat_map(|j| (0..rows).map(move |i| (i, j)));
        let turned: Vec<f32> = places.map(|(i, j)| elements[i * columns + j]).collect();
        return Ok(step.floats(&[columns, rows], &turned));
    }
    let plain = match step.extents(at)?.len() == matrix.len() {
        true => name.to_owned(),
        false => step.reshape(name, matrix)?,
    };
    let mut order: Vec<usize> = (0..matrix.len()).collect();
    let last = matrix.len().saturating_sub(2);
    if let Some(pair) = order.get_mut(last..) {
        pair.reverse();
    }
    Ok(step.transpose(&plain, &order))
}
