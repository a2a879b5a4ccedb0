//! Element types in ONNX Runtime's words.

use offramp_models::DType;
use ort::value::TensorElementType;

/// ONNX Runtime's name for `dtype`.
pub(super) fn engine(dtype: DType) -> Option<TensorElementType> {
    PAIRS.iter().find(|(ours, _)| *ours == dtype).map(|(_, theirs)| *theirs)
}

/// Our name for `element`, if tensors of it may cross a cut.
pub(super) fn dtype(element: TensorElementType) -> Option<DType> {
    PAIRS.iter().find(|(_, theirs)| *theirs == element).map(|(ours, _)| *ours)
}

const PAIRS: [(DType, TensorElementType); 13] = [
    (DType::Float32, TensorElementType::Float32),
    (DType::Float16, TensorElementType::Float16),
    (DType::Float64, TensorElementType::Float64),
    (DType::BFloat16, TensorElementType::Bfloat16),
    (DType::Uint8, TensorElementType::Uint8),
    (DType::Int8, TensorElementType::Int8),
    (DType::Int16, TensorElementType::Int16),
    (DType::Uint16, TensorElementType::Uint16),
    (DType::Int32, TensorElementType::Int32),
    (DType::Uint32, TensorElementType::Uint32),
    (DType::Int64, TensorElementType::Int64),
    (DType::Uint64, TensorElementType::Uint64),
    (DType::Bool, TensorElementType::Bool),
];
