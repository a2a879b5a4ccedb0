//! `Gemm` (ai.onnx 7 to 13): `Y = alpha A' B' + beta C`, so `dA' = alpha dY B'^T`, `dB' = alpha A'^T dY` and
//! `dC = beta dY` summed over what was stretched, where `A'` and `B'` may be transposed.
//!
//! Source: Giles 2008, "Collected matrix derivative results", 2.2.2. A constant matrix is scaled and transposed at
//! export.

use crate::gradient::GradientError;
use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let upstream = step.upstream()?;
    let (alpha, beta) = (step.float("alpha", 1.0)?, step.float("beta", 1.0)?);
    let (turned_a, turned_b) = (step.int("transA", 0)? != 0, step.int("transB", 0)? != 0);
    if step.wants(0) {
        // dA' = dY B'^T; dA = B' dY^T where A is transposed.
        let other = operand(step, 1, turned_a == turned_b, alpha)?;
        let product = match turned_a {
            false => step.emit("MatMul", &[&upstream, &other]),
            true => {
                let turned = step.transpose(&upstream, &[1, 0]);
                step.emit("MatMul", &[&other, &turned])
            }
        };
        step.give(0, product);
    }
    if step.wants(1) {
        let other = operand(step, 0, turned_a == turned_b, alpha)?;
        let product = match turned_b {
            false => step.emit("MatMul", &[&other, &upstream]),
            true => {
                let turned = step.transpose(&upstream, &[1, 0]);
                step.emit("MatMul", &[&turned, &other])
            }
        };
        step.give(1, product);
    }
    if step.wants(2) {
        let scaled = scaled(step, upstream, beta);
        step.give_unbroadcast(2, scaled)?;
    }
    Ok(())
}

/// Input `at` times `alpha`, transposed or not.
fn operand(step: &mut Step<'_>, at: usize, turned: bool, alpha: f32) -> Result<String, GradientError> {
    if let (Some(elements), Some(&[rows, columns])) =
        (step.constant_floats(at), step.constant(at).map(|tensor| tensor.dims.as_slice()))
        && elements.len() == rows * columns
    {
        let place = |i: usize, j: usize| if turned { j * columns + i } else { i * columns + j };
        let dims = if turned { [columns, rows] } else { [rows, columns] };
        let places = (0..dims[0]).flat_map(|i| (0..dims[1]).map(move |j| (i, j)));
        let elements: Vec<f32> = places.map(|(i, j)| alpha * elements[place(i, j)]).collect();
        return Ok(step.floats(&dims, &elements));
    }
    let plain = step.input(at)?.to_owned();
    let turned = if turned { step.transpose(&plain, &[1, 0]) } else { plain };
    Ok(scaled(step, turned, alpha))
}

fn scaled(step: &mut Step<'_>, tensor: String, by: f32) -> String {
    if by == 1.0 {
        return tensor;
    }
    let by = step.scalar(by);
    step.emit("Mul", &[&tensor, &by])
}
