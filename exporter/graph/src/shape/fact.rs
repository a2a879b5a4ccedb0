//! What is known of one tensor while the graph is walked.

use std::sync::Arc;

use super::{Extent, Value};
use crate::ir::ElementType;

#[derive(Clone, Debug, Default)]
pub(crate) struct Fact {
    pub dtype: Option<ElementType>,
    pub extents: Option<Vec<Extent>>,
    pub value: Option<Arc<Value>>,
}

impl Fact {
    pub fn new(dtype: impl Into<Option<ElementType>>, extents: impl Into<Option<Vec<Extent>>>) -> Self {
        Self { dtype: dtype.into(), extents: extents.into(), value: None }
    }

    /// The fact that a value tells.
    pub fn of_shared(value: Arc<Value>) -> Self {
        let extents = value.dims().iter().copied().map(Extent::Known).collect();
        Self { dtype: Some(ElementType::Known(value.dtype())), extents: Some(extents), value: Some(value) }
    }

    /// The same element type and extents, without the value.
    pub fn like(&self) -> Self {
        Self::new(self.dtype, self.extents.clone())
    }

    pub fn is_complete(&self) -> bool {
        self.dtype.is_some()
            && self.extents.as_ref().is_some_and(|extents| !extents.contains(&Extent::Unknown))
    }
}
