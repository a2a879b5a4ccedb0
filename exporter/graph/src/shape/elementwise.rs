//! Operators that compute element by element, with broadcasting. Source: ONNX, *Multidirectional broadcasting*.

use offramp_models::DType;

use super::Extent;
use super::facts::{Element, TensorShape};
use super::operands::{Operands, Results};

pub(super) fn infer(of: &Operands<'_>) -> Results {
    match of.node.op.as_str() {
        "Relu" | "LeakyRelu" | "PRelu" | "Clip" | "Elu" | "Celu" | "Selu" | "ThresholdedRelu" | "Sigmoid" | "HardSigmoid"
        | "HardSwish" | "Swish" | "Mish" | "Softplus" | "Softsign" | "Tanh" | "Erf" | "Gelu" | "Softmax" | "LogSoftmax"
        | "Hardmax" | "Sqrt" | "Exp" | "Log" | "Neg" | "Abs" | "Floor" | "Ceil" | "Round" | "Reciprocal" | "Sign" | "Sin"
        | "Cos" | "Tan" | "Sinh" | "Cosh" | "Asin" | "Acos" | "Atan" | "Identity" | "Not" | "LRN"
        | "LpNormalization" | "MeanVarianceNormalization" | "CumSum" | "Trilu" | "BitwiseNot" | "RMSNormalization"
        | "InstanceNormalization" | "GroupNormalization" | "ScatterND" | "ScatterElements" => same(of),
        "BatchNormalization" => batch_normalization(of),
        "LayerNormalization" | "Dropout" => same(of),
        "Cast" => cast(of, of.element_type("to")),
        "CastLike" => cast(of, of.dtype(1)),
        "QuantizeLinear" => cast(of, of.dtype(2).or(Some(DType::Uint8))),
        "DequantizeLinear" => cast(of, of.dtype(1)),
        "IsNaN" | "IsInf" => cast(of, Some(DType::Bool)),
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Mod" | "Min" | "Max" | "Sum" | "Mean" | "BitwiseAnd" | "BitwiseOr"
        | "BitwiseXor" => {
            broadcast(of, 0..of.node.inputs.len(), of.dtype(0))
        }
        "Equal" | "Greater" | "Less" | "GreaterOrEqual" | "LessOrEqual" | "And" | "Or" | "Xor" => {
            broadcast(of, 0..2, Some(DType::Bool))
        }
        "Where" => broadcast(of, 0..3, of.dtype(1)),
        _ => Ok(Vec::new()),
    }
}

pub(super) fn same(of: &Operands<'_>) -> Results {
    let mut first = of.input(0).cloned().unwrap_or_default();
    if !matches!(of.node.op.as_str(), "Identity" | "Dropout" | "Floor" | "Ceil" | "Round") {
        first.value = None;
    }
    let mask = TensorShape { dtype: Some(DType::Bool), extents: first.extents.clone(), value: None };
    Ok(if of.node.op == "Dropout" { vec![first, mask] } else { vec![first] })
}

fn batch_normalization(of: &Operands<'_>) -> Results {
    if let (Some([_, channels, ..]), Some([scale])) = (of.extents(0), of.extents(1))
        && let (Some(channels), Some(scale)) = (channels.known(), scale.known())
        && channels != scale
    {
        return Err(of.contradiction(format!("{scale} channels"), format!("{channels}")));
    }
    same(of)
}

fn cast(of: &Operands<'_>, dtype: Option<DType>) -> Results {
    let mut shape = of.input(0).cloned().unwrap_or_default();
    shape.dtype = dtype;
    if !matches!(dtype, Some(DType::Int64 | DType::Int32 | DType::Float32 | DType::Bool)) {
        shape.value = None;
    }
    Ok(vec![shape])
}

fn broadcast(of: &Operands<'_>, inputs: std::ops::Range<usize>, dtype: Option<DType>) -> Results {
    let mut extents: Option<Vec<Extent>> = Some(Vec::new());
    for input in inputs.clone() {
        extents = match (extents, of.extents(input)) {
            (Some(a), Some(b)) => Some(together(of, &a, b)?),
            _ => None,
        };
    }
    let value = extents.as_ref().and_then(|extents| compute(of, inputs, extents));
    Ok(vec![TensorShape { dtype, extents, value }])
}

/// Extents of two operands broadcast against each other.
pub(super) fn together(
    of: &Operands<'_>,
    a: &[Extent],
    b: &[Extent],
) -> Result<Vec<Extent>, super::ShapeError> {
    let rank = a.len().max(b.len());
    let at = |extents: &[Extent], axis: usize| match (axis + extents.len()).checked_sub(rank) {
        Some(axis) => extents[axis],
        None => Extent::Known(1),
    };
    (0..rank)
        .map(|axis| match (at(a, axis), at(b, axis)) {
            (Extent::Known(1), other) | (other, Extent::Known(1)) => Ok(other),
            (a, b) if a == b => Ok(a),
            (Extent::Known(a), Extent::Known(b)) => {
                Err(of.contradiction(format!("extent {a} or 1 at axis {axis}"), b.to_string()))
            }
            (Extent::Known(known), Extent::Unknown) | (Extent::Unknown, Extent::Known(known)) => {
                Ok(Extent::Known(known))
            }
            (Extent::Batch(k), Extent::Unknown) | (Extent::Unknown, Extent::Batch(k)) => Ok(Extent::Batch(k)),
            _ => Ok(Extent::Unknown),
        })
        .collect()
}

/// Arithmetic of shapes: vectors and scalars only.
fn compute(of: &Operands<'_>, inputs: std::ops::Range<usize>, extents: &[Extent]) -> Option<Vec<Element>> {
    let ([] | [Extent::Known(_)]) = extents else { return None };
    let count = extents.first().map_or(Some(1), |extent| extent.known())?;
    let values: Vec<&[Element]> = inputs.map(|input| of.value(input)).collect::<Option<_>>()?;
    let at = |values: &[Element], i: usize| values.get(if values.len() == 1 { 0 } else { i }).copied();
    (0..count)
        .map(|i| {
            let operands: Vec<Element> = values.iter().map(|v| at(v, i)).collect::<Option<_>>()?;
            Some(apply(&of.node.op, &operands))
        })
        .collect()
}

fn apply(op: &str, operands: &[Element]) -> Element {
    use Element::{Batch, Number, Unknown};
    let truth = |holds: bool| Number(i64::from(holds));
    let number = |number: Option<i64>| number.map_or(Unknown, Number);
    match (op, operands) {
        ("Add" | "Sum", [Number(a), Number(b)]) => number(a.checked_add(*b)),
        ("Sub", [Number(a), Number(b)]) => number(a.checked_sub(*b)),
        ("Mul", [Number(a), Number(b)]) => number(a.checked_mul(*b)),
        ("Div", [Number(a), Number(b)]) => number(a.checked_div(*b)),
        ("Mod", [Number(a), Number(b)]) => number(a.checked_rem_euclid(*b)),
        ("Min", [Number(a), Number(b)]) => Number(*a.min(b)),
        ("Max", [Number(a), Number(b)]) => Number(*a.max(b)),
        ("Equal", [Number(a), Number(b)]) => truth(a == b),
        ("Greater", [Number(a), Number(b)]) => truth(a > b),
        ("Less", [Number(a), Number(b)]) => truth(a < b),
        ("Equal", [Batch(_), Number(b)] | [Number(b), Batch(_)]) if *b <= 0 => truth(false),
        ("Mul", [_, _]) => Element::from(operands[0].extent().times(operands[1].extent())),
        ("Div", [_, _]) => Element::from(operands[0].extent().over(operands[1].extent())),
        ("Add" | "Sum", [_, _]) => Element::from(operands[0].extent().plus(operands[1].extent())),
        ("Where", [Number(0), _, other]) => *other,
        ("Where", [Number(_), one, _]) => *one,
        _ => Unknown,
    }
}
