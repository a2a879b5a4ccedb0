//! What a server does when more is asked of it than it can answer.
//!
//!     offramp serve network.bundle --listen 127.0.0.1:8001 &
//!     cargo bench -p offramp-offload --bench load -- 127.0.0.1:8001 MODEL [CLIENTS [SECONDS [PID]]]
//!
//! One client alone first; then CLIENTS (16), each asking again as soon as it is answered: that is the capacity. Then
//! 1.0, 1.5 and 3 times as many requests a second, each of one image and good for a second, whatever becomes of those before.
//! SECONDS (10) each. Prints Markdown; with PID, the server's resident memory too. Any server of the Open Inference
//! Protocol will do. Without arguments it says what it lacks and ends.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a benchmark prints, and may fail anywhere")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use offramp_offload::oip::RETRY_AFTER_MS;
use offramp_offload::oip::grpc_inference_service_client::GrpcInferenceServiceClient;
use offramp_offload::oip::model_infer_request::InferInputTensor;
use offramp_offload::oip::model_metadata_response::TensorMetadata;
use offramp_offload::oip::{ModelInferRequest, ModelMetadataRequest};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

type Client = GrpcInferenceServiceClient<Channel>;

/// What a request is good for.
const PATIENCE: Duration = Duration::from_secs(1);
const OVERLOADS: [f64; 3] = [1.0, 1.5, 3.0];

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let (Some(address), Some(model)) = (arguments.next(), arguments.next()) else {
        println!("skipped: needs HOST:PORT MODEL, see the head of this file");
        return;
    };
    let mut number = |otherwise| arguments.next().map_or(otherwise, |text| text.parse().expect("a number"));
    let (clients, seconds, pid) = (number(16).max(1), number(10), number(0));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure(&address, &model, clients as usize, Duration::from_secs(seconds), pid));
}

async fn measure(address: &str, model: &str, clients: usize, window: Duration, pid: u64) {
    let mut connections = Vec::new();
    for _ in 0..clients {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("HOST:PORT");
        connections.push(Client::new(endpoint.connect().await.expect("a server")));
    }
    let named = ModelMetadataRequest { name: model.to_owned(), ..Default::default() };
    let metadata = connections[0].model_metadata(named).await.expect("the model").into_inner();
    let request = request(model, &metadata.inputs);
    let bytes: usize = request.raw_input_contents.iter().map(Bytes::len).sum();
    println!("{model}, {bytes} bytes an image, {clients} clients, {} s each\n", window.as_secs());

    let before = resident(pid);
    let alone = closed(&connections[..1], &request, window).await;
    let together = closed(&connections, &request, window).await;
    let capacity = together.answered.len() as f64 / window.as_secs_f64();
    println!(
        "| load | sent | answered | refused | expired | lost | answers/s | answered ms p50, p99 | refused ms p50, p99, max | hint ms p50 | RSS MB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    alone.row("1 client", window, pid);
    together.row(&format!("{clients} clients"), window, pid);
    for overload in OVERLOADS {
        let outcome = open(&connections, &request, window, capacity * overload).await;
        outcome.row(&format!("{overload} x capacity"), window, pid);
    }
    let after = closed(&connections[..1], &request, window / 4).await;
    after.row("1 client again", window / 4, pid);
    if let Some((before, after)) = before.zip(resident(pid)) {
        println!("\nresident memory: {before:.1} MB before, {after:.1} MB after");
    }
}

/// One image of noise.
fn request(model: &str, inputs: &[TensorMetadata]) -> ModelInferRequest {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut tensor = |input: &TensorMetadata| {
        let shape: Vec<i64> = input.shape.iter().map(|extent| (*extent).max(1)).collect();
        let elements = shape.iter().product::<i64>() as usize;
        let bytes: Vec<u8> = match input.datatype.as_str() {
            "FP32" => (0..elements).flat_map(|_| random.random::<f32>().to_le_bytes()).collect(),
            "UINT8" => (0..elements).map(|_| random.random()).collect(),
            other => unreachable!("inputs of {other} are not made here"),
        };
        let (name, datatype) = (input.name.clone(), input.datatype.clone());
        (InferInputTensor { name, datatype, shape, ..Default::default() }, Bytes::from(bytes))
    };
    let (inputs, raw_input_contents) = inputs.iter().map(&mut tensor).unzip();
    ModelInferRequest { model_name: model.to_owned(), inputs, raw_input_contents, ..Default::default() }
}

/// What became of requests, in seconds.
#[derive(Default)]
struct Outcome {
    sent: usize,
    answered: Vec<f64>,
    refused: Vec<f64>,
    expired: usize,
    hints: Vec<f64>,
    lost: Vec<Status>,
}

impl Outcome {
    fn note(&mut self, took: Duration, answer: Result<(), Status>) {
        self.sent += 1;
        let Err(status) = answer else { return self.answered.push(took.as_secs_f64()) };
        match status.code() {
            // Triton says the second.
            Code::ResourceExhausted => self.refused.push(took.as_secs_f64()),
            Code::Unavailable if status.message().contains("maximum queue size") => {
                self.refused.push(took.as_secs_f64());
            }
            Code::DeadlineExceeded => self.expired += 1,
            Code::Cancelled if status.message() == "Timeout expired" => self.expired += 1,
            _ => self.lost.push(status.clone()),
        }
        let hint = status.metadata().get(RETRY_AFTER_MS).and_then(|hint| hint.to_str().ok()?.parse().ok());
        self.hints.extend(hint.map(|milliseconds: f64| milliseconds / 1e3));
    }

    fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.answered.extend(other.answered);
        self.refused.extend(other.refused);
        self.expired += other.expired;
        self.hints.extend(other.hints);
        self.lost.extend(other.lost);
    }

    fn row(mut self, load: &str, window: Duration, pid: u64) {
        let ms = |times: &mut Vec<f64>, quantiles: &[f64]| {
            times.sort_by(f64::total_cmp);
            let at = |quantile: &f64| ((times.len() - 1) as f64 * quantile).round() as usize;
            let told = quantiles.iter().map(|quantile| format!("{:.2}", times[at(quantile)] * 1e3));
            if times.is_empty() { "-".to_owned() } else { told.collect::<Vec<_>>().join(", ") }
        };
        println!(
            "| {load} | {} | {} | {} | {} | {} | {:.0} | {} | {} | {} | {} |",
            self.sent,
            self.answered.len(),
            self.refused.len(),
            self.expired,
            self.lost.len(),
            self.answered.len() as f64 / window.as_secs_f64(),
            ms(&mut self.answered, &[0.5, 0.99]),
            ms(&mut self.refused, &[0.5, 0.99, 1.0]),
            ms(&mut self.hints, &[0.5]),
            resident(pid).map_or_else(|| "-".to_owned(), |megabytes| format!("{megabytes:.1}")),
        );
        for status in self.lost.iter().take(3) {
            println!("lost: {status:?}");
        }
    }
}

async fn ask(client: &mut Client, request: &ModelInferRequest) -> (Duration, Result<(), Status>) {
    let mut request = Request::new(request.clone());
    request.set_timeout(PATIENCE);
    let began = Instant::now();
    let answer = client.model_infer(request).await;
    (began.elapsed(), answer.map(|_| ()))
}

/// Every client asks again as soon as it is answered.
async fn closed(clients: &[Client], request: &ModelInferRequest, window: Duration) -> Outcome {
    let (mut tasks, until) = (JoinSet::new(), Instant::now() + window);
    for client in clients {
        let (mut client, request) = (client.clone(), request.clone());
        tasks.spawn(async move {
            let mut outcome = Outcome::default();
            while Instant::now() < until {
                let (took, answer) = ask(&mut client, &request).await;
                outcome.note(took, answer);
            }
            outcome
        });
    }
    gather(tasks).await
}

/// Clients ask `rate` times a second together, whatever becomes of it.
async fn open(clients: &[Client], request: &ModelInferRequest, window: Duration, rate: f64) -> Outcome {
    let every = Duration::from_secs_f64(clients.len() as f64 / rate);
    let (mut tasks, began) = (JoinSet::new(), Instant::now());
    for (number, client) in (0_u32..).zip(clients) {
        let (client, request) = (client.clone(), request.clone());
        // Not all at once.
        let first = began + every * number / clients.len() as u32;
        tasks.spawn(async move {
            let mut asked = JoinSet::new();
            let mut next = first;
            while next < began + window {
                tokio::time::sleep_until(next.into()).await;
                let (mut client, request) = (client.clone(), request.clone());
                asked.spawn(async move { ask(&mut client, &request).await });
                next += every;
            }
            let mut outcome = Outcome::default();
            for (took, answer) in asked.join_all().await {
                outcome.note(took, answer);
            }
            outcome
        });
    }
    gather(tasks).await
}

async fn gather(tasks: JoinSet<Outcome>) -> Outcome {
    let mut all = Outcome::default();
    for outcome in tasks.join_all().await {
        all.add(outcome);
    }
    all
}

/// Megabytes of memory that a process holds, where the system tells.
fn resident(pid: u64) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes / 1e3)
}
