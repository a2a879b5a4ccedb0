//! Operators whose output has the extents of their inputs, stretched by numpy's rule.

use crate::ir::ElementType;
use crate::shape::call::{Call, Ruled};
use crate::shape::extent::{BOOL, broadcast};
use crate::shape::{Contradiction, Extent, Fact};

/// As the first input.
pub(super) fn same(call: &Call<'_>) -> Ruled {
    Ok(vec![call.need(0)?.like()])
}

pub(super) fn test(call: &Call<'_>) -> Ruled {
    Ok(vec![Fact::new(BOOL, call.need(0)?.extents.clone())])
}

pub(super) fn arithmetic(call: &Call<'_>) -> Ruled {
    Ok(vec![Fact::new(call.need(0)?.dtype, stretched(call, 0)?)])
}

pub(super) fn comparison(call: &Call<'_>) -> Ruled {
    Ok(vec![Fact::new(BOOL, stretched(call, 0)?)])
}

pub(super) fn choice(call: &Call<'_>) -> Ruled {
    call.need(2)?;
    let dtype = call.need(1)?.dtype.or(call.dtype(2));
    Ok(vec![Fact::new(dtype, stretched(call, 0)?)])
}

fn stretched(call: &Call<'_>, from: usize) -> Result<Option<Vec<Extent>>, Contradiction> {
    // Before opset 7 the second operand broadcast by attributes, never the first.
    if call.opset < 7 && call.inputs.len() == 2 {
        return Ok(call.need(0)?.extents.clone());
    }
    let mut extents = Vec::new();
    for at in from..call.inputs.len() {
        match call.need(at)?.extents.as_deref() {
            Some(other) => extents = broadcast(&extents, other)?,
            None => return Ok(None),
        }
    }
    Ok(Some(extents))
}

/// `Cast`: before opset 6 its type was a text.
pub(super) fn cast(call: &Call<'_>) -> Ruled {
    let extents = call.need(0)?.extents.clone();
    let dtype = if call.opset < 6 {
        named(call.text("to")?.unwrap_or_default())
    } else {
        let number =
            i32::try_from(call.need_int("to")?).map_err(|_| Contradiction::Attribute { name: "to" })?;
        Some(ElementType::from_number(number))
    };
    Ok(vec![Fact::new(dtype, extents)])
}

fn named(name: &[u8]) -> Option<ElementType> {
    let number = match name {
        b"FLOAT" => 1,
        b"UINT8" => 2,
        b"INT8" => 3,
        b"UINT16" => 4,
        b"INT16" => 5,
        b"INT32" => 6,
        b"INT64" => 7,
        b"BOOL" => 9,
        b"FLOAT16" => 10,
        b"DOUBLE" => 11,
        b"UINT32" => 12,
        b"UINT64" => 13,
        _ => return None,
    };
    Some(ElementType::from_number(number))
}

pub(super) fn cast_like(call: &Call<'_>) -> Ruled {
    Ok(vec![Fact::new(call.need(1)?.dtype, call.need(0)?.extents.clone())])
}

/// `Dropout`: its mask is of truth values from opset 10 on.
pub(super) fn dropout(call: &Call<'_>) -> Ruled {
    let kept = call.need(0)?.like();
    let mask = Fact::new(if call.opset < 10 { kept.dtype } else { Some(BOOL) }, kept.extents.clone());
    Ok(vec![kept, mask])
}

#[cfg(test)]
mod tests {
    use crate::ir::Attribute;
    use crate::shape::sample::{floats, told, told_all, typed};
    use offramp_models::DType;

    #[test]
    fn operands_stretch_as_in_numpy() {
        let sum = |left: &str, right: &str| told("Add", 17, &[floats(left), floats(right)], &[]);
        assert_eq!(sum("b 3 8 8", "3 1 1"), "float32 [batch, 3, 8, 8]");
        assert_eq!(sum("1 1 5", "b 4 1"), "float32 [batch, 4, 5]");
        assert_eq!(sum("b 3", "b 4"), "[batch, 3] and [batch, 4] do not broadcast");
        assert_eq!(sum("b 3", "2 3"), "[batch, 3] and [2, 3] do not broadcast");
        assert_eq!(sum("b ?", "b 4"), "float32 [batch, 4]");
    }

    #[test]
    fn before_opset_7_only_the_second_operand_stretches() {
        assert_eq!(told("Add", 6, &[floats("b 3 8 8"), floats("3")], &[]), "float32 [batch, 3, 8, 8]");
    }

    #[test]
    fn several_operands_stretch_together() {
        assert_eq!(told("Max", 17, &[floats("b 1"), floats("4"), floats("")], &[]), "float32 [batch, 4]");
    }

    #[test]
    fn comparisons_give_truth_values() {
        assert_eq!(told("Greater", 17, &[floats("b 3"), floats("")], &[]), "bool [batch, 3]");
        assert_eq!(told("IsNaN", 17, &[floats("b 3")], &[]), "bool [batch, 3]");
        let given = [typed(DType::Bool, "b 1"), floats("5"), floats("")];
        assert_eq!(told("Where", 17, &given, &[]), "float32 [batch, 5]");
    }

    #[test]
    fn activations_keep_the_form() {
        for op in ["Relu", "Gelu", "HardSwish", "Mish", "Sigmoid", "Clip", "Softmax", "Erf", "LRN"] {
            assert_eq!(told(op, 20, &[typed(DType::Float16, "b 3 8")], &[]), "float16 [batch, 3, 8]", "{op}");
        }
        assert_eq!(told("PRelu", 17, &[floats("b 3 8"), floats("3 1")], &[]), "float32 [batch, 3, 8]");
    }

    #[test]
    fn casts_name_their_type() {
        assert_eq!(told("Cast", 17, &[floats("b")], &[("to", Attribute::Int(7))]), "int64 [batch]");
        let old = Attribute::String(bytes::Bytes::from_static(b"FLOAT16"));
        assert_eq!(told("Cast", 1, &[floats("b")], &[("to", old)]), "float16 [batch]");
        assert_eq!(told("CastLike", 17, &[floats("b"), typed(DType::Int8, "")], &[]), "int8 [batch]");
    }

    #[test]
    fn a_dropout_mask_is_of_truth_values_from_opset_10_on() {
        assert_eq!(told_all("Dropout", 17, &[floats("b 3")], &[], 2)[1], "bool [batch, 3]");
        assert_eq!(told_all("Dropout", 7, &[floats("b 3")], &[], 2)[1], "float32 [batch, 3]");
    }
}
