//! Numbers that a network stores and computes with.

use offramp_models::DType;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::ir::{ElementType, Graph, Node, Tensor};

/// Initializers by name.
pub(super) fn weights(graph: &Graph) -> FxHashMap<&str, &Tensor> {
    graph.initializers.iter().map(|initializer| (initializer.name.as_str(), &initializer.tensor)).collect()
}

/// Elements of the weights of `node` that are not in `seen`; `None` if they overflow.
pub(super) fn params<'n>(
    node: &'n Node,
    weights: &FxHashMap<&str, &Tensor>,
    seen: &mut FxHashSet<&'n str>,
) -> Option<u64> {
    let mut sum = 0u64;
    for (at, name) in node.inputs.iter().enumerate() {
        let Some(tensor) = weights.get(name.as_str()) else { continue };
        if !tensor.dims.is_empty() && is_weight(node, at, tensor.dtype) && seen.insert(name) {
            let elements = tensor.dims.iter().try_fold(1usize, |product, dim| product.checked_mul(*dim))?;
            sum = sum.checked_add(u64::try_from(elements).ok()?)?;
        }
    }
    Some(sum)
}

/// Whether an initializer at this input is computed with: not a scale, a limit, an extent or an index. Scalars are the
/// arithmetic's own (`1 / sqrt(d)`, the half of a Gelu) and are left out before.
fn is_weight(node: &Node, at: usize, dtype: ElementType) -> bool {
    match node.op.as_str() {
        "QLinearConv" => matches!(at, 3 | 8),
        "QLinearMatMul" => matches!(at, 0 | 3),
        "ConvInteger" | "MatMulInteger" => at < 2,
        "DequantizeLinear" => at == 0,
        "Clip" | "Dropout" | "OneHot" | "Pad" | "QuantizeLinear" | "Resize" | "Upsample" if at > 0 => false,
        "Range" => false,
        _ => match dtype {
            ElementType::Known(dtype) => {
                matches!(dtype, DType::Float32 | DType::Float16 | DType::Float64 | DType::BFloat16)
            }
            // The 8-bit floats.
            ElementType::Other(number) => matches!(number, 17..=20),
        },
    }
}
