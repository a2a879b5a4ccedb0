//! Operators that move elements about. Source: ONNX; attributes that became inputs are read from either.

mod index;
mod resize;

use offramp_models::DType;

use super::Extent;
use super::facts::{Element, TensorShape, integers};
use super::operands::{Operands, Results, axis};
use crate::ir::Attribute;

pub(super) fn infer(of: &Operands<'_>) -> Results {
    let shape = match of.node.op.as_str() {
        "Reshape" => reshape(of),
        "Flatten" => flatten(of),
        "Transpose" => transpose(of),
        "Squeeze" => squeeze(of),
        "Unsqueeze" => unsqueeze(of),
        "Concat" => return concat(of),
        "Split" => return Ok(split(of).unwrap_or_default()),
        "Slice" => index::slice(of),
        "Gather" => index::gather(of),
        "Pad" => resize::pad(of),
        "Resize" | "Upsample" => resize::resize(of),
        "Tile" => resize::tile(of),
        "DepthToSpace" | "SpaceToDepth" => resize::blocks(of),
        "Expand" => return expand(of),
        "Shape" => shape(of),
        "Size" => size(of),
        "ConstantOfShape" => constant_of_shape(of),
        "Constant" => constant(of),
        "Range" => range(of),
        _ => None,
    };
    Ok(vec![shape.unwrap_or_else(|| TensorShape { dtype: of.dtype(0), ..TensorShape::default() })])
}

fn reshape(of: &Operands<'_>) -> Option<TensorShape> {
    let input = of.input(0)?;
    let target: Vec<Element> = match of.ints("shape") {
        Some(attribute) => attribute.iter().map(|number| Element::Number(*number)).collect(),
        None => of.value(1)?.to_vec(),
    };
    let from = input.extents.as_deref()?;
    let keep_zero = of.int("allowzero", 0) != 0;
    let mut free = None;
    let mut extents = Vec::with_capacity(target.len());
    for (position, element) in target.iter().enumerate() {
        extents.push(match element {
            Element::Number(-1) => {
                free = Some(position);
                Extent::Known(1)
            }
            Element::Number(0) if !keep_zero => *from.get(position)?,
            element => element.extent(),
        });
    }
    if let Some(free) = free {
        let product = |extents: &[Extent]| extents.iter().fold(Extent::Known(1), |p, e| p.times(*e));
        extents[free] = product(from).over(product(&extents));
    }
    Some(TensorShape { dtype: input.dtype, extents: Some(extents), value: input.value.clone() })
}

fn flatten(of: &Operands<'_>) -> Option<TensorShape> {
    let extents = of.extents(0)?;
    let rank = i64::try_from(extents.len()).ok()?;
    let at = of.int("axis", 1);
    let at = usize::try_from(if at < 0 { at + rank } else { at }).ok()?;
    let (before, after) = extents.split_at_checked(at)?;
    let product = |extents: &[Extent]| extents.iter().fold(Extent::Known(1), |p, e| p.times(*e));
    Some(TensorShape::new(of.dtype(0), vec![product(before), product(after)]))
}

fn transpose(of: &Operands<'_>) -> Option<TensorShape> {
    let extents = of.extents(0)?;
    let extents = match of.ints("perm") {
        Some(order) => order.iter().map(|axis| extents.get(usize::try_from(*axis).ok()?).copied()).collect(),
        None => Some(extents.iter().rev().copied().collect()),
    };
    let value = of.value(0).filter(|_| of.extents(0).is_some_and(|extents| extents.len() < 2)).map(<[_]>::to_vec);
    let value = value.or_else(|| transposed(of));
    Some(TensorShape { dtype: of.dtype(0), extents, value })
}

/// The value of a transposed matrix, as pad arithmetic of traced networks makes them.
fn transposed(of: &Operands<'_>) -> Option<Vec<Element>> {
    let [Extent::Known(rows), Extent::Known(columns)] = of.extents(0)? else { return None };
    if !matches!(of.ints("perm"), None | Some([1, 0])) {
        return None;
    }
    let value = of.value(0)?;
    (0..*columns).flat_map(|c| (0..*rows).map(move |r| r * columns + c)).map(|at| value.get(at).copied()).collect()
}

fn squeeze(of: &Operands<'_>) -> Option<TensorShape> {
    let extents = of.extents(0)?;
    let axes = match of.has(1) || of.ints("axes").is_some() {
        true => Some(of.axes(1)?.iter().map(|a| axis(*a, extents.len())).collect::<Option<Vec<_>>>()?),
        false => None,
    };
    let goes = |at: usize, extent: &Extent| match &axes {
        Some(axes) => axes.contains(&at),
        None => *extent == Extent::Known(1),
    };
    let left = extents.iter().enumerate().filter(|(at, extent)| !goes(*at, extent)).map(|(_, e)| *e).collect();
    Some(TensorShape { dtype: of.dtype(0), extents: Some(left), value: of.value(0).map(<[_]>::to_vec) })
}

fn unsqueeze(of: &Operands<'_>) -> Option<TensorShape> {
    let extents = of.extents(0)?;
    let axes = of.axes(1)?;
    let rank = extents.len() + axes.len();
    let axes = axes.iter().map(|a| axis(*a, rank)).collect::<Option<Vec<_>>>()?;
    let mut rest = extents.iter();
    let all = (0..rank).map(|at| if axes.contains(&at) { Some(Extent::Known(1)) } else { rest.next().copied() });
    Some(TensorShape { dtype: of.dtype(0), extents: all.collect(), value: of.value(0).map(<[_]>::to_vec) })
}

fn concat(of: &Operands<'_>) -> Results {
    let inputs = 0..of.node.inputs.len();
    let dtype = of.dtype(0);
    let unknown = Ok(vec![TensorShape { dtype, ..TensorShape::default() }]);
    let Some(parts) = inputs.clone().map(|input| of.extents(input)).collect::<Option<Vec<_>>>() else { return unknown };
    let Some(first) = parts.first() else { return unknown };
    let Some(along) = axis(of.int("axis", 1), first.len()) else { return unknown };
    let mut extents = first.to_vec();
    for part in &parts[1..] {
        if part.len() != extents.len() {
            return Err(of.contradiction(format!("rank {}", extents.len()), part.len().to_string()));
        }
        for (at, (own, other)) in extents.iter_mut().zip(*part).enumerate() {
            match (*own, *other) {
                (a, b) if at == along => *own = a.plus(b),
                (Extent::Known(a), Extent::Known(b)) if a != b => {
                    return Err(of.contradiction(format!("extent {a} at axis {at}"), b.to_string()));
                }
                (Extent::Unknown, known) => *own = known,
                _ => {}
            }
        }
    }
    let values = inputs.map(|input| of.value(input)).collect::<Option<Vec<_>>>();
    let value = values.filter(|_| extents.len() == 1).map(|values| values.concat());
    Ok(vec![TensorShape { dtype, extents: Some(extents), value }])
}

fn split(of: &Operands<'_>) -> Option<Vec<TensorShape>> {
    let extents = of.extents(0)?;
    let along = axis(of.int("axis", 0), extents.len())?;
    let outputs = of.node.outputs.len();
    let sizes: Vec<Extent> = match of.ints("split").map(<[i64]>::to_vec).or_else(|| of.numbers(1)) {
        Some(sizes) => sizes.iter().map(|size| Element::Number(*size).extent()).collect(),
        None => {
            let whole = extents[along].known()?;
            let each = whole.div_ceil(outputs.max(1));
            (0..outputs).map(|part| Extent::Known(each.min(whole.saturating_sub(part * each)))).collect()
        }
    };
    let part = |size: Extent| {
        let mut extents = extents.to_vec();
        extents[along] = size;
        TensorShape::new(of.dtype(0), extents)
    };
    Some(sizes.into_iter().map(part).collect())
}

fn expand(of: &Operands<'_>) -> Results {
    let target = of.value(1).map(|value| value.iter().map(|e| e.extent()).collect::<Vec<_>>());
    let extents = match (of.extents(0), target) {
        (Some(own), Some(target)) => Some(super::elementwise::together(of, own, &target)?),
        _ => None,
    };
    Ok(vec![TensorShape { dtype: of.dtype(0), extents, value: None }])
}

fn shape(of: &Operands<'_>) -> Option<TensorShape> {
    let extents = of.extents(0)?;
    let rank = i64::try_from(extents.len()).ok()?;
    let clamp = |at: i64| usize::try_from(if at < 0 { at + rank } else { at }.clamp(0, rank)).unwrap_or(0);
    let (start, end) = (clamp(of.int("start", 0)), clamp(of.int("end", rank)));
    let value: Vec<Element> = extents.get(start..end)?.iter().map(|extent| (*extent).into()).collect();
    let count = vec![Extent::Known(value.len())];
    Some(TensorShape { dtype: Some(DType::Int64), extents: Some(count), value: Some(value) })
}

fn size(of: &Operands<'_>) -> Option<TensorShape> {
    let product = of.extents(0)?.iter().fold(Extent::Known(1), |p, e| p.times(*e));
    Some(TensorShape { dtype: Some(DType::Int64), extents: Some(Vec::new()), value: Some(vec![product.into()]) })
}

fn constant_of_shape(of: &Operands<'_>) -> Option<TensorShape> {
    let extents: Vec<Extent> = of.value(0)?.iter().map(|element| element.extent()).collect();
    let filler = match of.attribute("value") {
        Some(Attribute::Tensor(tensor)) => Some(tensor),
        _ => None,
    };
    let dtype = filler.map_or(Some(DType::Float32), |tensor| TensorShape::of_constant(tensor).dtype);
    let count = extents.iter().try_fold(1usize, |product, extent| product.checked_mul(extent.known()?));
    let element = filler.and_then(integers).and_then(|numbers| numbers.first().copied());
    let value = match (count, element) {
        (Some(count), Some(element)) if count <= 1024 => Some(vec![Element::Number(element); count]),
        _ => None,
    };
    Some(TensorShape { dtype, extents: Some(extents), value })
}

fn constant(of: &Operands<'_>) -> Option<TensorShape> {
    match of.node.attributes.first()? {
        (_, Attribute::Tensor(tensor)) => Some(TensorShape::of_constant(tensor)),
        (_, Attribute::Int(number)) => Some(TensorShape {
            dtype: Some(DType::Int64),
            extents: Some(Vec::new()),
            value: Some(vec![Element::Number(*number)]),
        }),
        (_, Attribute::Ints(numbers)) => Some(TensorShape {
            dtype: Some(DType::Int64),
            extents: Some(vec![Extent::Known(numbers.len())]),
            value: Some(numbers.iter().map(|number| Element::Number(*number)).collect()),
        }),
        (_, Attribute::Float(_)) => Some(TensorShape::new(Some(DType::Float32), Vec::new())),
        (_, Attribute::Floats(numbers)) => {
            Some(TensorShape::new(Some(DType::Float32), vec![Extent::Known(numbers.len())]))
        }
        _ => None,
    }
}

fn range(of: &Operands<'_>) -> Option<TensorShape> {
    let [start] = of.numbers(0)?[..] else { return None };
    let [limit] = of.numbers(1)?[..] else { return None };
    let [delta] = of.numbers(2)?[..] else { return None };
    let span = limit.checked_sub(start)?;
    let count = if delta == 0 { return None } else { span.checked_div(delta)? + i64::from(span % delta != 0) };
    let count = usize::try_from(count.max(0)).ok()?;
    let element = |i: usize| Some(Element::Number(start.checked_add(delta.checked_mul(i64::try_from(i).ok()?)?)?));
    let value = if count <= 1024 { (0..count).map(element).collect() } else { None };
    Some(TensorShape { dtype: of.dtype(0), extents: Some(vec![Extent::Known(count)]), value })
}
