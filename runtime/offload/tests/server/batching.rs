//! Requests that run together.

use std::time::Duration;

use offramp_models::DType;
use offramp_offload::server::{Batching, Config, Signature};
use proptest::prelude::*;
use tokio::task::JoinSet;
use tonic::Code;

use crate::scripted::{IMAGES, MODEL, Running, Runs, floats, logits, loopback, prepared, request, spec};

/// Asks for these images, each group in a request of its own, all at once, and gives the answers in the same order.
async fn ask(running: &Running, requests: &[Vec<usize>]) -> Vec<Result<Vec<f32>, tonic::Status>> {
    let mut tasks = JoinSet::new();
    let client = running.client().await;
    for (number, images) in requests.iter().enumerate() {
        let (mut client, request) = (client.clone(), request(images));
        tasks.spawn(async move {
            let answer = client.model_infer(request).await;
            (number, answer.map(|answer| floats(answer.get_ref(), 0)))
        });
    }
    let mut answers = tasks.join_all().await;
    answers.sort_by_key(|(number, _)| *number);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

fn expected(images: &[usize]) -> Vec<f32> {
    images.iter().flat_map(|image| logits(*image)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_wait_run_together() {
    let (running, runs) = Running::scripted(loopback());
    runs.hold();
    let mut asked = JoinSet::new();
    let mut client = running.client().await;
    asked.spawn(async move { client.model_infer(request(&[0])).await.unwrap() });
    runs.begun().await;
    for image in 1..=5 {
        let mut client = running.client().await;
        asked.spawn(async move { client.model_infer(request(&[image])).await.unwrap() });
    }
    running.waiting(5).await;
    runs.release();
    for answer in asked.join_all().await {
        let image = floats(answer.get_ref(), 1)[0] as usize;
        assert_eq!(floats(answer.get_ref(), 0), logits(image));
    }
    assert_eq!(runs.take(), [1, 5]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn each_of_many_clients_gets_its_own_answer(
        requests in prop::collection::vec(prop::collection::vec(0..IMAGES, 1..6), 1..40),
        delay_us in prop::sample::select(vec![0_u64, 200, 2000]),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let images: usize = requests.iter().map(Vec::len).sum();
        let (answers, batches) = runtime.block_on(async {
            let delay = Duration::from_micros(delay_us);
            let batching = Batching { images: 8, delay, waiting: 64 };
            let (running, runs) = Running::scripted(Config { batching, ..loopback() });
            runs.slow(Duration::from_micros(300));
            (ask(&running, &requests).await, runs.take())
        });
        for (asked, answer) in requests.iter().zip(answers) {
            prop_assert_eq!(answer.unwrap(), expected(asked));
        }
        prop_assert_eq!(batches.iter().sum::<usize>(), images);
        prop_assert!(batches.iter().all(|batch| *batch <= 8));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_fails_fails_alone() {
    let runs = Runs::default();
    let signature = Signature {
        name: MODEL.to_owned(),
        inputs: vec![spec("cut", DType::Float32, &[None, Some(2)])],
        outputs: vec![spec("exit1", DType::Float32, &[None, Some(3)])],
    };
    let running = Running::start(loopback(), vec![prepared(signature, &runs, Some(13))]);
    runs.take();
    runs.hold();
    let mut first = running.client().await;
    let first = tokio::spawn(async move { first.model_infer(request(&[1])).await });
    runs.begun().await;
    let requests = [vec![5], vec![12, 13], vec![6]];
    let together = async {
        tokio::join!(ask(&running, &requests), async {
            running.waiting(3).await;
            runs.release();
        })
    };
    let (answers, ()) = together.await;
    assert_eq!(floats(first.await.unwrap().unwrap().get_ref(), 0), logits(1));
    assert_eq!(answers[0].as_ref().unwrap(), &expected(&[5]));
    assert_eq!(answers[2].as_ref().unwrap(), &expected(&[6]));
    let failed = answers[1].as_ref().unwrap_err();
    assert_eq!(failed.code(), Code::Internal);
    let message = format!("the model failed: {MODEL} failed: scripted failure at image 13");
    assert_eq!(failed.message(), message);
    let mut ran = runs.take();
    assert_eq!(ran[..2], [1, 4], "first together");
    ran.sort_unstable();
    assert_eq!(ran, [1, 1, 1, 2, 4], "then each alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_of_a_fixed_batch_runs_one_request_at_a_time() {
    let runs = Runs::default();
    let signature = Signature {
        name: MODEL.to_owned(),
        inputs: vec![spec("cut", DType::Float32, &[Some(1), Some(2)])],
        outputs: vec![spec("exit1", DType::Float32, &[None, Some(3)])],
    };
    let running = Running::start(loopback(), vec![prepared(signature, &runs, None)]);
    assert_eq!(runs.take(), [1], "warmed up at its only size");
    let requests: Vec<_> = (0..20).map(|image| vec![image]).collect();
    for (asked, answer) in requests.iter().zip(ask(&running, &requests).await) {
        assert_eq!(answer.unwrap(), expected(asked));
    }
    assert_eq!(runs.take(), [1; 20]);
}

#[tokio::test]
async fn models_have_run_at_one_image_and_at_powers_of_two_before_the_first_request() {
    let runs = Runs::default();
    let batching = Batching { images: 12, ..Batching::default() };
    let model = crate::scripted::model(MODEL, DType::Float32, &runs);
    let _running = Running::start(Config { batching, ..loopback() }, vec![model]);
    assert_eq!(runs.take(), [1, 2, 4, 8]);
}
