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

#[cfg(test)]
mod tests {
    use crate::shape::sample::{floats, told, told_all, typed};
    use offramp_models::DType;

    #[test]
    fn the_zero_point_and_the_scale_say_the_type() {
        let zero = typed(DType::Int8, "");
        assert_eq!(told("QuantizeLinear", 13, &[floats("b 3"), floats(""), zero], &[]), "int8 [batch, 3]");
        assert_eq!(told("QuantizeLinear", 13, &[floats("b 3"), floats("")], &[]), "uint8 [batch, 3]");
        let numbers = typed(DType::Uint8, "b 3");
        assert_eq!(told("DequantizeLinear", 13, &[numbers, floats("")], &[]), "float32 [batch, 3]");
        assert_eq!(
            told_all("DynamicQuantizeLinear", 11, &[floats("b 3")], &[], 3),
            ["uint8 [batch, 3]", "float32 []", "uint8 []"]
        );
    }
}
