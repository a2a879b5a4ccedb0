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
