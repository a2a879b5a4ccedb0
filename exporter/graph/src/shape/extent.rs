//! Extents with the batch left free, and the little arithmetic they have.

use std::fmt;

use offramp_models::DType;

use super::Contradiction;
use crate::ir::ElementType;

/// One extent: a number, a multiple of the batch, or nothing that can be told.
///
/// The algebra is closed under what networks do to a batch: folding heads or windows into it (`12 * batch`) and
/// taking them out again. A sum of a number and a batch is [`Extent::Unknown`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extent {
    /// A number.
    Known(usize),
    /// This many times the batch, at least once; the batch itself is `Batch(1)`.
    Batch(usize),
    /// Cannot be told without running the network.
    Unknown,
}

impl Extent {
    /// `factor * batch`.
    pub const fn batches(factor: usize) -> Self {
        if factor == 0 { Self::Known(0) } else { Self::Batch(factor) }
    }

    /// The extent at this batch size, `None` if it cannot be told or does not fit.
    pub const fn at(self, batch: usize) -> Option<usize> {
        match self {
            Self::Known(extent) => Some(extent),
            Self::Batch(factor) => factor.checked_mul(batch),
            Self::Unknown => None,
        }
    }

    pub(crate) fn plus(self, other: Self) -> Result<Self, Contradiction> {
        Ok(match (self, other) {
            (Self::Known(0), other) => other,
            (this, Self::Known(0)) => this,
            (Self::Known(a), Self::Known(b)) => Self::Known(a.checked_add(b).ok_or(Contradiction::Overflow)?),
            (Self::Batch(a), Self::Batch(b)) => Self::Batch(a.checked_add(b).ok_or(Contradiction::Overflow)?),
            _ => Self::Unknown,
        })
    }

    pub(crate) fn times(self, other: Self) -> Result<Self, Contradiction> {
        let product = |a: usize, b: usize| a.checked_mul(b).ok_or(Contradiction::Overflow);
        Ok(match (self, other) {
            (Self::Known(0), _) | (_, Self::Known(0)) => Self::Known(0),
            (Self::Known(a), Self::Known(b)) => Self::Known(product(a, b)?),
            (Self::Known(a), Self::Batch(b)) | (Self::Batch(a), Self::Known(b)) => {
                Self::Batch(product(a, b)?)
            }
            _ => Self::Unknown,
        })
    }

    /// Division without remainder; otherwise unknown.
    pub(crate) const fn divided(self, by: usize) -> Self {
        match self {
            Self::Known(extent) if by != 0 && extent % by == 0 => Self::Known(extent / by),
            Self::Batch(factor) if by != 0 && factor % by == 0 => Self::Batch(factor / by),
            _ => Self::Unknown,
        }
    }

    /// What both say together: they must be equal where both are known.
    pub(crate) fn agreed(self, found: Self, what: &'static str) -> Result<Self, Contradiction> {
        match (self, found) {
            (Self::Unknown, other) => Ok(other),
            (this, Self::Unknown) => Ok(this),
            (this, other) if this == other => Ok(this),
            (expected, found) => Err(Contradiction::Extent { what, expected, found }),
        }
    }

    /// Two aligned extents under numpy's rule: equal, or one of them 1.
    pub(crate) fn broadcast(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Known(1), other) => Some(other),
            (this, Self::Known(1)) => Some(this),
            (this, other) if this == other => Some(this),
            // Whatever it is, it must stretch or equal the known one.
            (Self::Unknown, other) => Some(other),
            (this, Self::Unknown) => Some(this),
            _ => None,
        }
    }
}

/// Prints `3`, `batch`, `12*batch` or `?`.
impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(extent) => extent.fmt(f),
            Self::Batch(1) => f.write_str("batch"),
            Self::Batch(factor) => write!(f, "{factor}*batch"),
            Self::Unknown => f.write_str("?"),
        }
    }
}

/// Prints extents as `[batch, 3, 32, 32]`.
#[derive(Clone, Copy, Debug)]
pub struct Extents<'a>(pub &'a [Extent]);

impl fmt::Display for Extents<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (axis, extent) in self.0.iter().enumerate() {
            if axis > 0 {
                f.write_str(", ")?;
            }
            extent.fmt(f)?;
        }
        f.write_str("]")
    }
}

/// Shape of several tensors combined under numpy's rule.
pub(crate) fn broadcast(left: &[Extent], right: &[Extent]) -> Result<Vec<Extent>, Contradiction> {
    let rank = left.len().max(right.len());
    let aligned = |extents: &[Extent], axis: usize| {
        (axis + extents.len())
            .checked_sub(rank)
            .and_then(|at| extents.get(at).copied())
            .unwrap_or(Extent::Known(1))
    };
    let pairs = (0..rank).map(|axis| aligned(left, axis).broadcast(aligned(right, axis)));
    pairs
        .collect::<Option<_>>()
        .ok_or_else(|| Contradiction::Broadcast { left: left.to_vec(), right: right.to_vec() })
}

/// Element type and extents of one tensor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorShape {
    /// Element type.
    pub dtype: ElementType,
    /// Extents.
    pub extents: Vec<Extent>,
}

impl TensorShape {
    /// Extents at this batch size, `None` if one cannot be told.
    pub fn at(&self, batch: usize) -> Option<Vec<usize>> {
        self.extents.iter().map(|extent| extent.at(batch)).collect()
    }

    /// Elements that one image contributes, `None` if that cannot be told.
    pub fn elements_per_image(&self) -> Option<usize> {
        self.extents.iter().try_fold(1usize, |product, extent| product.checked_mul(extent.at(1)?))
    }

    /// Whether a tensor of form `found` fits what is known here.
    pub(crate) fn allows(&self, found: &Self) -> bool {
        let fits = |(known, found): (&Extent, &Extent)| *known == Extent::Unknown || known == found;
        self.dtype == found.dtype
            && self.extents.len() == found.extents.len()
            && self.extents.iter().zip(&found.extents).all(fits)
    }

    /// Whether every extent is a number or a multiple of the batch.
    pub fn is_complete(&self) -> bool {
        !self.extents.contains(&Extent::Unknown)
    }
}

/// Prints `float32 [batch, 3, 32, 32]`.
impl fmt::Display for TensorShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.dtype, Extents(&self.extents))
    }
}

pub(crate) const FLOAT32: ElementType = ElementType::Known(DType::Float32);
pub(crate) const INT64: ElementType = ElementType::Known(DType::Int64);
pub(crate) const INT32: ElementType = ElementType::Known(DType::Int32);
pub(crate) const UINT8: ElementType = ElementType::Known(DType::Uint8);
pub(crate) const BOOL: ElementType = ElementType::Known(DType::Bool);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn extent() -> impl Strategy<Value = Extent> {
        prop_oneof![
            3 => (0usize..4).prop_map(Extent::Known),
            2 => (1usize..4).prop_map(Extent::Batch),
            1 => Just(Extent::Unknown),
        ]
    }

    fn numpy(left: &[usize], right: &[usize]) -> Option<Vec<usize>> {
        let rank = left.len().max(right.len());
        let at = |extents: &[usize], axis: usize| {
            if axis + extents.len() < rank { 1 } else { extents[axis + extents.len() - rank] }
        };
        let pair = |axis| match (at(left, axis), at(right, axis)) {
            (1, other) | (other, 1) => Some(other),
            (a, b) => (a == b).then_some(a),
        };
        (0..rank).map(pair).collect()
    }

    proptest! {
        #[test]
        fn broadcasting_agrees_with_numpy(
            left in prop::collection::vec(0usize..4, 0..5),
            right in prop::collection::vec(0usize..4, 0..5),
        ) {
            let known = |extents: &[usize]| extents.iter().copied().map(Extent::Known).collect::<Vec<_>>();
            let expected = numpy(&left, &right).map(|extents| known(&extents));
            prop_assert_eq!(broadcast(&known(&left), &known(&right)).ok(), expected);
        }

        /// What is told for a free batch holds for every batch; no order of operands matters.
        #[test]
        fn broadcasting_a_free_batch_holds_for_every_batch(
            left in prop::collection::vec(extent(), 0..4),
            right in prop::collection::vec(extent(), 0..4),
            batch in 2usize..6,
        ) {
            let at = |extents: &[Extent]| extents.iter().map(|extent| extent.at(batch)).collect::<Option<Vec<_>>>();
            let told = broadcast(&left, &right);
            prop_assert_eq!(told.is_ok(), broadcast(&right, &left).is_ok());
            if let (Ok(told), Some(left), Some(right)) = (told, at(&left), at(&right)) {
                prop_assert_eq!(at(&told), numpy(&left, &right));
            }
        }

        #[test]
        fn sums_and_products_hold_for_every_batch(a in extent(), b in extent(), batch in 1usize..6) {
            let both = a.at(batch).zip(b.at(batch));
            if let (Some(sum), Some((a, b))) = (a.plus(b).unwrap().at(batch), both) {
                prop_assert_eq!(sum, a + b);
            }
            if let (Some(product), Some((a, b))) = (a.times(b).unwrap().at(batch), both) {
                prop_assert_eq!(product, a * b);
            }
        }
    }

    #[test]
    fn extents_are_printed_for_people() {
        let extents = [Extent::Batch(1), Extent::Batch(12), Extent::Known(3), Extent::Unknown];
        assert_eq!(Extents(&extents).to_string(), "[batch, 12*batch, 3, ?]");
    }

    #[test]
    fn overflow_is_refused() {
        assert_eq!(Extent::Known(usize::MAX).times(Extent::Known(2)), Err(Contradiction::Overflow));
        assert_eq!(Extent::Batch(usize::MAX).plus(Extent::Batch(1)), Err(Contradiction::Overflow));
    }
}
