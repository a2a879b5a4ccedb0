//! Constants: checked against their shape, and always raw little-endian bytes afterwards.

use bytes::Bytes;

use super::convert::Converter;
use crate::error::ModelError;
use crate::ir::{ElementType, Tensor};
use crate::wire::{EXTERNAL, TensorProto};

impl Converter {
    /// Converts `proto`, which errors call `name`.
    pub(super) fn tensor(&mut self, proto: TensorProto, name: &str) -> Result<Tensor, ModelError> {
        let dtype = ElementType::from_number(proto.data_type.unwrap_or(0));
        let Some(bits) = dtype.bits() else {
            return Err(ModelError::Elements { tensor: name.into(), dtype });
        };
        let dims: Option<Vec<usize>> = proto.dims.iter().map(|dim| usize::try_from(*dim).ok()).collect();
        let sized = dims.and_then(|dims| Some((byte_count(&dims, bits)?, dims)));
        let Some((expected, dims)) = sized else {
            return Err(ModelError::Shape { tensor: name.into(), dims: proto.dims });
        };
        let data = if proto.data_location == Some(EXTERNAL) {
            let data = self.externals.get(&proto.external_data, expected);
            data.map_err(|source| ModelError::External { tensor: name.into(), source })?
        } else {
            raw(proto, dtype, bits)
        };
        if data.len() != expected {
            let found = data.len();
            return Err(ModelError::Size { tensor: name.into(), dtype, dims, expected, found });
        }
        Ok(Tensor { dtype, dims, data })
    }
}

/// Bytes that elements of `bits` bits in the shape `dims` take, `None` where they cannot be counted.
fn byte_count(dims: &[usize], bits: usize) -> Option<usize> {
    let elements = dims.iter().try_fold(1_usize, |product, dim| product.checked_mul(*dim))?;
    Some(elements.checked_mul(bits)?.div_ceil(8))
}

/// The field that holds elements of `dtype`, as bytes. Source: onnx.proto, `TensorProto`.
fn raw(proto: TensorProto, dtype: ElementType, bits: usize) -> Bytes {
    if let Some(raw) = proto.raw_data.filter(|raw| !raw.is_empty()) {
        return raw;
    }
    let width = (bits / 8).max(1);
    match dtype.number() {
        1 | 14 => pack(proto.float_data, 4, f32::to_le_bytes),
        7 => pack(proto.int64_data, 8, i64::to_le_bytes),
        11 | 15 => pack(proto.double_data, 8, f64::to_le_bytes),
        12 | 13 => pack(proto.uint64_data, width, u64::to_le_bytes),
        _ => pack(proto.int32_data, width, i32::to_le_bytes),
    }
}

/// The lowest `width` bytes of every value.
fn pack<T, const N: usize>(values: Vec<T>, width: usize, to_bytes: fn(T) -> [u8; N]) -> Bytes {
    let mut packed = Vec::with_capacity(values.len() * width.min(N));
    for value in values {
        packed.extend(to_bytes(value).into_iter().take(width));
    }
    packed.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::StringStringEntryProto;

    fn convert(proto: TensorProto) -> Result<Tensor, ModelError> {
        Converter::new(None).tensor(proto, "w")
    }

    fn proto(number: i32, dims: &[i64]) -> TensorProto {
        TensorProto { data_type: Some(number), dims: dims.to_vec(), ..Default::default() }
    }

    #[test]
    fn typed_fields_become_little_endian_bytes() {
        let bytes = |proto| convert(proto).unwrap().data.to_vec();
        let floats = TensorProto { float_data: vec![1.0, -2.0], ..proto(1, &[2]) };
        assert_eq!(bytes(floats), [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]);
        let halves = TensorProto { int32_data: vec![0x3c00], ..proto(10, &[]) };
        assert_eq!(bytes(halves), [0, 0x3c]);
        let flags = TensorProto { int32_data: vec![1, 0, 1], ..proto(9, &[3]) };
        assert_eq!(bytes(flags), [1, 0, 1]);
        let signed = TensorProto { int32_data: vec![-1], ..proto(3, &[1]) };
        assert_eq!(bytes(signed), [0xff]);
        let wide = TensorProto { uint64_data: vec![0xdead_beef], ..proto(12, &[1]) };
        assert_eq!(bytes(wide), [0xef, 0xbe, 0xad, 0xde]);
        let nibbles = TensorProto { int32_data: vec![0x21, 0x03], ..proto(22, &[3]) };
        assert_eq!(bytes(nibbles), [0x21, 0x03]);
        let doubles = TensorProto { double_data: vec![1.0], ..proto(11, &[1]) };
        assert_eq!(bytes(doubles), 1f64.to_le_bytes());
        let longs = TensorProto { int64_data: vec![-2], ..proto(7, &[1]) };
        assert_eq!(bytes(longs), (-2i64).to_le_bytes());
    }

    #[test]
    fn data_that_does_not_fill_the_shape_is_refused() {
        let short = TensorProto { raw_data: Some(vec![0; 8].into()), ..proto(1, &[2, 3]) };
        assert_eq!(
            convert(short).unwrap_err().to_string(),
            "constant \"w\" is float32 [2, 3] and takes 24 bytes, got 8"
        );
        assert!(convert(proto(1, &[0, 7])).unwrap().data.is_empty());
    }

    #[test]
    fn shapes_that_nothing_can_have_are_refused() {
        assert!(matches!(convert(proto(1, &[-1])), Err(ModelError::Shape { .. })));
        assert!(matches!(convert(proto(1, &[1 << 62, 1 << 62])), Err(ModelError::Shape { .. })));
        assert!(matches!(convert(proto(1, &[1 << 62])), Err(ModelError::Shape { .. })));
        assert!(matches!(convert(proto(2, &[1 << 40])), Err(ModelError::Size { .. })));
        assert!(matches!(convert(proto(8, &[1])), Err(ModelError::Elements { .. })));
    }

    #[test]
    fn bytes_alone_have_no_external_data() {
        let location = StringStringEntryProto { key: "location".into(), value: "w.bin".into() };
        let outside =
            TensorProto { data_location: Some(EXTERNAL), external_data: vec![location], ..proto(1, &[1]) };
        assert!(matches!(convert(outside), Err(ModelError::External { .. })));
    }
}
