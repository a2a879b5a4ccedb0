//! Small tensors whose elements are followed through shape arithmetic, the batch left free.

mod arithmetic;
mod elem;
mod evaluate;
mod linear;
mod movement;
mod reduction;

use bytes::Bytes;
use offramp_models::DType;

pub(crate) use elem::Elem;
pub(crate) use evaluate::evaluate;
pub(crate) use linear::Linear;

use super::Extent;
use crate::ir::{ElementType, Tensor};

/// Larger tensors are not followed: shape arithmetic and index tables stay well below.
const MOST: usize = 1 << 14;
/// Floats only serve to scale extents.
const MOST_FLOATS: usize = 64;

/// Extents and elements of a small tensor. Holds as many elements as its extents say, at most [`MOST`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Value {
    dtype: DType,
    dims: Vec<usize>,
    elems: Vec<Elem>,
}

/// Elements of these extents if a value may hold them.
fn room(dims: &[usize]) -> Option<usize> {
    dims.iter().try_fold(1usize, |count, dim| count.checked_mul(*dim)).filter(|count| *count <= MOST)
}

impl Value {
    pub fn new(dtype: DType, dims: Vec<usize>, elems: Vec<Elem>) -> Option<Self> {
        (room(&dims)? == elems.len()).then_some(Self { dtype, dims, elems })
    }

    /// Computes every element from its index.
    pub fn build(dtype: DType, dims: Vec<usize>, elem: impl Fn(&[usize]) -> Option<Elem>) -> Option<Self> {
        let count = room(&dims)?;
        let mut elems = Vec::with_capacity(count);
        let mut index = vec![0; dims.len()];
        for _ in 0..count {
            elems.push(elem(&index)?);
            for (at, dim) in index.iter_mut().zip(&dims).rev() {
                *at += 1;
                if *at < *dim {
                    break;
                }
                *at = 0;
            }
        }
        Some(Self { dtype, dims, elems })
    }

    pub fn dtype(&self) -> DType {
        self.dtype
    }

    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    pub fn elems(&self) -> &[Elem] {
        &self.elems
    }

    /// The extents of a tensor as a value.
    pub fn of_extents(extents: &[Extent]) -> Option<Self> {
        let elems = extents.iter().map(|extent| Elem::of_extent(*extent)).collect();
        Self::new(DType::Int64, vec![extents.len()], elems)
    }

    /// Reads a constant, if it is small and of a type that is followed.
    pub fn of_tensor(tensor: &Tensor) -> Option<Self> {
        let ElementType::Known(dtype) = tensor.dtype else { return None };
        let count = room(&tensor.dims)?;
        if count > MOST_FLOATS && matches!(dtype, DType::Float32 | DType::Float64) {
            return None;
        }
        if tensor.data.len() != count.checked_mul(dtype.size())? {
            return None;
        }
        let elems = tensor.data.chunks_exact(dtype.size()).map(|bytes| Elem::decode(dtype, bytes));
        let elems = elems.collect::<Option<_>>()?;
        Self::new(dtype, tensor.dims.clone(), elems)
    }

    /// The constant, if it is of whole numbers or truth values and all are known.
    pub fn to_tensor(&self) -> Option<Tensor> {
        let mut data = Vec::with_capacity(self.elems.len().checked_mul(self.dtype.size())?);
        for elem in &self.elems {
            elem.encode(self.dtype, &mut data)?;
        }
        Some(Tensor {
            dtype: ElementType::Known(self.dtype),
            dims: self.dims.clone(),
            data: Bytes::from(data),
        })
    }

    pub fn at(&self, index: &[usize]) -> Option<Elem> {
        self.elems.get(self.position(index)?).copied()
    }

    /// Row-major position of an index.
    pub fn position(&self, index: &[usize]) -> Option<usize> {
        if index.len() != self.dims.len() {
            return None;
        }
        let mut position = 0usize;
        for (at, dim) in index.iter().zip(&self.dims) {
            if at >= dim {
                return None;
            }
            position = position.checked_mul(*dim)?.checked_add(*at)?;
        }
        Some(position)
    }

    /// The element that stands at `index` once the value is stretched by numpy's rule.
    pub fn stretched(&self, index: &[usize]) -> Option<Elem> {
        let own = index.get(index.len().checked_sub(self.dims.len())?..)?;
        let own: Vec<_> =
            own.iter().zip(&self.dims).map(|(at, dim)| if *dim == 1 { 0 } else { *at }).collect();
        self.at(&own)
    }

    /// The same elements with other extents.
    pub fn reshaped(&self, dims: Vec<usize>) -> Option<Self> {
        Self::new(self.dtype, dims, self.elems.clone())
    }
}
