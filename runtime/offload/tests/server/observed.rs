//! What a server tells about itself.

use offramp_models::DType;
use offramp_offload::oip::ModelInferRequest;
use offramp_offload::server::Config;
use tonic::Code;
use tonic_health::ServingStatus;

use crate::scripted::{MODEL, Running, Runs, loopback, model, request};

#[tokio::test]
async fn metrics_count_requests_images_and_bytes() {
    let (running, _runs) = Running::scripted(loopback());
    let mut client = running.client().await;
    client.model_infer(request(&[1])).await.unwrap();
    client.model_infer(request(&[1, 2, 3])).await.unwrap();
    client.model_infer(request(&[])).await.unwrap_err();
    let mut unknown = request(&[1]);
    unknown.model_name = "nobody".to_owned();
    client.model_infer(unknown).await.unwrap_err();
    let of_model = |name: &str| format!("offramp_{name}{{model=\"{MODEL}\"}}");
    // An answer is sent before its execution is counted.
    let mut text = running.scrape("/metrics").await;
    while !text.contains(&format!("{} 2", of_model("execution_seconds_count"))) {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        text = running.scrape("/metrics").await;
    }
    let (head, text) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(head.contains("application/openmetrics-text"), "{head}");
    let expected = [
        (format!("offramp_requests_total{{model=\"{MODEL}\",outcome=\"answered\"}}"), "2"),
        (format!("offramp_requests_total{{model=\"{MODEL}\",outcome=\"invalid\"}}"), "1"),
        ("offramp_requests_turned_away_total{reason=\"unknown_model\"}".to_owned(), "1"),
        (of_model("batch_images_sum"), "4.0"),
        (of_model("batch_images_count"), "2"),
        (of_model("execution_seconds_count"), "2"),
        (of_model("queue_requests"), "0"),
        (of_model("tensor_bytes_received_total"), "32"),
        (of_model("tensor_bytes_sent_total"), "64"),
        ("offramp_connections".to_owned(), "1"),
        ("offramp_draining".to_owned(), "0"),
    ];
    for (name, value) in expected {
        assert!(text.lines().any(|line| line == format!("{name} {value}")), "{name} {value} in:\n{text}");
    }
    assert!(running.scrape("/").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn without_an_address_for_metrics_there_are_none() {
    let (running, _runs) = Running::scripted(Config { metrics: None, ..loopback() });
    assert_eq!(running.metrics, None);
}

#[tokio::test]
async fn the_health_of_the_server_and_of_every_model_can_be_asked() {
    let (running, _runs) = Running::scripted(loopback());
    let health = running.health().await;
    for service in ["", "inference.GRPCInferenceService", MODEL] {
        assert_eq!(health.of(service).await, Ok(ServingStatus::Serving), "{service}");
    }
    assert_eq!(health.of("nobody").await, Err(Code::NotFound));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_broke_down_is_not_serving_and_a_server_of_such_models_alone_is_none() {
    let (first, second) = (Runs::default(), Runs::default());
    let models = vec![model(MODEL, DType::Float32, &first), model("other", DType::Float32, &second)];
    let running = Running::start(loopback(), models);
    let health = running.health().await;
    let becomes = async |service: &str| {
        crate::scripted::until(async || health.of(service).await == Ok(ServingStatus::NotServing)).await;
    };
    first.break_down();
    let mut client = running.client().await;
    assert!(client.model_infer(request(&[1])).await.is_err());
    becomes(MODEL).await;
    for service in ["", "inference.GRPCInferenceService", "other"] {
        assert_eq!(health.of(service).await, Ok(ServingStatus::Serving), "{service}: another model answers");
    }
    second.break_down();
    let asked = ModelInferRequest { model_name: "other".to_owned(), ..request(&[1]) };
    assert!(client.model_infer(asked).await.is_err());
    for service in ["", "inference.GRPCInferenceService", "other"] {
        becomes(service).await;
    }
}
