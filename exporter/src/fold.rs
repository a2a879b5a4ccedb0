//! Everything that no image changes becomes a constant.

use offramp_graph::ir::Model;
use offramp_graph::inline;

use crate::ExportError;

/// Inlines local functions, folds integer arithmetic, then has tract compute what constant float arithmetic is left.
///
/// # Errors
/// `Graph` for functions that call themselves or a graph that contradicts itself.
pub fn fold(model: Model) -> Result<Model, ExportError> {
    let model = inline::inline(model)?;
    let folded = offramp_graph::fold::fold(model)?;
    Ok(folded.model)
}
