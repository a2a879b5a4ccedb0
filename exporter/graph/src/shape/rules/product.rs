//! Matrix products.

use rustc_hash::FxHashMap;

use crate::ir::ElementType;
use crate::shape::call::{Call, Ruled};
use crate::shape::extent::{INT32, broadcast};
use crate::shape::{Contradiction, Extent, Fact};

/// `Gemm`: `A` is `[M, K]`, `B` `[K, N]`, each transposed on demand.
pub(super) fn gemm(call: &Call<'_>) -> Ruled {
    let unknown = [Extent::Unknown; 2];
    let matrix = |at: usize, transposed: &'static str| {
        call.need(at)?;
        let [rows, columns] = match call.extents_of_rank(at, 2)? {
            Some([rows, columns]) => [*rows, *columns],
            _ => unknown,
        };
        Ok(if call.int_or(transposed, 0)? != 0 { [columns, rows] } else { [rows, columns] })
    };
    let [rows, inner] = matrix(0, "transA")?;
    let [inner_right, columns] = matrix(1, "transB")?;
    inner.agreed(inner_right, "rows of the second matrix")?;
    let product = vec![rows, columns];
    if let Some(bias) = call.extents(2)
        && bias.len() > 2
    {
        return Err(Contradiction::Rank { input: 2, expected: 2, found: bias.len() });
    }
    // Before opset 7 the bias broadcast by an attribute.
    if call.opset >= 7
        && let Some(bias) = call.extents(2)
    {
        broadcast(&product, bias)?;
    }
    Ok(vec![Fact::new(call.dtype(0), product)])
}

pub(super) fn matmul(call: &Call<'_>) -> Ruled {
    multiplied(call, 0, 1, call.dtype(0))
}

pub(super) fn integer(call: &Call<'_>) -> Ruled {
    multiplied(call, 0, 1, Some(INT32))
}

/// `QLinearMatMul`: the output has the type of its zero point.
pub(super) fn quantised(call: &Call<'_>) -> Ruled {
    multiplied(call, 0, 3, call.dtype(7))
}

fn multiplied(call: &Call<'_>, left: usize, right: usize, dtype: Option<ElementType>) -> Ruled {
    let extents = match (call.need(left)?.extents.as_deref(), call.need(right)?.extents.as_deref()) {
        (Some([]), _) => return Err(Contradiction::Rank { input: left, expected: 1, found: 0 }),
        (_, Some([])) => return Err(Contradiction::Rank { input: right, expected: 1, found: 0 }),
        (Some([inner]), Some([inner_right])) => {
            inner.agreed(*inner_right, "length of the second vector")?;
            Some(Vec::new())
        }
        (Some([inner]), Some([outer @ .., inner_right, columns])) => {
            inner.agreed(*inner_right, "rows of the second matrix")?;
            Some([outer, &[*columns]].concat())
        }
        (Some([outer @ .., rows, inner]), Some([inner_right])) => {
            inner.agreed(*inner_right, "length of the vector")?;
            Some([outer, &[*rows]].concat())
        }
        (Some([outer @ .., rows, inner]), Some([outer_right @ .., inner_right, columns])) => {
            inner.agreed(*inner_right, "rows of the second matrix")?;
            let mut extents = broadcast(outer, outer_right)?;
            extents.extend([*rows, *columns]);
            Some(extents)
        }
        _ => None,
    };
    Ok(vec![Fact::new(dtype, extents)])
}

/// The indices of `Einsum`: of every input, and of the output. An ellipsis stands for leading batch axes.
pub(crate) struct Equation {
    pub inputs: Vec<Indices>,
    pub output: Indices,
}

#[derive(Default)]
pub(crate) struct Indices {
    pub letters: Vec<u8>,
    /// Letters before the ellipsis, if there is one.
    pub ellipsis: Option<usize>,
}

/// The extents under the ellipsis; the others by letter.
type Split<'e> = (&'e [Extent], Vec<(u8, Extent)>);

impl Indices {
    fn parse(text: &[u8]) -> Option<Self> {
        let mut indices = Self::default();
        let mut rest = text;
        while let [first, after @ ..] = rest {
            rest = after;
            if let Some(after) = after.strip_prefix(b"..").filter(|_| *first == b'.') {
                if indices.ellipsis.replace(indices.letters.len()).is_some() {
                    return None;
                }
                rest = after;
            } else if first.is_ascii_alphabetic() {
                indices.letters.push(*first);
            } else {
                return None;
            }
        }
        Some(indices)
    }

    fn split<'e>(&self, extents: &'e [Extent]) -> Option<Split<'e>> {
        let hidden = extents.len().checked_sub(self.letters.len())?;
        let start = match self.ellipsis {
            Some(start) => start,
            None if hidden == 0 => 0,
            None => return None,
        };
        let under = extents.get(start..start.checked_add(hidden)?)?;
        let others = extents.get(..start)?.iter().chain(extents.get(start.checked_add(hidden)?..)?);
        Some((under, self.letters.iter().copied().zip(others.copied()).collect()))
    }
}

impl Equation {
    pub fn read(call: &Call<'_>) -> Result<Self, Contradiction> {
        const BAD: Contradiction = Contradiction::Attribute { name: "equation" };
        let text = call.text("equation")?.ok_or(Contradiction::MissingAttribute { name: "equation" })?;
        let text: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let arrow = text.windows(2).position(|pair| pair == b"->");
        let (left, right) = match arrow {
            Some(at) => (text.get(..at).ok_or(BAD)?, text.get(at + 2..)),
            None => (text.as_slice(), None),
        };
        let inputs: Option<Vec<_>> = left.split(|byte| *byte == b',').map(Indices::parse).collect();
        let inputs = inputs.ok_or(BAD)?;
        let output = match right {
            Some(right) => Indices::parse(right).ok_or(BAD)?,
            None => implicit(&inputs),
        };
        if inputs.len() != call.inputs.len() {
            return Err(BAD);
        }
        Ok(Self { inputs, output })
    }
}

/// Without an arrow: the ellipsis, then the letters that occur once, sorted.
fn implicit(inputs: &[Indices]) -> Indices {
    let all: Vec<u8> = inputs.iter().flat_map(|indices| indices.letters.iter().copied()).collect();
    let mut letters: Vec<u8> = all
        .iter()
        .copied()
        .filter(|letter| all.iter().filter(|other| *other == letter).count() == 1)
        .collect();
    letters.sort_unstable();
    Indices { letters, ellipsis: inputs.iter().any(|indices| indices.ellipsis.is_some()).then_some(0) }
}

/// Extents of every letter and of the ellipsis; `None` where an input's rank is not known.
pub(crate) type Bound = (FxHashMap<u8, Extent>, Vec<Extent>);

pub(crate) fn bind(call: &Call<'_>, equation: &Equation) -> Result<Option<Bound>, Contradiction> {
    let mut letters: FxHashMap<u8, Extent> = FxHashMap::default();
    let mut ellipsis = Vec::new();
    for (at, indices) in equation.inputs.iter().enumerate() {
        let Some(extents) = call.need(at)?.extents.as_deref() else { return Ok(None) };
        let expected = indices.letters.len();
        let bound = indices.split(extents);
        let (under, named) =
            bound.ok_or(Contradiction::Rank { input: at, expected, found: extents.len() })?;
        ellipsis = broadcast(&ellipsis, under)?;
        for (letter, extent) in named {
            let known = letters.entry(letter).or_insert(extent);
            let both = || Contradiction::Broadcast { left: vec![*known], right: vec![extent] };
            *known = known.broadcast(extent).ok_or_else(both)?;
        }
    }
    Ok(Some((letters, ellipsis)))
}

pub(super) fn einsum(call: &Call<'_>) -> Ruled {
    let equation = Equation::read(call)?;
    let Some((letters, ellipsis)) = bind(call, &equation)? else {
        return Ok(vec![Fact::new(call.dtype(0), None)]);
    };
    let mut extents = Vec::new();
    for (at, letter) in equation.output.letters.iter().enumerate() {
        if equation.output.ellipsis == Some(at) {
            extents.extend_from_slice(&ellipsis);
        }
        let extent = letters.get(letter).ok_or(Contradiction::Attribute { name: "equation" })?;
        extents.push(*extent);
    }
    if equation.output.ellipsis == Some(equation.output.letters.len()) {
        extents.extend_from_slice(&ellipsis);
    }
    Ok(vec![Fact::new(call.dtype(0), extents)])
}

#[cfg(test)]
mod tests {
    use crate::ir::Attribute;
    use crate::shape::sample::{Given, floats, text, told, typed};
    use offramp_models::DType;

    #[test]
    fn gemm_transposes_on_demand_and_checks_the_inner_extent() {
        let transposed = [("transB", Attribute::Int(1))];
        let given = [floats("b 64"), floats("10 64"), floats("10")];
        assert_eq!(told("Gemm", 17, &given, &transposed), "float32 [batch, 10]");
        assert_eq!(told("Gemm", 17, &given, &[]), "rows of the second matrix: expected 64, got 10");
        let bias = [floats("b 64"), floats("64 10"), floats("11")];
        assert_eq!(told("Gemm", 17, &bias, &[]), "[batch, 10] and [11] do not broadcast");
    }

    #[test]
    fn matmul_follows_numpy() {
        let product = |left: &str, right: &str| told("MatMul", 17, &[floats(left), floats(right)], &[]);
        assert_eq!(product("b 7 64", "64 10"), "float32 [batch, 7, 10]");
        assert_eq!(product("b 12 7 64", "b 12 64 7"), "float32 [batch, 12, 7, 7]");
        assert_eq!(product("b 64", "64"), "float32 [batch]");
        assert_eq!(product("64", "b 64 5"), "float32 [batch, 5]");
        assert_eq!(product("64", "64"), "float32 []");
        assert_eq!(product("b 3 4 5", "b 2 5 6"), "[batch, 3] and [batch, 2] do not broadcast");
        assert_eq!(product("b 64", "63 2"), "rows of the second matrix: expected 64, got 63");
    }

    #[test]
    fn integer_products_have_their_own_types() {
        let (bytes, zero) = (typed(DType::Uint8, "b 4"), typed(DType::Int8, ""));
        let right = typed(DType::Int8, "4 5");
        assert_eq!(told("MatMulInteger", 17, &[bytes.clone(), right.clone()], &[]), "int32 [batch, 5]");
        let given = [bytes, floats(""), Given::Absent, right, floats(""), Given::Absent, floats(""), zero];
        assert_eq!(told("QLinearMatMul", 17, &given, &[]), "int8 [batch, 5]");
    }

    #[test]
    fn einsum_binds_letters_and_the_ellipsis() {
        let sum = |equation: &'static str, left: &str, right: &str| {
            told("Einsum", 17, &[floats(left), floats(right)], &[("equation", text(equation))])
        };
        assert_eq!(sum("bhid, bhjd -> bhij", "b 12 49 32", "b 12 49 32"), "float32 [batch, 12, 49, 49]");
        assert_eq!(sum("...ij,...jk->...ik", "b 3 4 5", "b 3 5 6"), "float32 [batch, 3, 4, 6]");
        assert_eq!(sum("ij,jk", "4 5", "5 6"), "float32 [4, 6]");
        assert_eq!(sum("ij,jk->ik", "4 5", "7 6"), "[5] and [7] do not broadcast");
        assert!(sum("ij->i", "4 5", "7 6").starts_with("attribute equation"));
    }
}
