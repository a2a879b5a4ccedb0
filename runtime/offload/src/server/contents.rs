//! Elements that came typed, as the bytes that raw contents would have been.

use bytes::Bytes;
use offramp_models::{DType, TensorSpec};

use super::refusal::Refusal;
use crate::oip::InferTensorContents;

/// The elements of `spec` in `contents`, little-endian. Fields of other types are not looked at.
///
/// # Errors
/// `Element` for a number that the type does not hold, `Untyped` for a type that only comes raw.
pub(super) fn raw(spec: &TensorSpec, contents: &InferTensorContents) -> Result<Bytes, Refusal> {
    let (signed, unsigned) = (&contents.int_contents, &contents.uint_contents);
    let bytes = match spec.dtype {
        DType::Float32 => bytes(contents.fp32_contents.iter().map(|element| element.to_le_bytes())),
        DType::Float64 => bytes(contents.fp64_contents.iter().map(|element| element.to_le_bytes())),
        DType::Int64 => bytes(contents.int64_contents.iter().map(|element| element.to_le_bytes())),
        DType::Uint64 => bytes(contents.uint64_contents.iter().map(|element| element.to_le_bytes())),
        DType::Int32 => bytes(signed.iter().map(|element| element.to_le_bytes())),
        DType::Uint32 => bytes(unsigned.iter().map(|element| element.to_le_bytes())),
        DType::Bool => contents.bool_contents.iter().map(|element| u8::from(*element)).collect(),
        DType::Int8 => narrow(spec, signed, i8::to_le_bytes)?,
        DType::Int16 => narrow(spec, signed, i16::to_le_bytes)?,
        DType::Uint8 => narrow(spec, unsigned, u8::to_le_bytes)?,
        DType::Uint16 => narrow(spec, unsigned, u16::to_le_bytes)?,
        other => {
            let datatype = other.datatype();
            return Err(Refusal::Untyped { tensor: spec.name.clone(), datatype });
        }
    };
    Ok(bytes.into())
}

fn bytes<const N: usize>(elements: impl ExactSizeIterator<Item = [u8; N]>) -> Vec<u8> {
    elements.flatten().collect()
}

fn narrow<W, T, const N: usize>(
    spec: &TensorSpec,
    elements: &[W],
    to_bytes: fn(T) -> [u8; N],
) -> Result<Vec<u8>, Refusal>
where
    W: Copy + Into<i64>,
    T: TryFrom<W>,
{
    let mut bytes = Vec::with_capacity(elements.len() * N);
    for (element, wide) in elements.iter().enumerate() {
        let narrow = T::try_from(*wide).map_err(|_| Refusal::Element {
            tensor: spec.name.clone(),
            datatype: spec.dtype.datatype(),
            element,
            found: (*wide).into(),
        })?;
        bytes.extend_from_slice(&to_bytes(narrow));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(dtype: DType) -> TensorSpec {
        TensorSpec { name: "cut".to_owned(), dtype, shape: vec![None] }
    }

    #[test]
    fn typed_elements_are_little_endian_bytes() {
        let contents = InferTensorContents {
            bool_contents: vec![true, false],
            int_contents: vec![-2, 3],
            int64_contents: vec![-1],
            uint_contents: vec![254, 3],
            uint64_contents: vec![1],
            fp32_contents: vec![1.0],
            fp64_contents: vec![-2.0],
            bytes_contents: vec![],
        };
        let cases: [(DType, &[u8]); 11] = [
            (DType::Bool, &[1, 0]),
            (DType::Int8, &[254, 3]),
            (DType::Int16, &[254, 255, 3, 0]),
            (DType::Int32, &[254, 255, 255, 255, 3, 0, 0, 0]),
            (DType::Int64, &[255; 8]),
            (DType::Uint8, &[254, 3]),
            (DType::Uint16, &[254, 0, 3, 0]),
            (DType::Uint32, &[254, 0, 0, 0, 3, 0, 0, 0]),
            (DType::Uint64, &[1, 0, 0, 0, 0, 0, 0, 0]),
            (DType::Float32, &[0, 0, 128, 63]),
            (DType::Float64, &[0, 0, 0, 0, 0, 0, 0, 192]),
        ];
        for (dtype, expected) in cases {
            assert_eq!(&raw(&spec(dtype), &contents).unwrap()[..], expected, "{dtype}");
        }
    }

    #[test]
    fn what_a_type_does_not_hold_is_refused() {
        let contents = InferTensorContents { uint_contents: vec![1, 256], ..InferTensorContents::default() };
        let error = raw(&spec(DType::Uint8), &contents).unwrap_err();
        assert_eq!(error.to_string(), "tensor \"cut\" is of UINT8 and holds 256 at element 1");
        let error = raw(&spec(DType::Float16), &contents).unwrap_err();
        assert_eq!(error.to_string(), "tensor \"cut\" is of FP16, which comes in raw contents only");
    }
}
