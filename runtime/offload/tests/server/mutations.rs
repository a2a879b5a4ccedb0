//! Requests whose bytes were changed on the way.

use std::marker::PhantomData;

use bytes::{Buf, BufMut, Bytes};
use offramp_offload::oip::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use offramp_offload::oip::{InferParameter, InferTensorContents, ModelInferRequest};
use prost::Message;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};

#[path = "../../src/mutations.rs"]
mod bytes_of_adversaries;

use bytes_of_adversaries::{SplitMix, fields, mutate, noise, runs};

use crate::scripted::{MODEL, Running, floats, logits, loopback, request};

/// Bytes as they are.
#[derive(Default)]
pub struct Verbatim(PhantomData<Bytes>);

impl Codec for Verbatim {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self::default()
    }

    fn decoder(&mut self) -> Self {
        Self::default()
    }
}

impl Encoder for Verbatim {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Verbatim {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// Requests with every field set.
fn seeds() -> Vec<Vec<u8>> {
    let parameter = |text: &str| {
        let choice = offramp_offload::oip::infer_parameter::ParameterChoice::StringParam(text.to_owned());
        [("key".to_owned(), InferParameter { parameter_choice: Some(choice) })]
    };
    let output = InferRequestedOutputTensor { name: "exit1".to_owned(), parameters: parameter("a").into() };
    let raw = ModelInferRequest {
        model_version: "1".to_owned(),
        id: "an id".to_owned(),
        parameters: parameter("b").into(),
        outputs: vec![output],
        ..request(&[1, 2])
    };
    let contents = InferTensorContents {
        bool_contents: vec![true],
        int_contents: vec![-1],
        int64_contents: vec![-1],
        uint_contents: vec![1],
        uint64_contents: vec![1],
        fp32_contents: vec![3.0, 0.0],
        fp64_contents: vec![1.0],
        bytes_contents: vec![Bytes::from_static(b"a")],
    };
    let tensor = InferInputTensor {
        name: "cut".to_owned(),
        datatype: "FP32".to_owned(),
        shape: vec![1, 2],
        parameters: parameter("c").into(),
        contents: Some(contents),
    };
    let typed = ModelInferRequest {
        model_name: MODEL.to_owned(),
        inputs: vec![tensor],
        ..ModelInferRequest::default()
    };
    vec![raw.encode_to_vec(), typed.encode_to_vec()]
}

#[tokio::test(flavor = "multi_thread")]
async fn mutated_requests_are_answered_or_refused_and_never_break_anything() {
    let (running, _runs) = Running::scripted(loopback());
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", running.address)).unwrap();
    let mut client = tonic::client::Grpc::new(endpoint.connect().await.unwrap());
    let seeds = seeds();
    let mut answered = 0_u64;
    for round in 0..runs() {
        let mut random = SplitMix(round);
        let mut bytes = match random.below(10) {
            0 => noise(&mut random, 200),
            1 => fields(&mut random, 3),
            _ => random.one_of(&seeds),
        };
        for _ in 0..random.below(5) {
            mutate(&mut bytes, &mut random);
        }
        client.ready().await.unwrap();
        let path = PathAndQuery::from_static("/inference.GRPCInferenceService/ModelInfer");
        match client.unary(Request::new(Bytes::from(bytes)), path, Verbatim::default()).await {
            Ok(_) => answered += 1,
            Err(status) => {
                let expected = [Code::InvalidArgument, Code::NotFound, Code::Internal];
                assert!(expected.contains(&status.code()), "round {round}: {status:?}");
                let source = std::error::Error::source(&status);
                assert!(source.is_none(), "round {round} broke the connection: {status:?}");
            }
        }
    }
    assert!(answered > 0, "some rounds change nothing that matters");
    let answer = running.client().await.model_infer(request(&[4])).await.unwrap();
    assert_eq!(floats(answer.get_ref(), 0), logits(4));
    assert_eq!(running.metric("offramp_connections_lost_total{reason=\"displaced\"}").await, 0);
}
