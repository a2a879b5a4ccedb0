//! A server with a scripted engine, whose runs a test holds back and counts.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use offramp_models::{DType, TensorSpec};
use offramp_offload::oip::grpc_inference_service_client::GrpcInferenceServiceClient;
use offramp_offload::oip::model_infer_request::InferInputTensor;
use offramp_offload::oip::{ModelInferRequest, ModelInferResponse};
use offramp_offload::server::{Config, Drained, Model, ServeError, Server, Signature};
use offramp_runtime::backend::Origin;
use offramp_runtime::backend::fake::{FakeBackend, Script};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Streaming};
use tonic_health::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

pub type Client = GrpcInferenceServiceClient<Channel>;

/// What the scripted model is called.
pub const MODEL: &str = "network.0123456789ab.tail1.f32";
/// Images that it has answers to.
pub const IMAGES: usize = 256;
/// Elements of one image; the first is its number.
pub const ELEMENTS: usize = 2;

/// Logits of an image.
pub fn logits(image: usize) -> Vec<f32> {
    vec![image as f32, -(image as f32), 0.5]
}

/// The model's runs: how many images each had, and a bar that holds them back.
#[derive(Clone, Default)]
pub struct Runs(Arc<(Mutex<Held>, Condvar)>);

#[derive(Default)]
struct Held {
    held: bool,
    batches: Vec<usize>,
    delay: Duration,
    breaks: bool,
}

impl Runs {
    /// Every run from now on waits for [`Runs::release`].
    pub fn hold(&self) {
        self.0.0.lock().unwrap().held = true;
    }

    pub fn release(&self) {
        self.0.0.lock().unwrap().held = false;
        self.0.1.notify_all();
    }

    /// Every run from now on takes this long.
    pub fn slow(&self, delay: Duration) {
        self.0.0.lock().unwrap().delay = delay;
    }

    /// The next run takes the engine's thread with it.
    pub fn break_down(&self) {
        self.0.0.lock().unwrap().breaks = true;
    }

    /// Images of every run since the last call, oldest first.
    pub fn take(&self) -> Vec<usize> {
        std::mem::take(&mut self.0.0.lock().unwrap().batches)
    }

    /// Waits until a run is held back.
    pub async fn begun(&self) {
        until(async || !self.0.0.lock().unwrap().batches.is_empty()).await;
    }

    fn run(&self, images: usize) {
        let (state, change) = &*self.0;
        let mut state = state.lock().unwrap();
        state.batches.push(images);
        let (delay, breaks) = (state.delay, state.breaks);
        drop(change.wait_while(state, |state| state.held).unwrap());
        assert!(!breaks, "the engine breaks down, as it was told");
        std::thread::sleep(delay);
    }
}

/// Waits until something holds, not for ever.
pub async fn until(holds: impl AsyncFn() -> bool) {
    for _ in 0..10_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("waited in vain");
}

pub fn spec(name: &str, dtype: DType, shape: &[Option<usize>]) -> TensorSpec {
    TensorSpec { name: name.to_owned(), dtype, shape: shape.to_vec() }
}

/// The model that the fake engine plays: takes `cut`, gives `exit1` and hands the images' numbers on as `numbers`.
pub fn model(name: &str, dtype: DType, runs: &Runs) -> Model {
    let signature = Signature {
        name: name.to_owned(),
        inputs: vec![spec("cut", dtype, &[None, Some(ELEMENTS)])],
        outputs: vec![
            spec("exit1", DType::Float32, &[None, Some(3)]),
            spec("numbers", DType::Float32, &[None, Some(1)]),
        ],
    };
    prepared(signature, runs, None)
}

/// As [`model`], of another signature, failing at one image.
pub fn prepared(signature: Signature, runs: &Runs, fails_at: Option<usize>) -> Model {
    let script = Script {
        inputs: signature.inputs.clone(),
        logits: "exit1".to_owned(),
        boundary: Some("numbers".to_owned()),
        answers: (0..IMAGES).map(logits).collect(),
        // One for each image: how the engine's sleep is told how many there are.
        delay: Duration::from_nanos(1),
        fails_at,
    };
    let runs = runs.clone();
    let backend = FakeBackend::new()
        .with_script(signature.name.clone(), script)
        .with_sleep(Arc::new(move |delay| runs.run(delay.as_nanos() as usize)));
    Model::prepare(signature, Origin::Bytes(&[]), &backend, None).unwrap()
}

pub fn loopback() -> Config {
    let free = "127.0.0.1:0".parse().unwrap();
    Config { metrics: Some(free), drain: Duration::from_millis(500), ..Config::new(free) }
}

/// A server that runs until it is told to stop.
pub struct Running {
    pub address: SocketAddr,
    pub metrics: Option<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<Result<Drained, ServeError>>,
}

impl Running {
    pub fn start(config: Config, models: Vec<Model>) -> Self {
        let server = Server::bind(config, models).unwrap();
        let (address, metrics) = (server.local_addr(), server.metrics_addr());
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(server.serve_until(async { drop(stopped.await) }));
        Self { address, metrics, stop: Some(stop), served }
    }

    /// The scripted model alone, and its runs, those of warming up left out.
    pub fn scripted(config: Config) -> (Self, Runs) {
        let runs = Runs::default();
        let running = Self::start(config, vec![model(MODEL, DType::Float32, &runs)]);
        runs.take();
        (running, runs)
    }

    pub async fn client(&self) -> Client {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        Client::new(endpoint.connect().await.unwrap())
    }

    pub async fn health(&self) -> Health {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        Health(HealthClient::new(endpoint.connect().await.unwrap()))
    }

    /// What a plain HTTP client gets.
    pub async fn scrape(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.metrics.unwrap()).await.unwrap();
        let asked = format!("GET {path} HTTP/1.1\r\nhost: offramp\r\nconnection: close\r\n\r\n");
        stream.write_all(asked.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// The number that the metrics give to `series`, 0 where they do not have it.
    pub async fn metric(&self, series: &str) -> u64 {
        let text = self.scrape("/metrics").await;
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        lines.next().map_or(0, |value| value.parse().unwrap())
    }

    /// Requests for the scripted model that ended so.
    pub async fn outcomes(&self, outcome: &str) -> u64 {
        let series = format!("offramp_requests_total{{model=\"{MODEL}\",outcome=\"{outcome}\"}}");
        self.metric(&series).await
    }

    /// Waits until so many requests wait for the scripted model.
    pub async fn waiting(&self, requests: u64) {
        let series = format!("offramp_queue_requests{{model=\"{MODEL}\"}}");
        until(async || self.metric(&series).await == requests).await;
    }

    /// Tells the server to stop.
    pub fn stop(&mut self) {
        drop(self.stop.take());
    }

    pub async fn stopped(mut self) -> Drained {
        self.stop();
        self.served.await.unwrap().unwrap()
    }
}

/// Asks `grpc.health.v1`.
pub struct Health(HealthClient<Channel>);

impl Health {
    pub async fn of(&self, service: &str) -> Result<ServingStatus, Code> {
        let asked = HealthCheckRequest { service: service.to_owned() };
        let answer = self.0.clone().check(asked).await.map_err(|status| status.code())?;
        Ok(match answer.get_ref().status {
            1 => ServingStatus::Serving,
            2 => ServingStatus::NotServing,
            _ => ServingStatus::Unknown,
        })
    }

    pub async fn watch(&self, service: &str) -> Streaming<HealthCheckResponse> {
        let asked = HealthCheckRequest { service: service.to_owned() };
        self.0.clone().watch(asked).await.unwrap().into_inner()
    }
}

/// A request for these images.
pub fn request(images: &[usize]) -> ModelInferRequest {
    let elements = images.iter().flat_map(|image| [*image as f32, 0.25]);
    let raw: Vec<u8> = elements.flat_map(f32::to_le_bytes).collect();
    let tensor = InferInputTensor {
        name: "cut".to_owned(),
        datatype: "FP32".to_owned(),
        shape: vec![images.len() as i64, ELEMENTS as i64],
        ..InferInputTensor::default()
    };
    ModelInferRequest {
        model_name: MODEL.to_owned(),
        inputs: vec![tensor],
        raw_input_contents: vec![Bytes::from(raw)],
        ..ModelInferRequest::default()
    }
}

/// float32 elements of one output.
pub fn floats(response: &ModelInferResponse, output: usize) -> Vec<f32> {
    let bytes = &response.raw_output_contents[output];
    bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
}
