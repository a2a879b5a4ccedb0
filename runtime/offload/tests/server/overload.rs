//! More requests than a model can answer.

use std::time::{Duration, Instant};

use offramp_offload::oip::RETRY_AFTER_MS;
use offramp_offload::server::{Admission, Batching, Config};
use tokio::task::JoinSet;
use tonic::Code;

use crate::scripted::{Client, Running, floats, logits, loopback, request, until};

/// Sends a request and gives its answer's first logit.
fn send(asked: &mut JoinSet<f32>, client: &Client, image: usize) {
    let mut client = client.clone();
    asked.spawn(async move { floats(client.model_infer(request(&[image])).await.unwrap().get_ref(), 0)[0] });
}

#[tokio::test(flavor = "multi_thread")]
async fn overload_is_refused_at_once_with_a_hint_when_to_come_back() {
    let batching = Batching { images: 1, waiting: 3, ..Batching::default() };
    let (running, runs) = Running::scripted(Config { batching, ..loopback() });
    let (client, mut asked) = (running.client().await, JoinSet::new());
    runs.slow(Duration::from_millis(20));
    assert_eq!(client.clone().model_infer(request(&[9])).await.unwrap().get_ref().id, "");
    runs.take();
    runs.hold();
    send(&mut asked, &client, 0);
    runs.begun().await;
    (1..=3).for_each(|image| send(&mut asked, &client, image));
    running.waiting(3).await;
    for _ in 0..20 {
        let began = Instant::now();
        let status = client.clone().model_infer(request(&[4])).await.unwrap_err();
        let took = began.elapsed();
        assert_eq!(status.code(), Code::ResourceExhausted);
        let hint = status.metadata().get(RETRY_AFTER_MS).unwrap().to_str().unwrap();
        let hint: u64 = hint.parse().unwrap();
        assert!((40..2000).contains(&hint), "3 requests of 20 ms wait, and the hint is {hint} ms");
        assert!(status.message().starts_with("3 requests wait already, try again in "), "{status}");
        assert!(took < Duration::from_millis(50), "refused after {took:?}");
    }
    runs.release();
    let mut answers = asked.join_all().await;
    answers.sort_by(f32::total_cmp);
    assert_eq!(answers, [0.0, 1.0, 2.0, 3.0], "what was taken is answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_expires_while_it_waits_never_runs() {
    let admission = Admission { deadline: Duration::from_millis(60), ..Admission::default() };
    let (running, runs) = Running::scripted(Config { admission, ..loopback() });
    let client = running.client().await;
    runs.hold();
    let mut patient = client.clone();
    let patient = tokio::spawn(async move {
        let mut asked = tonic::Request::new(request(&[1]));
        asked.set_timeout(Duration::from_secs(20));
        patient.model_infer(asked).await
    });
    runs.begun().await;
    let began = Instant::now();
    let status = client.clone().model_infer(request(&[2])).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(status.message(), "the deadline passed while the request waited");
    assert!(began.elapsed() >= Duration::from_millis(60));
    runs.release();
    assert_eq!(floats(patient.await.unwrap().unwrap().get_ref(), 0), logits(1));
    let mut last = tonic::Request::new(request(&[3]));
    last.set_timeout(Duration::from_secs(20));
    client.clone().model_infer(last).await.unwrap();
    assert_eq!(runs.take(), [1, 1], "the late one never ran");
    assert_eq!(running.outcomes("expired").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_client_is_gone_never_runs() {
    let (running, runs) = Running::scripted(loopback());
    let (client, mut asked) = (running.client().await, JoinSet::new());
    runs.hold();
    send(&mut asked, &client, 0);
    runs.begun().await;
    let mut gone = JoinSet::new();
    send(&mut gone, &client, 1);
    running.waiting(1).await;
    gone.shutdown().await;
    until(async || running.outcomes("cancelled").await == 1).await;
    runs.release();
    asked.join_all().await;
    client.clone().model_infer(request(&[2])).await.unwrap();
    assert_eq!(runs.take(), [1, 1]);
}
