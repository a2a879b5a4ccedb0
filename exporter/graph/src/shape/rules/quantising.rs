//! Between floats and quantised numbers.

use crate::shape::call::{Call, Ruled};
use crate::shape::extent::{FLOAT32, UINT8};
use crate::shape::{Extent, Fact};

/// `QuantizeLinear`: the type of the zero point, else of `output_dtype`, else uint8.
pub(super) fn quantise(call: &Call<'_>) -> Ruled {
    let extents = call.need(0)?.extents.clone();
    let dtype = match call.input(2) {
        Some(zero) => zero.dtype,
        None => call.element_type("output_dtype", Some(UINT8))?,
    };
    Ok(vec![Fact::new(dtype, extents)])
}

/// `DequantizeLinear`: the type of the scale.
pub(super) fn dequantise(call: &Call<'_>) -> Ruled {
    let dtype = call.element_type("output_dtype", call.need(1)?.dtype)?;
    Ok(vec![Fact::new(dtype, call.need(0)?.extents.clone())])
}

/// `DynamicQuantizeLinear`: numbers, scale, zero point.
pub(super) fn dynamic(call: &Call<'_>) -> Ruled {
    let extents = call.need(0)?.extents.clone();
    let scalar = Vec::<Extent>::new;
    Ok(vec![Fact::new(UINT8, extents), Fact::new(FLOAT32, scalar()), Fact::new(UINT8, scalar())])
}
