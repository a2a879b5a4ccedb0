//! Requests as an adversary would send them, through the server's own decoder.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::{BufMut, Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame};
use offramp_models::{DType, TensorSpec};
use prost::Message;
use tonic::codec::{Codec, Streaming};
use tonic::{Code, Status};

use super::Asked;
use crate::mutations::{SplitMix, fields, mutate, noise, runs};
use crate::oip::codec::PartedCodec;
use crate::oip::infer_parameter::ParameterChoice;
use crate::oip::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use crate::oip::{InferParameter, InferTensorContents, ModelInferRequest, ModelInferResponse};
use crate::server::Signature;

/// Images that one request may bring.
const MOST: usize = 32;

fn signature() -> Signature {
    let spec = |name: &str, dtype, extent| TensorSpec {
        name: name.to_owned(),
        dtype,
        shape: vec![None, Some(extent)],
    };
    Signature {
        name: "tail".to_owned(),
        inputs: vec![spec("cut", DType::Float32, 2), spec("mask", DType::Uint8, 3)],
        outputs: vec![spec("exit1", DType::Float32, 3), spec("exit2", DType::Float32, 3)],
    }
}

/// A request of `images` with every field set, raw or typed.
fn valid(images: usize, is_raw: bool) -> ModelInferRequest {
    let parameters = || {
        let choice = ParameterChoice::StringParam("value".to_owned());
        [("key".to_owned(), InferParameter { parameter_choice: Some(choice) })].into()
    };
    let contents = InferTensorContents {
        fp32_contents: vec![0.5; 2 * images],
        uint_contents: vec![7; 3 * images],
        ..InferTensorContents::default()
    };
    let input = |name: &str, datatype: &str, extent| InferInputTensor {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape: vec![images as i64, extent],
        parameters: parameters(),
        contents: (!is_raw).then(|| contents.clone()),
    };
    let wanted = |name: &str| InferRequestedOutputTensor { name: name.to_owned(), parameters: parameters() };
    let raw = vec![Bytes::from(vec![1; 8 * images]), Bytes::from(vec![2; 3 * images])];
    ModelInferRequest {
        model_name: "tail".to_owned(),
        model_version: "1".to_owned(),
        id: "id".to_owned(),
        parameters: parameters(),
        inputs: vec![input("cut", "FP32", 2), input("mask", "UINT8", 3)],
        outputs: vec![wanted("exit2"), wanted("exit1")],
        raw_input_contents: if is_raw { raw } else { Vec::new() },
    }
}

/// Changes one field to what it might be mistaken for.
fn distort(request: &mut ModelInferRequest, random: &mut SplitMix) {
    let extents = [i64::MIN, -1, 0, 1, 2, 3, 4, 32, 33, 1 << 32, 1 << 61, 1 << 62, i64::MAX];
    let length = random.below(14);
    let (at, of_raw) = (random.below(request.inputs.len()), random.below(request.raw_input_contents.len()));
    match random.below(12) {
        0 => request.inputs.truncate(at),
        1 => request.inputs.reverse(),
        2 => request.raw_input_contents.truncate(of_raw),
        3 => request.raw_input_contents.push(vec![0; length].into()),
        4 => request.model_version = random.one_of(&["", "1", "2", "01"]).to_owned(),
        5 => {
            let name = random.one_of(&["exit1", "exit2", "exit3", ""]).to_owned();
            request.outputs.push(InferRequestedOutputTensor { name, ..Default::default() });
        }
        6 => request.outputs.clear(),
        7 => {
            if let Some(raw) = request.raw_input_contents.get_mut(of_raw) {
                *raw = vec![0; length].into();
            }
        }
        field => {
            let Some(input) = request.inputs.get_mut(at) else { return };
            match field {
                8 => input.name = random.one_of(&["cut", "mask", "exit1", ""]).to_owned(),
                9 => input.datatype = random.one_of(&["FP32", "UINT8", "FP64", ""]).to_owned(),
                10 => match random.below(3) {
                    0 => input.shape.push(random.one_of(&extents)),
                    1 => input.shape.truncate(length),
                    _ => input.shape.iter_mut().for_each(|extent| {
                        if random.below(2) == 0 {
                            *extent = random.one_of(&extents);
                        }
                    }),
                },
                _ => {
                    let elements = vec![random.one_of(&[0, 1, 255, 256, u32::MAX]); length];
                    let typed = InferTensorContents {
                        fp32_contents: elements.iter().map(|bits| f32::from_bits(*bits)).collect(),
                        uint_contents: elements,
                        ..InferTensorContents::default()
                    };
                    input.contents = random.one_of(&[None, Some(typed)]);
                }
            }
        }
    }
}

/// A message in its frame, in two pieces.
struct Pieces(Vec<Bytes>);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(self.0.pop().map(|piece| Ok(Frame::data(piece))))
    }
}

/// What the server's transport makes of `message`.
fn decoded(message: &[u8], random: &mut SplitMix) -> Result<Option<ModelInferRequest>, Status> {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put_slice(message);
    let mut frame = frame.freeze();
    let rest = frame.split_off(random.below(frame.len()));
    let decoder = PartedCodec::<ModelInferResponse, ModelInferRequest>::default().decoder();
    let mut stream = Streaming::new_request(decoder, Pieces(vec![rest, frame]), None, Some(1 << 20));
    match pin!(stream.message()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(found) => found,
        Poll::Pending => panic!("all of it is there"),
    }
}

/// Whether `message` is taken; what is taken must be whole.
fn taken(message: &[u8], signature: &Signature, random: &mut SplitMix) -> bool {
    let request = match decoded(message, random) {
        Ok(request) => request.unwrap(),
        Err(status) => {
            assert!(matches!(status.code(), Code::InvalidArgument | Code::Internal), "{status:?}");
            return false;
        }
    };
    let asked = match Asked::read(signature, MOST, &request) {
        Ok(asked) => asked,
        Err(refusal) => {
            let status = Status::from(refusal);
            assert!(matches!(status.code(), Code::InvalidArgument | Code::NotFound), "{status:?}");
            return false;
        }
    };
    assert!((1..=MOST).contains(&asked.images), "{asked:?}");
    assert_eq!(asked.inputs.len(), signature.inputs.len(), "{asked:?}");
    for (spec, bytes) in signature.inputs.iter().zip(&asked.inputs) {
        assert_eq!(bytes.len(), asked.images * spec.bytes_per_image(), "{request:?}");
    }
    let mut outputs = asked.outputs.clone();
    outputs.sort_unstable();
    outputs.dedup();
    assert!(!outputs.is_empty() && outputs.len() == asked.outputs.len(), "{asked:?}");
    assert!(outputs.iter().all(|output| *output < signature.outputs.len()), "{asked:?}");
    true
}

#[test]
fn a_mutated_request_is_refused_or_as_large_as_it_says() {
    let (signature, mut took) = (signature(), 0);
    let runs = runs();
    for run in 0..runs {
        let mut random = SplitMix(run);
        let mut request = valid(1 + random.below(3), random.below(2) == 0);
        for _ in 0..random.below(4) {
            distort(&mut request, &mut random);
        }
        let mut message = request.encode_to_vec();
        for _ in 0..random.below(3) {
            mutate(&mut message, &mut random);
        }
        took += u64::from(taken(&message, &signature, &mut random));
    }
    assert!(took > runs / 100 && took < runs, "{took} of {runs} were taken");
}

#[test]
fn bytes_that_are_no_request_are_refused() {
    let signature = signature();
    for run in 0..runs() {
        let mut random = SplitMix(run);
        let message = if random.below(2) == 0 { noise(&mut random, 200) } else { fields(&mut random, 3) };
        assert!(!taken(&message, &signature, &mut random), "{message:?}");
    }
}
