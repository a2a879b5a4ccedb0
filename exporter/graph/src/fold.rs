//! Evaluates what does not depend on the image, without changing a bit of the outputs.
//!
//! Whole-number arithmetic is done here; nodes that need float arithmetic on constants are only reported
//! ([`Folded::constants`]), for a backend to evaluate and [`Folded::with_constants`] to put in. Batch normalisation is
//! not fused: that rounds. Nor is `DequantizeLinear` of constants evaluated: engines run on the quantised ones.

mod bypass;
mod frontier;
mod known;
mod sweep;
mod target;

use std::collections::BTreeMap;

use crate::ir::{Initializer, Model, Tensor};
use crate::names::Names;
use crate::shape::{self, Extent, ShapeError, Shapes};

/// A model without shape arithmetic, and what is left to evaluate.
#[derive(Clone, Debug)]
pub struct Folded {
    /// The model: inputs and outputs as before, nodes and initializers only where needed.
    pub model: Model,
    /// Shapes of its tensors.
    pub shapes: Shapes,
    /// Tensors that are constant but take float arithmetic to evaluate, in order of production; none is an output.
    pub constants: Vec<String>,
}

/// A model that cannot be folded, or constants that do not fit it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FoldError {
    /// Shapes contradict each other.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// A value for a tensor that was not asked for.
    #[error("\"{tensor}\" is not one of the constants to evaluate")]
    NotConstant {
        /// The tensor.
        tensor: String,
    },
    /// A value of the wrong form.
    #[error("constant \"{tensor}\": expected {expected}, got {found}")]
    Form {
        /// The tensor.
        tensor: String,
        /// Element type and extents that its node gives.
        expected: String,
        /// Those of the value.
        found: String,
    },
}

/// Folds `model`.
///
/// `Constant` nodes and nodes of known whole numbers become initializers; a `Reshape` whose target holds the batch
/// gets a constant one; `Identity`, `Dropout` of inference, and `Cast`, `Expand` and `Pad` that change nothing are
/// dropped, then what nothing needs. Names of inputs and outputs stay; a tensor that must survive under its name is
/// made an output first.
///
/// # Errors
/// [`FoldError::Shape`] as [`shape::infer`].
pub fn fold(mut model: Model) -> Result<Folded, FoldError> {
    let mut shapes = shape::infer(&model)?;
    let mut names = Names::of(&model.graph);
    target::fix(&mut model, &shapes, &mut names);
    known::materialise(&mut model.graph, &shapes);
    sweep::sweep(&mut model.graph);
    bypass::bypass(&mut model, &shapes);
    sweep::sweep(&mut model.graph);
    shapes = shape::infer(&model)?;
    let constants = frontier::constants(&model.graph, &shapes);
    Ok(Folded { model, shapes, constants })
}

impl Folded {
    /// Puts in evaluated constants and folds what they make known.
    ///
    /// # Errors
    /// [`FoldError::NotConstant`] for a tensor that is not in [`Folded::constants`], [`FoldError::Form`] for a value
    /// of another element type or other extents than its node gives, [`FoldError::Shape`] as [`fold`].
    pub fn with_constants(mut self, values: BTreeMap<String, Tensor>) -> Result<Self, FoldError> {
        let graph = &mut self.model.graph;
        let mut names = Names::of(graph);
        for tensor in values.keys() {
            if !self.constants.contains(tensor) {
                return Err(FoldError::NotConstant { tensor: tensor.clone() });
            }
        }
        for name in graph.nodes.iter_mut().flat_map(|node| &mut node.outputs) {
            let Some(value) = values.get(name) else { continue };
            let found = shape::TensorShape {
                dtype: value.dtype,
                extents: value.dims.iter().copied().map(Extent::Known).collect(),
            };
            if let Some(expected) = self.shapes.get(name).filter(|expected| !expected.allows(&found)) {
                let (expected, found) = (expected.to_string(), found.to_string());
                return Err(FoldError::Form { tensor: name.clone(), expected, found });
            }
            graph.initializers.push(Initializer { name: name.clone(), tensor: value.clone() });
            *name = names.fresh(name);
        }
        fold(self.model)
    }
}
