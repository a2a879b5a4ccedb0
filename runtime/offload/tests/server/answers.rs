//! Requests that are answered.

use offramp_models::DType;
use offramp_offload::oip::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use offramp_offload::oip::{
    InferTensorContents, ModelInferRequest, ModelMetadataRequest, ModelReadyRequest, ServerLiveRequest,
    ServerMetadataRequest, ServerReadyRequest,
};
use tonic::codec::CompressionEncoding;

use crate::scripted::{MODEL, Running, Runs, floats, logits, loopback, model, request};

#[tokio::test]
async fn a_request_is_answered_with_the_models_outputs() {
    let (running, _runs) = Running::scripted(loopback());
    let mut client = running.client().await;
    let asked = ModelInferRequest { id: "a".to_owned(), ..request(&[7, 3]) };
    let answer = client.model_infer(asked).await.unwrap().into_inner();
    assert_eq!(
        (answer.model_name.as_str(), answer.model_version.as_str(), answer.id.as_str()),
        (MODEL, "1", "a")
    );
    let told = |output: usize| {
        let output = &answer.outputs[output];
        (output.name.as_str(), output.datatype.as_str(), output.shape.as_slice())
    };
    assert_eq!(told(0), ("exit1", "FP32", [2, 3].as_slice()));
    assert_eq!(told(1), ("numbers", "FP32", [2, 1].as_slice()));
    assert_eq!(floats(&answer, 0), [logits(7), logits(3)].concat());
    assert_eq!(floats(&answer, 1), [7.0, 3.0]);
    assert!(answer.outputs.iter().all(|output| output.contents.is_none()));
    assert_eq!(running.stopped().await.unanswered, 0);
}

#[tokio::test]
async fn typed_contents_are_taken_and_answered_raw() {
    let runs = Runs::default();
    let models = vec![model("floats", DType::Float32, &runs), model("bytes", DType::Uint8, &runs)];
    let running = Running::start(loopback(), models);
    let mut client = running.client().await;
    let floats_in = InferTensorContents { fp32_contents: vec![9.0, 1.0], ..InferTensorContents::default() };
    let bytes_in = InferTensorContents { uint_contents: vec![9, 1], ..InferTensorContents::default() };
    for (name, datatype, contents) in [("floats", "FP32", floats_in), ("bytes", "UINT8", bytes_in)] {
        let tensor = InferInputTensor {
            name: "cut".to_owned(),
            datatype: datatype.to_owned(),
            shape: vec![1, 2],
            contents: Some(contents),
            ..InferInputTensor::default()
        };
        let asked = ModelInferRequest {
            model_name: name.to_owned(),
            model_version: "1".to_owned(),
            inputs: vec![tensor],
            ..ModelInferRequest::default()
        };
        let answer = client.model_infer(asked).await.unwrap().into_inner();
        assert_eq!(floats(&answer, 0), logits(9), "{name}");
    }
}

#[tokio::test]
async fn only_the_outputs_that_were_asked_for_are_sent() {
    let (running, _runs) = Running::scripted(loopback());
    let mut client = running.client().await;
    let output = InferRequestedOutputTensor { name: "numbers".to_owned(), ..Default::default() };
    let asked = ModelInferRequest { outputs: vec![output], ..request(&[5]) };
    let answer = client.model_infer(asked).await.unwrap().into_inner();
    assert_eq!(answer.outputs.len(), 1);
    assert_eq!(answer.outputs[0].name, "numbers");
    assert_eq!(answer.raw_output_contents.len(), 1);
    assert_eq!(floats(&answer, 0), [5.0]);
}

#[tokio::test]
async fn compressed_requests_are_taken() {
    let (running, _runs) = Running::scripted(loopback());
    let mut client = running.client().await.send_compressed(CompressionEncoding::Gzip);
    let answer = client.model_infer(request(&[4])).await.unwrap().into_inner();
    assert_eq!(floats(&answer, 0), logits(4));
}

#[tokio::test]
async fn server_and_models_say_what_they_are() {
    let (running, _runs) = Running::scripted(loopback());
    let mut client = running.client().await;
    assert!(client.server_live(ServerLiveRequest {}).await.unwrap().into_inner().live);
    assert!(client.server_ready(ServerReadyRequest {}).await.unwrap().into_inner().ready);
    let server = client.server_metadata(ServerMetadataRequest {}).await.unwrap().into_inner();
    assert_eq!(server.name, "offramp");
    assert_eq!(server.version, "", "nobody needs it, and some would misuse it");
    assert_eq!(server.extensions, ["offramp.v1"]);

    let named = |name: &str| ModelReadyRequest { name: name.to_owned(), version: String::new() };
    assert!(client.model_ready(named(MODEL)).await.unwrap().into_inner().ready);
    let named = ModelMetadataRequest { name: MODEL.to_owned(), version: "1".to_owned() };
    let model = client.model_metadata(named).await.unwrap().into_inner();
    assert_eq!((model.name.as_str(), model.platform.as_str()), (MODEL, "onnx"));
    assert_eq!(model.versions, ["1"]);
    let told: Vec<_> = model
        .inputs
        .iter()
        .chain(&model.outputs)
        .map(|tensor| (tensor.name.as_str(), tensor.datatype.as_str(), tensor.shape.as_slice()))
        .collect();
    let expected: [(&str, &str, &[i64]); 3] =
        [("cut", "FP32", &[-1, 2]), ("exit1", "FP32", &[-1, 3]), ("numbers", "FP32", &[-1, 1])];
    assert_eq!(told, expected);
}
