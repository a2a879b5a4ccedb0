//! What the client costs over a bare tonic call of the same bytes.
//!
//!     cargo bench -p offramp-offload --bench call
//!
//! One server on loopback that answers at once; one connection and one thread for each of the two; calls in turn in one process. The
//! bare call sends a message that is there already and takes any answer; the client reads values, makes the message, watches the
//! deadline and checks the answer. Prints medians and ratios as Markdown.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and may fail anywhere"
)]

use std::any::Any;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use offramp_models::{Canary, DType, TensorSpec, Wire};
use offramp_offload::client::{Address, Client, Config, Model};
use offramp_offload::oip::grpc_inference_service_client::GrpcInferenceServiceClient;
use offramp_offload::oip::grpc_inference_service_server::{GrpcInferenceService, GrpcInferenceServiceServer};
use offramp_offload::oip::model_infer_request::InferInputTensor;
use offramp_offload::oip::model_infer_response::InferOutputTensor;
use offramp_offload::oip::*;
use offramp_offload::placement::Fixed;
use offramp_runtime::backend::{Buffer, HostTensor, RunError, Value};
use offramp_runtime::remote::{Completion, Cut, Remote, Waited};
use offramp_runtime::statistics::{Bootstrap, median_interval, ratio_of_medians};
use tokio::runtime::{Builder, Runtime};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};

const CLASSES: usize = 10;
const KILOBYTES: [usize; 4] = [4, 16, 64, 256];
const BLOCKS: usize = 40;
const CALLS: usize = 50;
const DEADLINE: Duration = Duration::from_secs(10);

fn main() {
    let server = runtime();
    let incoming = server.block_on(async { TcpIncoming::bind(([127, 0, 0, 1], 0).into()) });
    let incoming = incoming.expect("a port").with_nodelay(Some(true));
    let port = incoming.local_addr().expect("an address").port();
    let service = GrpcInferenceServiceServer::new(Prompt);
    server.spawn(Server::builder().add_service(service).serve_with_incoming(incoming));

    println!("| KB | bare call, us | client, us | client / bare | 95 % |\n|---|---|---|---|---|");
    for kilobytes in KILOBYTES {
        let spec = TensorSpec {
            name: "cut".to_owned(),
            dtype: DType::Uint8,
            shape: vec![None, Some(kilobytes * 1024)],
        };
        measure(kilobytes, port, spec);
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a thread")
}

fn measure(kilobytes: usize, port: u16, spec: TensorSpec) {
    let logits =
        TensorSpec { name: "exit".to_owned(), dtype: DType::Float32, shape: vec![None, Some(CLASSES)] };
    let elements: Vec<u8> = (0..kilobytes * 1024).map(|at| at as u8).collect();
    let model = Model {
        name: "net.0123456789ab.tail1.u8".to_owned(),
        cut: 1,
        wire: Wire::U8,
        inputs: vec![spec.clone()],
        outputs: vec![logits],
        canary: Canary { batch: 1, inputs: vec![elements.clone()], logits: vec![vec![0.0; CLASSES]] },
    };
    let config = Config::new(vec![Address::plain("127.0.0.1", port)]);
    let mut client =
        Client::connect(config, vec![model.clone()], Box::new(Fixed { cut: 1 })).expect("a client");
    assert!(client.wait_for_peer(DEADLINE), "the server is not usable: {:?}", client.summary());
    let value: Value = Rc::new(Memory { shape: vec![1, elements.len()], elements: elements.clone() });
    let values = [value];

    let bare = runtime();
    let channel = Channel::from_shared(format!("http://127.0.0.1:{port}")).expect("an address");
    let channel = bare.block_on(channel.connect()).expect("a connection");
    let mut caller = GrpcInferenceServiceClient::new(channel);
    let message = ModelInferRequest {
        model_name: model.name,
        inputs: vec![InferInputTensor {
            name: spec.name,
            datatype: "UINT8".to_owned(),
            shape: vec![1, elements.len() as i64],
            ..InferInputTensor::default()
        }],
        raw_input_contents: vec![elements.into()],
        ..ModelInferRequest::default()
    };

    let mut times = [const { Vec::new() }; 2];
    for block in 0..BLOCKS + 4 {
        let mut taken = [const { Vec::new() }; 2];
        for _ in 0..CALLS {
            let request = message.clone();
            taken[0].push(timed(|| {
                bare.block_on(caller.model_infer(request)).expect("an answer");
            }));
            taken[1].push(timed(|| complete(&mut client, &values)));
        }
        // The first ones warm up.
        if block >= 4 {
            times.iter_mut().zip(taken).for_each(|(times, taken)| times.push(taken));
        }
    }
    let bootstrap = Bootstrap::default();
    let [bare, ours] = &times;
    let median = |times| median_interval(times, bootstrap).expect("times").estimate * 1e6;
    let ratio = ratio_of_medians(ours, bare, bootstrap).expect("times");
    println!(
        "| {kilobytes} | {:.0} | {:.0} | {:.3} | {:.3} to {:.3} |",
        median(bare),
        median(ours),
        ratio.estimate,
        ratio.low,
        ratio.high
    );
}

fn complete(client: &mut Client, values: &[Value]) {
    let now = Instant::now();
    let cut = Cut { segment: 1, images: 1, ahead: &[], since: now };
    let mut pending = client.complete(cut, values, now + DEADLINE).expect("a usable peer");
    match pending.wait(now + DEADLINE) {
        Waited::Answer(Completion { logits }) => assert_eq!(logits.len(), CLASSES),
        other => panic!("{other:?}"),
    }
}

fn timed(what: impl FnOnce()) -> f64 {
    let started = Instant::now();
    what();
    started.elapsed().as_secs_f64()
}

/// A server that answers zeros at once.
struct Prompt;

#[tonic::async_trait]
impl GrpcInferenceService for Prompt {
    async fn server_live(
        &self,
        _: Request<ServerLiveRequest>,
    ) -> Result<Response<ServerLiveResponse>, Status> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        _: Request<ServerReadyRequest>,
    ) -> Result<Response<ServerReadyResponse>, Status> {
        Ok(Response::new(ServerReadyResponse { ready: true }))
    }

    async fn model_ready(
        &self,
        _: Request<ModelReadyRequest>,
    ) -> Result<Response<ModelReadyResponse>, Status> {
        Ok(Response::new(ModelReadyResponse { ready: true }))
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        Ok(Response::new(ServerMetadataResponse::default()))
    }

    async fn model_metadata(
        &self,
        _: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        Ok(Response::new(ModelMetadataResponse::default()))
    }

    async fn model_infer(
        &self,
        _: Request<ModelInferRequest>,
    ) -> Result<Response<ModelInferResponse>, Status> {
        let output = InferOutputTensor {
            name: "exit".to_owned(),
            datatype: "FP32".to_owned(),
            shape: vec![1, CLASSES as i64],
            ..InferOutputTensor::default()
        };
        Ok(Response::new(ModelInferResponse {
            outputs: vec![output],
            raw_output_contents: vec![Bytes::from_static(&[0; 4 * CLASSES])],
            ..ModelInferResponse::default()
        }))
    }
}

/// A value in host memory, as engines on the CPU keep it.
struct Memory {
    shape: Vec<usize>,
    elements: Vec<u8>,
}

impl Memory {
    fn refuse(&self, found: &str) -> RunError {
        RunError::Form {
            graph: "a value".to_owned(),
            expected: format!("{:?}", self.shape),
            found: found.to_owned(),
        }
    }
}

impl Buffer for Memory {
    fn dtype(&self) -> DType {
        DType::Uint8
    }

    fn shape(&self) -> Vec<usize> {
        self.shape.clone()
    }

    fn write(&self, _: HostTensor<'_>) -> Result<(), RunError> {
        Err(self.refuse("elements"))
    }

    fn read(&self, _: &mut [f32]) -> Result<(), RunError> {
        Err(self.refuse("room for float32"))
    }

    fn write_bytes(&self, _: usize, _: &[u8]) -> Result<(), RunError> {
        Err(self.refuse("bytes"))
    }

    fn read_bytes(&self, at: usize, into: &mut [u8]) -> Result<(), RunError> {
        let range = self.elements.get(at..at + into.len());
        into.copy_from_slice(range.ok_or_else(|| self.refuse("other bytes"))?);
        Ok(())
    }

    fn select(&self, _: &[usize]) -> Result<Value, RunError> {
        Err(self.refuse("images"))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
