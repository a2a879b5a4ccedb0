//! A server that is told to end.

use std::time::{Duration, Instant};

use offramp_models::DType;
use offramp_offload::oip::{ModelReadyRequest, ServerReadyRequest};
use offramp_offload::server::{Config, Server};
use tonic::Code;
use tonic_health::ServingStatus;

use crate::scripted::{MODEL, Running, Runs, floats, logits, loopback, model, request, until};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_is_finished_and_what_is_new_is_refused() {
    let (mut running, runs) = Running::scripted(Config { drain: Duration::from_secs(20), ..loopback() });
    let mut client = running.client().await;
    let health = running.health().await;
    runs.hold();
    let mut first = client.clone();
    let first = tokio::spawn(async move { first.model_infer(request(&[7])).await });
    runs.begun().await;
    assert_eq!(health.of("").await, Ok(ServingStatus::Serving));
    running.stop();
    let ready = async || client.clone().server_ready(ServerReadyRequest {}).await.unwrap().into_inner().ready;
    until(async || !ready().await).await;
    let ready = ModelReadyRequest { name: MODEL.to_owned(), ..Default::default() };
    assert!(!client.model_ready(ready).await.unwrap().into_inner().ready);
    until(async || health.of("").await == Ok(ServingStatus::NotServing)).await;
    assert_eq!(health.of(MODEL).await, Ok(ServingStatus::NotServing));
    let refused = client.model_infer(request(&[8])).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(refused.message(), "the server is draining and takes no new requests");
    runs.release();
    assert_eq!(floats(first.await.unwrap().unwrap().get_ref(), 0), logits(7));
    assert_eq!(running.stopped().await.unanswered, 0);
    assert_eq!(runs.take(), [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_takes_no_longer_than_it_may() {
    let (running, runs) = Running::scripted(Config { drain: Duration::from_millis(300), ..loopback() });
    let mut client = running.client().await;
    runs.hold();
    let stuck = tokio::spawn(async move { client.model_infer(request(&[7])).await });
    runs.begun().await;
    let began = Instant::now();
    assert_eq!(running.stopped().await.unanswered, 1);
    assert!((300..2000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    stuck.await.unwrap().unwrap_err();
    runs.release();
}

#[tokio::test]
async fn connections_that_only_listen_do_not_hold_a_server_back() {
    let (running, _runs) = Running::scripted(loopback());
    let health = running.health().await;
    let mut watched = health.watch(MODEL).await;
    assert_eq!(watched.message().await.unwrap().unwrap().status, ServingStatus::Serving as i32);
    let began = Instant::now();
    let address = running.address;
    running.stopped().await;
    assert!(began.elapsed() < Duration::from_millis(400), "{:?}", began.elapsed());
    let runs = Runs::default();
    let again = Config { listen: address, ..loopback() };
    Server::bind(again, vec![model(MODEL, DType::Float32, &runs)]).unwrap();
}
