//! Clients that ask one model of one server about one image, again and again.

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

/// A model that is asked.
pub(crate) struct Asked {
    connections: Vec<Client>,
    request: ModelInferRequest,
}

impl Asked {
    /// Connects `clients` to a model, given by its server's address and its name.
    pub(crate) async fn connect((address, model): (&str, &str), clients: u32) -> Self {
        let mut connections = Vec::new();
        for _ in 0..clients {
            let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("HOST:PORT");
            connections.push(Client::new(endpoint.connect().await.expect("a server")));
        }
        let named = ModelMetadataRequest { name: model.to_owned(), ..Default::default() };
        let metadata = connections[0].model_metadata(named).await.expect("the model").into_inner();
        Self { connections, request: request(model, &metadata.inputs) }
    }

    /// Bytes of an image.
    pub(crate) fn bytes(&self) -> usize {
        self.request.raw_input_contents.iter().map(Bytes::len).sum()
    }

    /// Every client asks again as soon as it is answered.
    pub(crate) async fn closed(&self, clients: u32, window: Duration) -> Outcome {
        let (mut tasks, until) = (JoinSet::new(), Instant::now() + window);
        for client in self.connections.iter().take(clients as usize) {
            let (mut client, request) = (client.clone(), self.request.clone());
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
    pub(crate) async fn open(&self, window: Duration, rate: f64) -> Outcome {
        let clients = self.connections.len() as u32;
        let every = Duration::from_secs_f64(f64::from(clients) / rate);
        let (mut tasks, began) = (JoinSet::new(), Instant::now());
        for (number, client) in (0..).zip(&self.connections) {
            let (client, request) = (client.clone(), self.request.clone());
            // Not all at once.
            let first = began + every * number / clients;
            tasks.spawn(async move {
                let (mut asked, mut outcome) = (JoinSet::new(), Outcome::default());
                let mut next = first;
                while next < began + window {
                    tokio::time::sleep_until(next.into()).await;
                    outcome.late.push(next.elapsed().as_secs_f64());
                    let (mut client, request) = (client.clone(), request.clone());
                    asked.spawn(async move { ask(&mut client, &request).await });
                    next += every;
                }
                for (took, answer) in asked.join_all().await {
                    outcome.note(took, answer);
                }
                outcome
            });
        }
        gather(tasks).await
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
pub(crate) struct Outcome {
    pub(crate) answered: Vec<f64>,
    pub(crate) refused: Vec<f64>,
    pub(crate) expired: usize,
    pub(crate) hints: Vec<f64>,
    pub(crate) lost: Vec<Status>,
    /// How much later than it should a request was made.
    pub(crate) late: Vec<f64>,
}

impl Outcome {
    pub(crate) fn sent(&self) -> usize {
        self.answered.len() + self.refused.len() + self.expired + self.lost.len()
    }

    fn note(&mut self, took: Duration, answer: Result<(), Status>) {
        let Err(status) = answer else { return self.answered.push(took.as_secs_f64()) };
        match status.code() {
            // Triton says the second.
            Code::ResourceExhausted => self.refused.push(took.as_secs_f64()),
            Code::Unavailable if status.message().contains("maximum queue size") => {
                self.refused.push(took.as_secs_f64());
            }
            Code::DeadlineExceeded => self.expired += 1,
            // The client gave up by itself: nothing came.
            _ => self.lost.push(status.clone()),
        }
        let hint = status.metadata().get(RETRY_AFTER_MS).and_then(|hint| hint.to_str().ok()?.parse().ok());
        self.hints.extend(hint.map(|milliseconds: f64| milliseconds / 1e3));
    }

    fn add(&mut self, other: Self) {
        self.answered.extend(other.answered);
        self.refused.extend(other.refused);
        self.expired += other.expired;
        self.hints.extend(other.hints);
        self.lost.extend(other.lost);
        self.late.extend(other.late);
    }
}

/// OK without the outputs' bytes is no answer: Triton with numpy 2 says so.
async fn ask(client: &mut Client, request: &ModelInferRequest) -> (Duration, Result<(), Status>) {
    let mut request = Request::new(request.clone());
    request.set_timeout(PATIENCE);
    let began = Instant::now();
    let answer = client.model_infer(request).await.and_then(|answer| {
        let answer = answer.into_inner();
        let whole = !answer.outputs.is_empty()
            && answer.raw_output_contents.len() == answer.outputs.len()
            && answer.raw_output_contents.iter().all(|bytes| !bytes.is_empty());
        whole.then_some(()).ok_or_else(|| Status::data_loss("an answer without its bytes"))
    });
    (began.elapsed(), answer)
}

async fn gather(tasks: JoinSet<Outcome>) -> Outcome {
    let mut all = Outcome::default();
    for outcome in tasks.join_all().await {
        all.add(outcome);
    }
    all
}
