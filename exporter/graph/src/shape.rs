//! What every tensor looks like, the batch left free.
//!
//! [`infer`] walks the nodes once and applies one rule per operator (`rules`, a module per family). Beside shapes it
//! follows the elements of small integer tensors (`value`), so that `Shape -> Gather -> Concat -> Reshape` chains
//! come out with a free batch. It never runs the network and never reads its weights.

mod call;
mod error;
mod extent;
mod fact;
mod rules;
#[cfg(test)]
pub(crate) mod sample;
mod value;
mod walk;

use std::sync::Arc;

use offramp_models::TensorSpec;
use rustc_hash::FxHashMap;

pub(crate) use call::Call;
pub use error::{Contradiction, ShapeError};
pub use extent::{Extent, Extents, TensorShape};
pub(crate) use fact::Fact;
pub(crate) use rules::{attention, product};
pub(crate) use value::{Elem, Linear, Value};
use walk::{Cause, Known};

use crate::ir::{ElementType, Model};

/// Shapes of the tensors of a model's main graph.
#[derive(Clone, Debug, Default)]
pub struct Shapes {
    tensors: FxHashMap<String, Inferred>,
}

#[derive(Clone, Debug)]
struct Inferred {
    shape: Option<TensorShape>,
    value: Option<Arc<Value>>,
    cause: Option<Arc<Cause>>,
}

/// Shapes of all tensors of `model`'s main graph.
///
/// The batch is the leading extent of the first input that leaves it open (a name, 0, or nothing); the same name
/// stands for it wherever it occurs. Operators without a rule leave their outputs unknown, unless the file says more
/// of them; only [`Shapes::require`] complains then.
///
/// # Errors
/// [`ShapeError::Undefined`] for a node that takes what nothing gives, [`ShapeError::Contradiction`] for one that
/// cannot take what it is given.
pub fn infer(model: &Model) -> Result<Shapes, ShapeError> {
    let inferred = |known: Known| {
        let Known { fact: Fact { dtype, extents, value }, cause } = known;
        let shape = dtype.zip(extents).map(|(dtype, extents)| TensorShape { dtype, extents });
        Inferred { shape, value, cause }
    };
    let tensors = walk::walk(model)?;
    Ok(Shapes {
        tensors: tensors.into_iter().map(|(name, known)| (name.to_owned(), inferred(known))).collect(),
    })
}

impl Shapes {
    /// What is known of a tensor: its element type and rank at least.
    pub fn get(&self, tensor: &str) -> Option<&TensorShape> {
        self.tensors.get(tensor)?.shape.as_ref()
    }

    /// The shape of a tensor, without unknown extents.
    ///
    /// # Errors
    /// [`ShapeError::NoTensor`]; [`ShapeError::NoRule`], [`ShapeError::Data`] or [`ShapeError::OpenInput`] naming
    /// the first cause on the way from the input.
    pub fn require(&self, tensor: &str) -> Result<&TensorShape, ShapeError> {
        let named = || tensor.to_owned();
        let inferred = self.tensors.get(tensor).ok_or_else(|| ShapeError::NoTensor { tensor: named() })?;
        if let Some(shape) = inferred.shape.as_ref().filter(|shape| shape.is_complete()) {
            return Ok(shape);
        }
        Err(match inferred.cause.as_deref() {
            Some(Cause::NoRule(node)) => ShapeError::NoRule { tensor: named(), node: node.clone() },
            Some(Cause::Data(node)) => ShapeError::Data { tensor: named(), node: node.clone() },
            Some(Cause::Input(input)) => ShapeError::OpenInput { tensor: named(), input: input.clone() },
            None => ShapeError::NoTensor { tensor: named() },
        })
    }

    /// The tensor as a manifest says it: extents are numbers or the batch itself.
    ///
    /// # Errors
    /// As [`Shapes::require`]; [`ShapeError::Form`] for an element type without a name or a multiple of the batch.
    pub fn spec(&self, tensor: &str) -> Result<TensorSpec, ShapeError> {
        let shape = self.require(tensor)?;
        let form = || ShapeError::Form { tensor: tensor.to_owned(), found: shape.to_string() };
        let ElementType::Known(dtype) = shape.dtype else { return Err(form()) };
        let extents = shape.extents.iter().map(|extent| match extent {
            Extent::Known(extent) => Ok(Some(*extent)),
            Extent::Batch(1) => Ok(None),
            Extent::Batch(_) | Extent::Unknown => Err(form()),
        });
        Ok(TensorSpec { name: tensor.to_owned(), dtype, shape: extents.collect::<Result<_, _>>()? })
    }

    /// Names of all tensors, in no order, with what is known of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&TensorShape>)> {
        self.tensors.iter().map(|(name, inferred)| (name.as_str(), inferred.shape.as_ref()))
    }

    pub(crate) fn value(&self, tensor: &str) -> Option<&Value> {
        self.tensors.get(tensor)?.value.as_deref()
    }

    /// What is known of a tensor, as a rule sees it.
    pub(crate) fn fact(&self, tensor: &str) -> Option<Fact> {
        let inferred = self.tensors.get(tensor)?;
        let shape = inferred.shape.as_ref();
        Some(Fact {
            dtype: shape.map(|shape| shape.dtype),
            extents: shape.map(|shape| shape.extents.clone()),
            value: inferred.value.clone(),
        })
    }
}
