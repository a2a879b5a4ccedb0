//! Elementwise arithmetic. Whole numbers are exact or unknown; floats round as IEEE 754 does.

use offramp_models::DType;

use super::{Elem, Linear, Value};

/// `op` of one element of a `dtype` tensor.
pub(super) fn unary(op: &str, elem: Elem, dtype: DType) -> Elem {
    let done = match elem {
        Elem::Whole(linear) => whole_unary(op, linear, dtype),
        Elem::Real(real) => real_unary(op, real).map(Elem::Real),
        Elem::Unknown => None,
    };
    done.map_or(Elem::Unknown, |elem| elem.held_by(dtype))
}

fn whole_unary(op: &str, linear: Linear, dtype: DType) -> Option<Elem> {
    let zero = Linear::new(0);
    Some(match op {
        "Neg" => Elem::Whole(zero.minus(linear)?),
        "Abs" if linear.at_least(zero)? => Elem::Whole(linear),
        "Abs" => Elem::Whole(zero.minus(linear)?),
        "Sign" if linear.equals(zero)? => Elem::int(0),
        "Sign" => Elem::int(if linear.at_least(zero)? { 1 } else { -1 }),
        "Floor" | "Ceil" | "Round" => Elem::Whole(linear),
        "Not" if dtype == DType::Bool => Elem::truth(linear.known()? == 0),
        _ => return None,
    })
}

fn real_unary(op: &str, real: f64) -> Option<f64> {
    Some(match op {
        "Neg" => -real,
        "Abs" => real.abs(),
        "Floor" => real.floor(),
        "Ceil" => real.ceil(),
        "Round" => real.round_ties_even(),
        "Sqrt" => real.sqrt(),
        "Reciprocal" => 1.0 / real,
        _ => return None,
    })
}

/// `op` of two elements of `dtype` tensors; the result is held by `result`.
pub(super) fn binary(op: &str, left: Elem, right: Elem, result: DType) -> Elem {
    let done = match (left, right) {
        (Elem::Whole(left), Elem::Whole(right)) => whole_binary(op, left, right),
        (Elem::Real(left), Elem::Real(right)) => real_binary(op, left, right),
        (Elem::Whole(left), Elem::Real(right)) => whole(right).and_then(|right| mixed(op, left, right)),
        (Elem::Real(left), Elem::Whole(right)) => whole(left).and_then(|left| mixed(op, left, right)),
        _ => None,
    };
    done.map_or(Elem::Unknown, |elem| elem.held_by(result))
}

fn whole_binary(op: &str, left: Linear, right: Linear) -> Option<Elem> {
    Some(match op {
        "Add" => Elem::Whole(left.plus(right)?),
        "Sub" => Elem::Whole(left.minus(right)?),
        "Mul" => Elem::Whole(left.times(right)?),
        "Div" => Elem::Whole(left.over(right)?),
        "Mod" => Elem::Whole(left.modulo(right.known()?)?),
        "Max" => Elem::Whole(left.larger(right)?),
        "Min" => Elem::Whole(left.smaller(right)?),
        "Equal" => Elem::truth(left.equals(right)?),
        "GreaterOrEqual" => Elem::truth(left.at_least(right)?),
        "Less" => Elem::truth(!left.at_least(right)?),
        "LessOrEqual" => Elem::truth(right.at_least(left)?),
        "Greater" => Elem::truth(!right.at_least(left)?),
        "And" => Elem::truth(left.known()? != 0 && right.known()? != 0),
        "Or" => Elem::truth(left.known()? != 0 || right.known()? != 0),
        "Xor" => Elem::truth((left.known()? != 0) != (right.known()? != 0)),
        _ => return None,
    })
}

fn real_binary(op: &str, left: f64, right: f64) -> Option<Elem> {
    if left.is_nan() || right.is_nan() {
        return None;
    }
    Some(match op {
        "Add" => Elem::Real(left + right),
        "Sub" => Elem::Real(left - right),
        "Mul" => Elem::Real(left * right),
        "Div" => Elem::Real(left / right),
        "Max" => Elem::Real(left.max(right)),
        "Min" => Elem::Real(left.min(right)),
        "Equal" => Elem::truth(left == right),
        "GreaterOrEqual" => Elem::truth(left >= right),
        "Less" => Elem::truth(left < right),
        "LessOrEqual" => Elem::truth(left <= right),
        "Greater" => Elem::truth(left > right),
        _ => return None,
    })
}

/// A float that varies with the batch meets one that does not: exact for these only.
fn mixed(op: &str, left: Linear, right: Linear) -> Option<Elem> {
    match op {
        "Add" | "Sub" | "Mul" => whole_binary(op, left, right),
        "Div" => left.over(right).filter(|result| result.batch != 0).map(Elem::Whole),
        _ => None,
    }
}

fn whole(real: f64) -> Option<Linear> {
    const SMALL: f64 = 16_777_216.0;
    (real.fract() == 0.0 && real.abs() <= SMALL).then_some(Linear::new(real as i64))
}

/// `op` over two values under numpy's rule; `dims` are the result's extents.
pub(super) fn broadcast(
    op: &str,
    left: &Value,
    right: &Value,
    result: DType,
    dims: &[usize],
) -> Option<Value> {
    Value::build(result, dims.to_vec(), |index| {
        Some(binary(op, left.stretched(index)?, right.stretched(index)?, result))
    })
}
