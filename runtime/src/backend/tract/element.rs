//! Element types in tract's words.

use offramp_models::DType;
use tract_onnx::prelude::DatumType;

/// Our name for `datum`, if tensors of it may cross a cut.
pub(super) fn dtype(datum: DatumType) -> Option<DType> {
    PAIRS.iter().find(|(_, theirs)| *theirs == datum).map(|(ours, _)| *ours)
}

/// tract's name for `dtype`.
pub(super) fn datum(dtype: DType) -> Option<DatumType> {
    PAIRS.iter().find(|(ours, _)| *ours == dtype).map(|(_, theirs)| *theirs)
}

const PAIRS: [(DType, DatumType); 12] = [
    (DType::Float32, DatumType::F32),
    (DType::Float16, DatumType::F16),
    (DType::Float64, DatumType::F64),
    (DType::Uint8, DatumType::U8),
    (DType::Int8, DatumType::I8),
    (DType::Int16, DatumType::I16),
    (DType::Uint16, DatumType::U16),
    (DType::Int32, DatumType::I32),
    (DType::Uint32, DatumType::U32),
    (DType::Int64, DatumType::I64),
    (DType::Uint64, DatumType::U64),
    (DType::Bool, DatumType::Bool),
];
