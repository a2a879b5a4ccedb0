//! Which operators are followed.

use offramp_models::DType;

use super::{Elem, Linear, Value, arithmetic, movement, reduction};
use crate::ir::{Attribute, ElementType};
use crate::shape::call::Call;
use crate::shape::{Extent, Fact};

/// Values of the outputs of `call`, whose facts its rule told. `None` where they are not followed.
pub(crate) fn evaluate(call: &Call<'_>, outputs: &[Fact]) -> Option<Vec<Value>> {
    if !call.node.domain.is_empty() {
        return None;
    }
    let input = |at| call.value(at);
    let op = call.node.op.as_str();
    let first = match op {
        "Shape" => extents_of(call),
        "Size" => size_of(call),
        "Constant" => constant(call),
        "ConstantOfShape" => filled(call, &dims(outputs)?),
        "Range" => range(call),
        "EyeLike" => diagonal(call, outputs),
        "Identity" => input(0).cloned(),
        "Cast" | "CastLike" => cast(input(0)?, outputs),
        "Neg" | "Abs" | "Sign" | "Floor" | "Ceil" | "Round" | "Not" | "Sqrt" | "Reciprocal" => {
            unary(op, input(0)?)
        }
        "Mod" if call.int_or("fmod", 0).ok()? != 0 => None,
        "Add" | "Sub" | "Mul" | "Div" | "Mod" | "Max" | "Min" | "And" | "Or" | "Xor" | "Equal" | "Less"
        | "LessOrEqual" | "Greater" | "GreaterOrEqual" => variadic(call, outputs),
        "Where" => choose(input(0)?, input(1)?, input(2)?, &dims(outputs)?),
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => input(0)?.reshaped(dims(outputs)?),
        "Transpose" => movement::transpose(call, input(0)?, &dims(outputs)?),
        "Slice" => movement::slice(call, input(0)?, &dims(outputs)?),
        "Expand" => movement::stretch(input(0)?, &dims(outputs)?),
        "Tile" => movement::tile(input(0)?, &dims(outputs)?),
        "Pad" => movement::pad(call, input(0)?, &dims(outputs)?),
        "Concat" => movement::concat(call, &all(call)?, &dims(outputs)?),
        "Gather" => movement::gather(call, input(0)?, input(1)?, &dims(outputs)?),
        "GatherElements" => movement::gather_elements(call, input(0)?, input(1)?),
        "GatherND" => movement::gather_nd(call, input(0)?, input(1)?, &dims(outputs)?),
        "ScatterND" => movement::scatter_nd(call, input(0)?, input(1)?, input(2)?),
        "Trilu" => movement::triangle(call, input(0)?),
        "NonZero" => movement::non_zero(input(0)?),
        "ReduceProd" | "ReduceSum" | "ReduceMax" | "ReduceMin" => {
            reduction::reduce(call, input(0)?, &dims(outputs)?)
        }
        "CumSum" => reduction::running_sum(call, input(0)?),
        "Split" => {
            let parts = outputs.iter().map(known).collect::<Option<Vec<_>>>()?;
            return movement::split(call, input(0)?, &parts);
        }
        _ => None,
    };
    first.map(|value| vec![value])
}

fn known(fact: &Fact) -> Option<Vec<usize>> {
    let known = |extent: &Extent| match extent {
        Extent::Known(extent) => Some(*extent),
        _ => None,
    };
    fact.extents.as_ref()?.iter().map(known).collect()
}

fn dims(outputs: &[Fact]) -> Option<Vec<usize>> {
    known(outputs.first()?)
}

fn dtype(outputs: &[Fact]) -> Option<DType> {
    match outputs.first()?.dtype? {
        ElementType::Known(dtype) => Some(dtype),
        ElementType::Other(_) => None,
    }
}

fn all<'a>(call: &Call<'a>) -> Option<Vec<&'a Value>> {
    (0..call.inputs.len()).map(|at| call.value(at)).collect()
}

/// The extents that `Shape` reads. Source: Shape-15.
fn extents_of(call: &Call<'_>) -> Option<Value> {
    let extents = call.extents(0)?;
    let rank = i64::try_from(extents.len()).ok()?;
    let clamped = |name, default| {
        let end = call.int_or(name, default).ok()?;
        let end = if end < 0 { end.checked_add(rank)? } else { end };
        usize::try_from(end.clamp(0, rank)).ok()
    };
    let (start, end) = (clamped("start", 0)?, clamped("end", rank)?);
    Value::of_extents(extents.get(start..end.max(start))?)
}

fn size_of(call: &Call<'_>) -> Option<Value> {
    let product = call
        .extents(0)?
        .iter()
        .try_fold(Linear::new(1), |product, extent| product.times(Elem::of_extent(*extent).linear()?))?;
    Value::new(DType::Int64, Vec::new(), vec![Elem::Whole(product)])
}

fn constant(call: &Call<'_>) -> Option<Value> {
    let real = |float: &f32| Elem::Real(f64::from(*float));
    let (_, attribute) = call.node.attributes.iter().find(|(name, _)| name.starts_with("value"))?;
    match attribute {
        Attribute::Tensor(tensor) => Value::of_tensor(tensor),
        Attribute::Int(int) => Value::new(DType::Int64, Vec::new(), vec![Elem::int(*int)]),
        Attribute::Float(float) => Value::new(DType::Float32, Vec::new(), vec![real(float)]),
        Attribute::Ints(ints) => {
            Value::new(DType::Int64, vec![ints.len()], ints.iter().map(|int| Elem::int(*int)).collect())
        }
        Attribute::Floats(floats) => {
            Value::new(DType::Float32, vec![floats.len()], floats.iter().map(real).collect())
        }
        _ => None,
    }
}

fn filled(call: &Call<'_>, dims: &[usize]) -> Option<Value> {
    let (dtype, fill) = match call.tensor("value").ok()? {
        Some(tensor) => {
            let value = Value::of_tensor(tensor)?;
            (value.dtype(), *value.elems().first()?)
        }
        None => (DType::Float32, Elem::Real(0.0)),
    };
    Value::build(dtype, dims.to_vec(), |_| Some(fill))
}

fn range(call: &Call<'_>) -> Option<Value> {
    let dtype = call.value(0)?.dtype();
    let bound = |at: usize| call.elems(at)?.first()?.whole();
    let (start, limit, step) = (bound(0)?, bound(1)?, bound(2)?);
    let count = crate::shape::rules::steps(start, limit, step)?;
    Value::build(dtype, vec![count], |index| {
        let at = i64::try_from(*index.first()?).ok()?;
        Some(Elem::int(at.checked_mul(step)?.checked_add(start)?).held_by(dtype))
    })
}

fn diagonal(call: &Call<'_>, outputs: &[Fact]) -> Option<Value> {
    let (dtype, dims, offset) = (dtype(outputs)?, dims(outputs)?, call.int_or("k", 0).ok()?);
    Value::build(dtype, dims, |index| {
        let [row, column] = index else { return None };
        let beyond = i64::try_from(*column).ok()?.checked_sub(i64::try_from(*row).ok()?)?;
        Some(Elem::truth(beyond == offset).held_by(dtype))
    })
}

fn cast(input: &Value, outputs: &[Fact]) -> Option<Value> {
    let dtype = dtype(outputs)?;
    let elems = input.elems().iter().map(|elem| elem.cast(dtype)).collect();
    Value::new(dtype, input.dims().to_vec(), elems)
}

fn unary(op: &str, input: &Value) -> Option<Value> {
    let elems = input.elems().iter().map(|elem| arithmetic::unary(op, *elem, input.dtype())).collect();
    Value::new(input.dtype(), input.dims().to_vec(), elems)
}

fn variadic(call: &Call<'_>, outputs: &[Fact]) -> Option<Value> {
    let (dtype, dims) = (dtype(outputs)?, dims(outputs)?);
    let inputs = all(call)?;
    let (first, rest) = inputs.split_first()?;
    let start = movement::stretch(first, &dims)?;
    rest.iter()
        .try_fold(start, |left, right| arithmetic::broadcast(&call.node.op, &left, right, dtype, &dims))
}

fn choose(condition: &Value, yes: &Value, no: &Value, dims: &[usize]) -> Option<Value> {
    Value::build(yes.dtype(), dims.to_vec(), |index| {
        let (yes, no) = (yes.stretched(index)?, no.stretched(index)?);
        Some(match condition.stretched(index)?.whole() {
            Some(0) => no,
            Some(_) => yes,
            None if yes == no => yes,
            None => Elem::Unknown,
        })
    })
}

#[cfg(test)]
mod tests {
    use crate::ir::{Attribute, Dim, ElementType, Graph, Initializer, Model, Node, ValueInfo};
    use crate::shape::infer;
    use crate::shape::sample::{attributes, int_tensor, list};
    use offramp_models::DType;

    type Constant<'a> = (&'a str, &'a [usize], &'a [i64]);
    type Call<'a> = (&'a str, &'a [&'a str], &'a [(&'a str, Attribute)]);

    /// The elements that the last of `calls` gives, on `image` `[batch, 3, 8, 8]`; call `k` gives `nk`.
    fn followed(constants: &[Constant<'_>], calls: &[Call<'_>]) -> Vec<String> {
        let dims = [Dim::Named("batch".into()), Dim::Known(3), Dim::Known(8), Dim::Known(8)];
        let dtype = Some(ElementType::Known(DType::Float32));
        let mut graph = Graph::default();
        graph.inputs.push(ValueInfo { name: "image".into(), dtype, dims: Some(dims.to_vec()) });
        for (name, dims, values) in constants {
            let tensor = int_tensor(dims, values);
            graph.initializers.push(Initializer { name: (*name).to_owned(), tensor });
        }
        for (at, (op, inputs, with)) in calls.iter().enumerate() {
            graph.nodes.push(Node {
                op: (*op).to_owned(),
                inputs: inputs.iter().map(|name| (*name).to_owned()).collect(),
                outputs: vec![format!("n{at}")],
                attributes: attributes(with),
                ..Default::default()
            });
        }
        let last = format!("n{}", calls.len() - 1);
        let model = Model { opsets: [(String::new(), 17)].into(), graph, ..Default::default() };
        let shapes = infer(&model).unwrap();
        let elem = |elem: &super::Elem| match elem {
            super::Elem::Whole(linear) => match linear.known() {
                Some(known) => known.to_string(),
                None => format!("{}+{}b", linear.constant, linear.batch),
            },
            super::Elem::Real(real) => format!("{real:?}"),
            super::Elem::Unknown => "?".into(),
        };
        shapes.value(&last).map(|value| value.elems().iter().map(elem).collect()).unwrap_or_default()
    }

    #[test]
    fn extents_are_picked_and_joined() {
        let axis = [("axis", Attribute::Int(0))];
        let told = followed(
            &[("first", &[], &[0]), ("axes", &[1], &[0]), ("rest", &[2], &[-1, 7])],
            &[
                ("Shape", &["image"], &[]),
                ("Gather", &["n0", "first"], &axis),
                ("Unsqueeze", &["n1", "axes"], &[]),
                ("Concat", &["n2", "rest"], &axis),
            ],
        );
        assert_eq!(told, ["0+1b", "-1", "7"]);
    }

    #[test]
    fn windows_leave_the_batch_and_return_to_it() {
        let told = followed(
            &[("windows", &[], &[4]), ("image_size", &[], &[192])],
            &[
                ("Size", &["image"], &[]),
                ("Mul", &["n0", "windows"], &[]),
                ("Div", &["n1", "image_size"], &[]),
            ],
        );
        assert_eq!(told, ["0+4b"]);
    }

    #[test]
    fn a_batch_never_equals_minus_one() {
        let told = followed(
            &[("marks", &[4], &[-1, -1, 8, 8]), ("ones", &[4], &[1, 1, 1, 1])],
            &[
                ("Shape", &["image"], &[]),
                ("Equal", &["n0", "marks"], &[]),
                ("Where", &["n1", "ones", "n0"], &[]),
            ],
        );
        assert_eq!(told, ["0+1b", "3", "1", "1"]);
    }

    #[test]
    fn extents_survive_float_arithmetic() {
        let told = followed(
            &[],
            &[
                ("Shape", &["image"], &[("start", Attribute::Int(2))]),
                ("Cast", &["n0"], &[("to", Attribute::Int(1))]),
                ("Sqrt", &["n1"], &[]),
                ("Floor", &["n2"], &[]),
                ("Cast", &["n3"], &[("to", Attribute::Int(7))]),
            ],
        );
        assert_eq!(told, ["2", "2"]);
    }

    #[test]
    fn pad_arithmetic_of_legacy_exports_folds() {
        let zeros = [("value", Attribute::Tensor(int_tensor(&[1], &[0])))];
        let constants: [Constant<'_>; 8] = [
            ("pads", &[6], &[0, 0, 0, 0, 8, 8]),
            ("missing", &[1], &[2]),
            ("pairs", &[2], &[-1, 2]),
            ("last", &[1], &[-1]),
            ("lowest", &[1], &[i64::MIN + 1]),
            ("axis", &[1], &[0]),
            ("back", &[1], &[-1]),
            ("flat", &[1], &[-1]),
        ];
        let told = followed(
            &constants,
            &[
                ("ConstantOfShape", &["missing"], &zeros),
                ("Concat", &["pads", "n0"], &[("axis", Attribute::Int(0))]),
                ("Reshape", &["n1", "pairs"], &[]),
                ("Slice", &["n2", "last", "lowest", "axis", "back"], &[]),
                ("Transpose", &["n3"], &[("perm", list(&[1, 0]))]),
                ("Reshape", &["n4", "flat"], &[]),
            ],
        );
        assert_eq!(told, ["0", "8", "0", "0", "0", "8", "0", "0"]);
    }

    #[test]
    fn index_tables_fold() {
        let told = followed(
            &[("zero", &[], &[0]), ("four", &[], &[4]), ("one", &[], &[1]), ("column", &[2, 1], &[4, 0])],
            &[
                ("Range", &["zero", "four", "one"], &[]),
                ("Add", &["n0", "column"], &[]),
                ("ReduceMax", &["n1"], &[("axes", list(&[0])), ("keepdims", Attribute::Int(0))]),
                ("Greater", &["n2", "four"], &[]),
                ("NonZero", &["n3"], &[]),
            ],
        );
        assert_eq!(told, ["1", "2", "3"]);
    }

    #[test]
    fn what_overflows_is_unknown() {
        let told = followed(
            &[("most", &[1], &[i64::MAX])],
            &[("Add", &["most", "most"], &[]), ("Cast", &["n0"], &[("to", Attribute::Int(6))])],
        );
        assert_eq!(told, ["?"]);
        let told =
            followed(&[("most", &[1], &[i64::MAX])], &[("Cast", &["most"], &[("to", Attribute::Int(6))])]);
        assert_eq!(told, ["?"]);
    }
}
