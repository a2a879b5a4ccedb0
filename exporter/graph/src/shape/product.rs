//! Matrix products. Source: ONNX Gemm, MatMul (numpy.matmul), Einsum.

use offramp_models::DType;

use super::Extent;
use super::elementwise::together;
use super::facts::TensorShape;
use super::operands::{Operands, Results};

pub(super) fn infer(of: &Operands<'_>) -> Results {
    match of.node.op.as_str() {
        "Gemm" => gemm(of),
        "MatMulInteger" => matmul(of, 0, 1, Some(DType::Int32)),
        "QLinearMatMul" => matmul(of, 0, 3, of.dtype(7)),
        "MatMul" => matmul(of, 0, 1, of.dtype(0)),
        _ => Ok(vec![TensorShape { dtype: of.dtype(0), extents: einsum(of), value: None }]),
    }
}

fn gemm(of: &Operands<'_>) -> Results {
    let dtype = of.dtype(0);
    let (Some([a0, a1]), Some([b0, b1])) = (of.extents(0), of.extents(1)) else {
        return Ok(vec![TensorShape { dtype, ..TensorShape::default() }]);
    };
    let (rows, inner) = if of.int("transA", 0) != 0 { (a1, a0) } else { (a0, a1) };
    let (other, columns) = if of.int("transB", 0) != 0 { (b1, b0) } else { (b0, b1) };
    agree(of, *inner, *other)?;
    Ok(vec![TensorShape::new(dtype, vec![*rows, *columns])])
}

fn matmul(of: &Operands<'_>, a: usize, b: usize, dtype: Option<DType>) -> Results {
    let extents = match (of.extents(a), of.extents(b)) {
        (Some(a), Some(b)) => match (a, b) {
            ([k], [l]) => {
                agree(of, *k, *l)?;
                Some(Vec::new())
            }
            ([k], [batch @ .., l, n]) => {
                agree(of, *k, *l)?;
                Some([batch, &[*n]].concat())
            }
            ([batch @ .., m, k], [l]) => {
                agree(of, *k, *l)?;
                Some([batch, &[*m]].concat())
            }
            ([batch_a @ .., m, k], [batch_b @ .., l, n]) => {
                agree(of, *k, *l)?;
                let mut extents = together(of, batch_a, batch_b)?;
                extents.extend([*m, *n]);
                Some(extents)
            }
            _ => None,
        },
        _ => None,
    };
    Ok(vec![TensorShape { dtype, extents, value: None }])
}

fn agree(of: &Operands<'_>, a: Extent, b: Extent) -> Result<(), super::ShapeError> {
    match (a, b) {
        (Extent::Known(a), Extent::Known(b)) if a != b => {
            Err(of.contradiction(format!("inner extents that agree, {a}"), b.to_string()))
        }
        _ => Ok(()),
    }
}

/// Explicit equations without ellipses; all others are left unknown.
fn einsum(of: &Operands<'_>) -> Option<Vec<Extent>> {
    let equation = String::from_utf8_lossy(of.text("equation")?).replace(' ', "");
    let (terms, result) = equation.split_once("->")?;
    if equation.contains('.') {
        return None;
    }
    let extent_of = |letter: char| {
        terms.split(',').enumerate().find_map(|(input, term)| {
            let axis = term.chars().position(|c| c == letter)?;
            of.extents(input)?.get(axis).copied()
        })
    };
    result.chars().map(extent_of).collect()
}
