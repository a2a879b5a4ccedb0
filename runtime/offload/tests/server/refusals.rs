//! Requests that are not answered.

use bytes::Bytes;
use offramp_offload::oip::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use offramp_offload::oip::{InferTensorContents, ModelInferRequest, ModelMetadataRequest, ModelReadyRequest};
use tonic::Code;

use crate::scripted::{MODEL, Running, floats, logits, loopback, request};

fn tensor(change: impl FnOnce(&mut InferInputTensor)) -> ModelInferRequest {
    let mut request = request(&[1]);
    change(&mut request.inputs[0]);
    request
}

#[tokio::test]
async fn every_bad_request_is_refused_with_what_was_expected_and_what_came() {
    let (running, runs) = Running::scripted(loopback());
    let mut client = running.client().await;
    let output = |name: &str| InferRequestedOutputTensor { name: name.to_owned(), ..Default::default() };
    let typed = InferTensorContents { fp32_contents: vec![1.0, 2.0], ..InferTensorContents::default() };
    let second = InferInputTensor { name: "other".to_owned(), ..request(&[1]).inputs[0].clone() };
    let good = request(&[1]);
    let twice = vec![good.inputs[0].clone(), good.inputs[0].clone()];
    let cases = [
        (
            ModelInferRequest { model_name: "nobody".to_owned(), ..good.clone() },
            Code::NotFound,
            "no model \"nobody\" is served here".to_owned(),
        ),
        (
            ModelInferRequest { model_version: "2".to_owned(), ..good.clone() },
            Code::NotFound,
            format!("model \"{MODEL}\" is served in version 1, not \"2\""),
        ),
        (
            tensor(|input| input.name = "image".to_owned()),
            Code::InvalidArgument,
            "expected tensor \"cut\", got \"image\"".to_owned(),
        ),
        (
            ModelInferRequest { inputs: vec![], raw_input_contents: vec![], ..good.clone() },
            Code::InvalidArgument,
            "expected tensor \"cut\", got none".to_owned(),
        ),
        (
            tensor(|input| input.datatype = "UINT8".to_owned()),
            Code::InvalidArgument,
            "tensor \"cut\" is of FP32, got \"UINT8\"".to_owned(),
        ),
        (
            tensor(|input| input.shape = vec![1, 3]),
            Code::InvalidArgument,
            "tensor \"cut\" has shape [batch, 2], got [1, 3]".to_owned(),
        ),
        (
            tensor(|input| input.shape = vec![-1, 2]),
            Code::InvalidArgument,
            "tensor \"cut\" has shape [batch, 2], got [-1, 2]".to_owned(),
        ),
        (
            tensor(|input| input.shape = vec![i64::MAX, 2]),
            Code::InvalidArgument,
            "tensor \"cut\" has shape [batch, 2], got [9223372036854775807, 2]".to_owned(),
        ),
        (
            tensor(|input| input.shape = vec![0, 2]),
            Code::InvalidArgument,
            "tensor \"cut\" holds 0 images, 1 were expected".to_owned(),
        ),
        (
            tensor(|input| input.shape = vec![2, 2]),
            Code::InvalidArgument,
            "tensor \"cut\" of 16 bytes came with 8".to_owned(),
        ),
        (request(&[1; 33]), Code::InvalidArgument, "33 images came at once, at most 32 are taken".to_owned()),
        (
            ModelInferRequest { raw_input_contents: vec![Bytes::new(); 2], ..good.clone() },
            Code::InvalidArgument,
            "1 tensors came with 2 raw contents".to_owned(),
        ),
        (
            tensor(|input| input.contents = Some(typed)),
            Code::InvalidArgument,
            "tensor \"cut\" came with raw and with typed contents".to_owned(),
        ),
        (
            ModelInferRequest { raw_input_contents: vec![], ..good.clone() },
            Code::InvalidArgument,
            "tensor \"cut\" of 8 bytes came with 0".to_owned(),
        ),
        (
            ModelInferRequest {
                inputs: vec![good.inputs[0].clone(), second],
                raw_input_contents: vec![good.raw_input_contents[0].clone(); 2],
                ..good.clone()
            },
            Code::InvalidArgument,
            format!("model \"{MODEL}\" takes 1 tensors, got 2: \"cut\", \"other\""),
        ),
        (
            ModelInferRequest {
                inputs: twice,
                raw_input_contents: vec![good.raw_input_contents[0].clone(); 2],
                ..good.clone()
            },
            Code::InvalidArgument,
            format!("model \"{MODEL}\" takes 1 tensors, got 2: \"cut\", \"cut\""),
        ),
        (
            ModelInferRequest { outputs: vec![output("exit9")], ..good.clone() },
            Code::InvalidArgument,
            format!("model \"{MODEL}\" gives no tensor \"exit9\""),
        ),
        (
            ModelInferRequest { outputs: vec![output("exit1"), output("exit1")], ..good.clone() },
            Code::InvalidArgument,
            "tensor \"exit1\" was asked for twice".to_owned(),
        ),
    ];
    for (asked, code, message) in cases {
        let status = client.model_infer(asked).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (code, message.as_str()));
    }
    assert_eq!(runs.take(), [] as [usize; 0], "nothing ran");
    let answer = client.model_infer(good).await.unwrap().into_inner();
    assert_eq!(floats(&answer, 0), logits(1), "the connection is as good as before");
}

#[tokio::test]
async fn what_is_quoted_of_a_request_is_short_and_on_one_line() {
    let (running, _runs) = Running::scripted(loopback());
    let mut client = running.client().await;
    let long = "\n\u{e9}".repeat(100_000);
    let with = |change: &dyn Fn(&mut ModelInferRequest)| {
        let mut asked = request(&[1]);
        change(&mut asked);
        asked
    };
    let asked = [
        with(&|asked| asked.model_name = long.clone()),
        with(&|asked| asked.model_version = long.clone()),
        with(&|asked| asked.inputs[0].name = long.clone()),
        with(&|asked| asked.inputs[0].datatype = long.clone()),
        with(&|asked| asked.inputs[0].shape = vec![7; 100_000]),
        with(&|asked| {
            asked.outputs = vec![InferRequestedOutputTensor { name: long.clone(), ..Default::default() }];
        }),
    ];
    for asked in asked {
        let status = client.model_infer(asked).await.unwrap_err();
        assert!(matches!(status.code(), Code::InvalidArgument | Code::NotFound), "{status:?}");
        let message = status.message();
        assert!(message.len() <= 515 && message.ends_with(" ..") && !message.contains('\n'), "{message}");
    }
    client.model_infer(request(&[1])).await.unwrap();
}

#[tokio::test]
async fn models_and_versions_that_are_not_there_are_not_found() {
    let (running, _runs) = Running::scripted(loopback());
    let mut client = running.client().await;
    for (name, version) in [("nobody", ""), (MODEL, "7")] {
        let (name, version) = (name.to_owned(), version.to_owned());
        let ready = ModelReadyRequest { name: name.clone(), version: version.clone() };
        assert_eq!(client.model_ready(ready).await.unwrap_err().code(), Code::NotFound);
        let metadata = ModelMetadataRequest { name, version };
        assert_eq!(client.model_metadata(metadata).await.unwrap_err().code(), Code::NotFound);
    }
}
