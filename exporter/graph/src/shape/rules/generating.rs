//! Tensors made from nothing, or from shapes.

use offramp_models::DType;

use crate::ir::{Attribute, ElementType};
use crate::shape::call::{Call, Ruled};
use crate::shape::extent::{FLOAT32, INT64};
use crate::shape::{Contradiction, Elem, Extent, Fact, Linear};

pub(super) fn constant(call: &Call<'_>) -> Ruled {
    let value = call.node.attributes.iter().find(|(name, _)| name.starts_with("value"));
    let vector = |dtype: ElementType, length: usize| Fact::new(dtype, vec![Extent::Known(length)]);
    Ok(vec![match value.map(|(_, attribute)| attribute) {
        Some(Attribute::Tensor(tensor)) => {
            let extents = tensor.dims.iter().copied().map(Extent::Known).collect::<Vec<_>>();
            Fact::new(tensor.dtype, extents)
        }
        Some(Attribute::Int(_)) => Fact::new(INT64, Vec::new()),
        Some(Attribute::Float(_)) => Fact::new(FLOAT32, Vec::new()),
        Some(Attribute::Ints(ints)) => vector(INT64, ints.len()),
        Some(Attribute::Floats(floats)) => vector(FLOAT32, floats.len()),
        Some(Attribute::String(_)) => Fact::new(STRING, Vec::new()),
        Some(Attribute::Strings(texts)) => vector(STRING, texts.len()),
        _ => Fact::default(),
    }])
}

const STRING: ElementType = ElementType::Other(8);

/// `ConstantOfShape`: float32 zeros unless `value` says otherwise.
pub(super) fn filled(call: &Call<'_>) -> Ruled {
    call.need(0)?;
    let dtype = call.tensor("value")?.map_or(FLOAT32, |value| value.dtype);
    let extents: Option<Vec<Extent>> = match (call.elems(0), call.extents(0)) {
        (Some(elems), _) => {
            let extents: Option<_> = elems.iter().map(|elem| elem.extent()).collect();
            Some(extents.ok_or(Contradiction::Value { input: 0 })?)
        }
        (None, Some([Extent::Known(rank)])) if *rank <= 64 => Some(vec![Extent::Unknown; *rank]),
        _ => None,
    };
    Ok(vec![Fact::new(dtype, extents)])
}

/// Numbers from `start` to before `limit`, `None` for a step of 0 or an overflow.
pub(crate) fn steps(start: i64, limit: i64, step: i64) -> Option<usize> {
    let (start, limit, step) = (i128::from(start), i128::from(limit), i128::from(step));
    let count = match step {
        0 => return None,
        1.. => (limit - start + step - 1) / step,
        _ => (start - limit - step - 1) / -step,
    };
    usize::try_from(count.max(0)).ok()
}

pub(super) fn range(call: &Call<'_>) -> Ruled {
    let dtype = call.need(0)?.dtype;
    call.need(2)?;
    let bound = |at: usize| call.elems(at)?.first().copied();
    let linear = |at: usize| bound(at)?.linear();
    let count = match (linear(0), linear(1), linear(2).and_then(Linear::known)) {
        (.., Some(0)) => return Err(Contradiction::Value { input: 2 }),
        (Some(start), Some(limit), Some(step)) => match (start.known(), limit.known()) {
            (Some(start), Some(limit)) => steps(start, limit, step).map(Extent::Known),
            _ if step == 1 => {
                let count = limit.minus(start).filter(|count| count.at_least(Linear::new(0)) == Some(true));
                count.and_then(|count| Elem::Whole(count).extent())
            }
            _ => None,
        },
        _ => real_steps(call),
    };
    Ok(vec![Fact::new(dtype, vec![count.unwrap_or(Extent::Unknown)])])
}

fn real_steps(call: &Call<'_>) -> Option<Extent> {
    let real = |at: usize| call.elems(at)?.first()?.real();
    let count = ((real(1)? - real(0)?) / real(2)?).ceil().max(0.0);
    (count <= f64::from(u32::MAX)).then_some(Extent::Known(count as usize))
}

/// `EyeLike`, `Random..Like`, `Bernoulli`: the input's extents, maybe another type.
pub(super) fn like(call: &Call<'_>) -> Ruled {
    let input = call.need(0)?;
    Ok(vec![Fact::new(call.element_type("dtype", input.dtype)?, input.extents.clone())])
}

pub(super) fn random(call: &Call<'_>) -> Ruled {
    let shape = call.int_list("shape")?.ok_or(Contradiction::MissingAttribute { name: "shape" })?;
    let extents: Option<Vec<Extent>> = shape.iter().map(|int| Elem::int(*int).extent()).collect();
    let extents = extents.ok_or(Contradiction::Attribute { name: "shape" })?;
    Ok(vec![Fact::new(call.element_type("dtype", Some(ElementType::Known(DType::Float32)))?, extents)])
}

/// `Shape`: from `start` to `end`, clamped. Source: Shape-15.
pub(super) fn shape(call: &Call<'_>) -> Ruled {
    let Some(extents) = &call.need(0)?.extents else {
        return Ok(vec![Fact::new(INT64, vec![Extent::Unknown])]);
    };
    let rank = i64::try_from(extents.len()).map_err(|_| Contradiction::Overflow)?;
    let clamped = |end: i64| if end < 0 { end.saturating_add(rank) } else { end }.clamp(0, rank);
    let (start, end) = (clamped(call.int_or("start", 0)?), clamped(call.int_or("end", rank)?));
    let length = usize::try_from((end - start).max(0)).map_err(|_| Contradiction::Overflow)?;
    Ok(vec![Fact::new(INT64, vec![Extent::Known(length)])])
}

pub(super) fn size(call: &Call<'_>) -> Ruled {
    call.need(0)?;
    Ok(vec![Fact::new(INT64, Vec::new())])
}

#[cfg(test)]
mod tests {
    use crate::ir::Attribute;
    use crate::shape::sample::{floats, int, int_tensor, ints, list, reals, told};

    #[test]
    fn constants_come_in_six_spellings() {
        let constant = |name: &str, value: Attribute| told("Constant", 13, &[], &[(name, value)]);
        assert_eq!(constant("value", Attribute::Tensor(int_tensor(&[1, 2], &[3, 4]))), "int64 [1, 2]");
        assert_eq!(constant("value_int", Attribute::Int(3)), "int64 []");
        assert_eq!(constant("value_ints", list(&[1, 2])), "int64 [2]");
        assert_eq!(constant("value_float", Attribute::Float(3.0)), "float32 []");
        assert_eq!(constant("value_floats", Attribute::Floats(vec![1.0])), "float32 [1]");
        assert_eq!(constant("value_string", Attribute::String("x".into())), "type 8 of ONNX []");
    }

    #[test]
    fn filled_tensors_have_the_extents_asked_for() {
        assert_eq!(told("ConstantOfShape", 9, &[ints(&[2, 3])], &[]), "float32 [2, 3]");
        let with = [("value", Attribute::Tensor(int_tensor(&[1], &[0])))];
        assert_eq!(told("ConstantOfShape", 9, &[ints(&[])], &with), "int64 []");
        assert!(told("ConstantOfShape", 9, &[ints(&[-2])], &[]).starts_with("input 0 has a value"));
    }

    #[test]
    fn ranges_count_their_steps() {
        let range =
            |start: i64, limit: i64, step: i64| told("Range", 11, &[int(start), int(limit), int(step)], &[]);
        assert_eq!(range(0, 10, 3), "int64 [4]");
        assert_eq!(range(5, -1, -2), "int64 [3]");
        assert_eq!(range(3, 3, 1), "int64 [0]");
        assert_eq!(range(0, i64::MAX, 1), format!("int64 [{}]", i64::MAX));
        assert!(range(0, 1, 0).starts_with("input 2 has a value"));
        assert_eq!(told("Range", 11, &[reals(&[0.0]), reals(&[1.0]), reals(&[0.3])], &[]), "float32 [4]");
    }

    #[test]
    fn shapes_are_vectors_and_sizes_numbers() {
        assert_eq!(told("Shape", 13, &[floats("b 3 4")], &[]), "int64 [3]");
        let with = [("start", Attribute::Int(-2)), ("end", Attribute::Int(99))];
        assert_eq!(told("Shape", 15, &[floats("b 3 4")], &with), "int64 [2]");
        assert_eq!(told("Size", 13, &[floats("b 3 4")], &[]), "int64 []");
    }

    #[test]
    fn likenesses_may_change_the_type() {
        assert_eq!(told("EyeLike", 9, &[floats("3 4")], &[("dtype", Attribute::Int(6))]), "int32 [3, 4]");
        assert_eq!(told("RandomNormal", 1, &[], &[("shape", list(&[2, 3]))]), "float32 [2, 3]");
    }
}
