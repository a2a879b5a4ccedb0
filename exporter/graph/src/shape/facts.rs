//! What is known of one tensor.

use offramp_models::DType;

use super::extent::Extent;
use crate::ir::{ElementType, Tensor};

/// Constants with more elements are weights, whose values shapes never hang on.
const LARGEST_VALUE: usize = 1024;

/// Type, extents, and for small integer tensors the elements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TensorShape {
    /// Element type.
    pub dtype: Option<DType>,
    /// Extents, where the rank is known.
    pub extents: Option<Vec<Extent>>,
    /// Elements in row-major order, where it is an integer tensor that hangs on nothing but the batch.
    pub value: Option<Vec<Element>>,
}

/// An element of an integer tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// A number.
    Number(i64),
    /// So many times the batch.
    Batch(usize),
    /// Not known.
    Unknown,
}

impl Element {
    /// The number, where it is one.
    pub fn number(self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    /// As an extent; negative numbers are none.
    pub fn extent(self) -> Extent {
        match self {
            Self::Number(number) => usize::try_from(number).map_or(Extent::Unknown, Extent::Known),
            Self::Batch(times) => Extent::Batch(times),
            Self::Unknown => Extent::Unknown,
        }
    }
}

impl From<Extent> for Element {
    fn from(extent: Extent) -> Self {
        match extent {
            Extent::Known(extent) => i64::try_from(extent).map_or(Self::Unknown, Self::Number),
            Extent::Batch(times) => Self::Batch(times),
            Extent::Unknown => Self::Unknown,
        }
    }
}

impl TensorShape {
    /// A tensor of known type and extents.
    pub fn new(dtype: Option<DType>, extents: Vec<Extent>) -> Self {
        Self { dtype, extents: Some(extents), value: None }
    }

    /// The shape, and for small integers the value, of a constant.
    pub fn of_constant(tensor: &Tensor) -> Self {
        let dtype = match tensor.dtype {
            ElementType::Known(dtype) => Some(dtype),
            ElementType::Other(_) => None,
        };
        let extents = Some(tensor.dims.iter().map(|extent| Extent::Known(*extent)).collect());
        let value = integers(tensor).map(|numbers| numbers.into_iter().map(Element::Number).collect());
        Self { dtype, extents, value }
    }

    /// Whether type and extents are known.
    pub fn is_complete(&self) -> bool {
        let all = |extents: &Vec<Extent>| extents.iter().all(|extent| *extent != Extent::Unknown);
        self.dtype.is_some() && self.extents.as_ref().is_some_and(all)
    }

    /// Fills in what is missing.
    pub(super) fn complete_from(&mut self, stated: &Self) {
        self.dtype = self.dtype.or(stated.dtype);
        match (&mut self.extents, &stated.extents) {
            (Some(own), Some(other)) if own.len() == other.len() => {
                for (own, other) in own.iter_mut().zip(other) {
                    if *own == Extent::Unknown {
                        *own = *other;
                    }
                }
            }
            (own @ None, Some(other)) => *own = Some(other.clone()),
            _ => {}
        }
    }
}

/// The elements of a small integer or bool constant.
pub fn integers(tensor: &Tensor) -> Option<Vec<i64>> {
    let count = tensor.dims.iter().try_fold(1usize, |product, extent| product.checked_mul(*extent))?;
    if count > LARGEST_VALUE {
        return None;
    }
    let data = &tensor.data;
    let numbers: Vec<i64> = match tensor.dtype {
        ElementType::Known(DType::Int64) => data.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect(),
        ElementType::Known(DType::Int32) => {
            data.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b).into()).collect()
        }
        ElementType::Known(DType::Bool | DType::Uint8) => data.iter().map(|byte| (*byte).into()).collect(),
        _ => return None,
    };
    (numbers.len() == count).then_some(numbers)
}

/// The elements of a small float32 constant.
pub fn floats(tensor: &Tensor) -> Option<Vec<f32>> {
    let floats: Vec<f32> = match tensor.dtype {
        ElementType::Known(DType::Float32) if tensor.data.len() <= LARGEST_VALUE * 4 => {
            tensor.data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
        }
        _ => return None,
    };
    Some(floats)
}
