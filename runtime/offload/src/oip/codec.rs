//! Messages to bytes and back, as tonic does it, but for messages of many tiny parts.
//!
//! Two bytes can stand for an empty tensor that takes hundreds of bytes in memory, so a message within the limit of
//! bytes could still fill the memory. Parts are counted before a message is taken apart.

use std::marker::PhantomData;

use bytes::Buf;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

use super::{
    ModelInferRequest, ModelInferResponse, ModelMetadataRequest, ModelMetadataResponse, ModelReadyRequest,
    ModelReadyResponse, ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest, ServerMetadataResponse,
    ServerReadyRequest, ServerReadyResponse,
};

/// Fields of a message, those of its tensors and parameters included. A tensor has four or five; elements of one field
/// are one.
pub const MOST_PARTS: usize = 4096;

/// A message whose parts are counted before it is decoded.
pub trait Parted: prost::Message + Default {
    /// Which of its fields are messages whose parts count too.
    const PARTS: Parts = Parts(&[]);
}

/// Tags of fields that are messages, and theirs.
#[derive(Debug)]
pub struct Parts(&'static [(u64, &'static Parts)]);

const FLAT: Parts = Parts(&[]);
const TENSOR: Parts = Parts(&[(4, &FLAT), (5, &FLAT)]);
const WANTED: Parts = Parts(&[(2, &FLAT)]);

impl Parted for ModelInferRequest {
    const PARTS: Parts = Parts(&[(4, &FLAT), (5, &TENSOR), (6, &WANTED)]);
}

impl Parted for ModelInferResponse {
    const PARTS: Parts = Parts(&[(4, &FLAT), (5, &TENSOR)]);
}

impl Parted for ModelMetadataResponse {
    const PARTS: Parts = Parts(&[(4, &FLAT), (5, &FLAT)]);
}

impl Parted for ServerLiveRequest {}
impl Parted for ServerLiveResponse {}
impl Parted for ServerReadyRequest {}
impl Parted for ServerReadyResponse {}
impl Parted for ModelReadyRequest {}
impl Parted for ModelReadyResponse {}
impl Parted for ServerMetadataRequest {}
impl Parted for ServerMetadataResponse {}
impl Parted for ModelMetadataRequest {}

impl Parts {
    /// Takes the parts of a message from `left`. False: there are more. Bytes that are no message end the count; decoding
    /// says what is wrong with them, and goes no further than this.
    fn count(&self, mut bytes: &[u8], left: &mut usize) -> bool {
        while let Some(key) = varint(&mut bytes) {
            let Some(fewer) = left.checked_sub(1) else { return false };
            *left = fewer;
            let length = match key & 7 {
                0 => varint(&mut bytes).map(|_| 0),
                1 => Some(8),
                2 => varint(&mut bytes),
                5 => Some(4),
                // The beginning or the end of a group, which is of no message here; its fields are counted as others.
                _ => Some(0),
            };
            let length = length.and_then(|length| usize::try_from(length).ok());
            let Some((field, rest)) = length.and_then(|length| bytes.split_at_checked(length)) else {
                return true;
            };
            let nested = self.0.iter().find(|(tag, _)| *tag == key >> 3 && key & 7 == 2);
            if nested.is_some_and(|(_, parts)| !parts.count(field, left)) {
                return false;
            }
            bytes = rest;
        }
        true
    }
}

/// The next number of `bytes`, seven bits a byte, lowest first.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// The codec of every request and reply.
#[derive(Debug)]
pub struct PartedCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for PartedCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for PartedCodec<T, U>
where
    T: Parted + Send + 'static,
    U: Parted + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = PartedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::default())
    }

    fn decoder(&mut self) -> Self::Decoder {
        PartedDecoder(ProstDecoder::default())
    }
}

/// Decodes messages of not too many parts.
#[derive(Debug)]
pub struct PartedDecoder<U>(ProstDecoder<U>);

impl<U: Parted> Decoder for PartedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        if !U::PARTS.count(buffer.chunk(), &mut { MOST_PARTS }) {
            return Err(Status::invalid_argument(format!("the message has more than {MOST_PARTS} parts")));
        }
        self.0.decode(buffer)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::oip::model_infer_request::InferInputTensor;
    use crate::oip::{InferParameter, InferTensorContents};

    fn parts<M: Parted>(bytes: &[u8]) -> Option<usize> {
        let mut left = MOST_PARTS;
        M::PARTS.count(bytes, &mut left).then(|| MOST_PARTS - left)
    }

    #[test]
    fn a_usual_request_has_few_parts_however_many_elements() {
        let tensor = InferInputTensor {
            name: "cut".to_owned(),
            datatype: "FP32".to_owned(),
            shape: vec![1, 2, 3],
            contents: Some(InferTensorContents { fp32_contents: vec![1.0; 100_000], ..Default::default() }),
            ..Default::default()
        };
        let request = ModelInferRequest {
            model_name: "tail".to_owned(),
            inputs: vec![tensor.clone(), tensor],
            raw_input_contents: vec![vec![0; 1000].into()],
            ..Default::default()
        };
        // The name, the contents, and for each tensor: itself, name, type, shape, contents and their elements.
        assert_eq!(parts::<ModelInferRequest>(&request.encode_to_vec()), Some(2 + 2 * 6));
    }

    #[test]
    fn tiny_parts_are_counted_wherever_they_hide() {
        let many = MOST_PARTS + 1;
        let tensor = |contents| InferInputTensor { contents: Some(contents), ..Default::default() };
        let strings =
            InferTensorContents { bytes_contents: vec![Default::default(); many], ..Default::default() };
        let parameters = (0..many).map(|key| (key.to_string(), InferParameter::default())).collect();
        let requests = [
            ModelInferRequest { inputs: vec![Default::default(); many], ..Default::default() },
            ModelInferRequest { outputs: vec![Default::default(); many], ..Default::default() },
            ModelInferRequest { raw_input_contents: vec![Default::default(); many], ..Default::default() },
            ModelInferRequest { inputs: vec![tensor(strings)], ..Default::default() },
            ModelInferRequest { parameters, ..Default::default() },
        ];
        for request in requests {
            assert_eq!(parts::<ModelInferRequest>(&request.encode_to_vec()), None);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_stop_the_count(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parts::<ModelInferRequest>(&bytes);
            let _ = parts::<ModelInferResponse>(&bytes);
        }
    }
}
