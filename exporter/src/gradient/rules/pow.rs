//! `Pow` (ai.onnx 7 to 15): `y = a^b`, so `da = dy b a^(b-1)` and `db = dy y ln a`, summed over what was stretched; a base
//! that is not positive gives `db` nothing.
//!
//! Source: `pow_backward_self` and `pow_backward_exponent` of PyTorch, FunctionsManual.cpp. An exponent that is constant
//! gets no logarithm; that of 2 no power either.

use offramp_graph::ir::ElementType;
use offramp_models::DType;

use crate::gradient::GradientError;
use crate::gradient::step::{Ruled, Step};

pub(super) fn rule(step: &mut Step<'_>) -> Ruled {
    let upstream = step.upstream()?;
    if step.wants(0) {
        let slope = slope(step)?;
        let scaled = step.emit("Mul", &[&upstream, &slope]);
        step.give_unbroadcast(0, scaled)?;
    }
    if step.wants(1) {
        let base = step.input(0)?;
        let (zero, one) = (step.scalar(0.0), step.scalar(1.0));
        let positive = step.emit("Greater", &[base, &zero]);
        let safe = step.emit("Where", &[&positive, base, &one]);
        let logarithm = step.emit("Log", &[&safe]);
        let slope = step.emit("Mul", &[step.output(), &logarithm]);
        let scaled = step.emit("Mul", &[&upstream, &slope]);
        step.give_unbroadcast(1, scaled)?;
    }
    Ok(())
}

/// `b a^(b-1)`.
fn slope(step: &mut Step<'_>) -> Result<String, GradientError> {
    let base = step.input(0)?;
    if let (Some(exponents), Some(tensor)) = (exponents(step), step.constant(1)) {
        let exponent = step.floats(&tensor.dims, &exponents);
        if exponents.iter().all(|exponent| *exponent == 2.0) {
            return Ok(step.emit("Mul", &[base, &exponent]));
        }
        let less: Vec<f32> = exponents.iter().map(|exponent| exponent - 1.0).collect();
        let less = step.floats(&tensor.dims, &less);
        let power = step.emit("Pow", &[base, &less]);
        return Ok(step.emit("Mul", &[&power, &exponent]));
    }
    if step.dtype(1) != Some(ElementType::Known(DType::Float32)) {
        return Err(step.unsupported("an exponent that is neither constant nor float32"));
    }
    let (exponent, one) = (step.input(1)?, step.scalar(1.0));
    let less = step.emit("Sub", &[exponent, &one]);
    let power = step.emit("Pow", &[base, &less]);
    Ok(step.emit("Mul", &[&power, exponent]))
}

/// Constant exponents; whole ones may be stored as integers.
fn exponents(step: &Step<'_>) -> Option<Vec<f32>> {
    let whole = || step.constant_ints(1).map(|ints| ints.iter().map(|int| *int as f32).collect());
    step.constant_floats(1).or_else(whole)
}
