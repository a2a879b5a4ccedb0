//! A server of tables that misbehaves on request.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use offramp_models::{Canary, DType, TensorSpec, Wire};
use offramp_offload::client::{Address, Model};
use offramp_offload::oip::grpc_inference_service_server::{GrpcInferenceService, GrpcInferenceServiceServer};
use offramp_offload::oip::model_infer_response::InferOutputTensor;
use offramp_offload::oip::model_metadata_response::TensorMetadata;
use offramp_offload::oip::*;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tonic::body::Body;
use tonic::codegen::tokio_stream::Stream;
use tonic::codegen::{BoxFuture, http};
use tonic::server::NamedService;
use tonic::transport::server::ServerTlsConfig;
use tonic::{Request, Response, Status};

use crate::scripted::Table;

/// What the server does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// Answers rightly, after so many milliseconds.
    Answers { after_ms: u64 },
    /// Answers rightly, with typed contents instead of raw ones.
    AnswersTyped,
    /// Never answers.
    Hangs,
    /// Never answers about tails from this cut on.
    HangsFrom { cut: usize },
    /// Begins to answer, and never ends.
    Stalls,
    /// Cuts the connection.
    Cuts,
    /// Stops serving altogether.
    Dies,
    /// Has too much to do.
    IsOverloaded { retry_after_ms: Option<u64> },
    /// Says what Triton says when its queue is full.
    HasFullQueue,
    /// Is shutting down.
    Drains,
    /// Knows the model no more.
    Forgets,
    /// Says that the request is wrong.
    Rejects,
    /// Takes no message of that size.
    IsTooSmall,
    /// Says OK with no bytes.
    AnswersNothing,
    /// Says OK with too few bytes.
    AnswersShort,
    /// Says OK with NaN.
    AnswersNan,
    /// Says OK with another shape.
    AnswersShape,
    /// Says OK with 8 MiB.
    AnswersHuge,
    /// Says OK with the same answer twice.
    AnswersTwice,
    /// Says OK with other logits.
    AnswersWrongly,
}

pub const PROMPT: Does = Does::Answers { after_ms: 0 };

/// What the server is.
#[derive(Clone)]
pub struct Setup {
    pub table: Table,
    pub ready: bool,
    /// What it does with the known question.
    pub canary: Does,
    /// What it does with all others.
    pub request: Does,
    /// Stands for the digest in its models' names.
    pub digest: &'static str,
    pub token: Option<&'static str>,
    /// Lists our extension.
    pub ours: bool,
    /// Describes its inputs with this type.
    pub datatype: &'static str,
}

impl Setup {
    pub fn of(table: &Table) -> Self {
        Self {
            table: table.clone(),
            ready: true,
            canary: PROMPT,
            request: PROMPT,
            digest: "0123456789ab",
            token: None,
            ours: false,
            datatype: "FP32",
        }
    }
}

/// The tails of a table, by cut.
pub fn models(table: &Table, digest: &str) -> Vec<Model> {
    let spec = |name: String, extents: &[usize]| TensorSpec {
        name,
        dtype: DType::Float32,
        shape: std::iter::once(None).chain(extents.iter().map(|extent| Some(*extent))).collect(),
    };
    let model = |cut: usize| Model {
        name: format!("table.{digest}.tail{cut}.f32"),
        cut,
        wire: Wire::F32,
        inputs: vec![match cut {
            0 => spec("image".into(), &[1, 1, 1]),
            _ => spec(format!("cut{}", cut - 1), &[1]),
        }],
        outputs: (cut..table.exits).map(|exit| spec(format!("logits{exit}"), &[table.classes])).collect(),
        canary: Canary {
            batch: 1,
            inputs: vec![vec![0; 4]],
            logits: (cut..table.exits).map(|exit| table.row(0, exit).to_vec()).collect(),
        },
    };
    (0..table.exits).map(model).collect()
}

/// A server, stopped when dropped.
pub struct Fake {
    pub port: u16,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

struct Shared {
    setup: Mutex<Setup>,
    connections: Mutex<Vec<TcpStream>>,
    requests: AtomicU64,
    canaries: AtomicU64,
    accepted: AtomicU64,
    cancelled: AtomicU64,
    /// What the latest request said is left of its deadline.
    left: Mutex<Duration>,
}

/// Counts a request that is given up.
struct UnderWay(Option<Arc<Shared>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.cancelled.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Fake {
    pub fn start(setup: Setup) -> Self {
        Self::start_on(0, setup, None)
    }

    pub fn start_on(port: u16, setup: Setup, tls: Option<ServerTlsConfig>) -> Self {
        // The port of a server before this one is free only when its thread is gone.
        let listener = (0..200).find_map(|_| {
            let bound = TcpListener::bind(("127.0.0.1", port));
            bound.inspect_err(|_| std::thread::sleep(Duration::from_millis(10))).ok()
        });
        let listener = listener.unwrap();
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        let shared = Arc::new(Shared {
            setup: Mutex::new(setup),
            connections: Mutex::default(),
            requests: AtomicU64::new(0),
            canaries: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            left: Mutex::default(),
        });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (sender, receiver) = mpsc::channel(16);
        let accepting = Arc::clone(&shared);
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                accepting.accepted.fetch_add(1, Ordering::SeqCst);
                let stream = stream.into_std().unwrap();
                accepting.connections.lock().unwrap().push(stream.try_clone().unwrap());
                let stream = tokio::net::TcpStream::from_std(stream).unwrap();
                stream.set_nodelay(true).unwrap();
                if sender.send(Ok::<_, std::io::Error>(stream)).await.is_err() {
                    break;
                }
            }
        });
        let service = GrpcInferenceServiceServer::new(Service(Arc::clone(&shared)));
        let service = service.max_decoding_message_size(64 << 20).max_encoding_message_size(64 << 20);
        let mut server = tonic::transport::Server::builder();
        if let Some(tls) = tls {
            server = server.tls_config(tls).unwrap();
        }
        runtime.spawn(server.add_service(Odd(service)).serve_with_incoming(Incoming(receiver)));
        Self { port, shared, runtime: Some(runtime) }
    }

    pub fn address(&self) -> Address {
        Address::plain("127.0.0.1", self.port)
    }

    pub fn change(&self, change: impl FnOnce(&mut Setup)) {
        change(&mut self.shared.setup.lock().unwrap());
    }

    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    pub fn canaries(&self) -> u64 {
        self.shared.canaries.load(Ordering::SeqCst)
    }

    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    pub fn cancelled(&self) -> u64 {
        self.shared.cancelled.load(Ordering::SeqCst)
    }

    pub fn left(&self) -> Duration {
        *self.shared.left.lock().unwrap()
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        self.shared.cut();
    }

    /// Gives its port to the next one.
    pub fn stop(mut self) -> u16 {
        self.end();
        self.port
    }

    fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            self.shared.cut();
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn cut(&self) {
        for stream in self.connections.lock().unwrap().drain(..) {
            // It may be closed already.
            let _closed = stream.shutdown(Shutdown::Both);
        }
    }
}

/// A port where nobody listens.
pub fn nobody() -> Address {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    Address::plain("127.0.0.1", listener.local_addr().unwrap().port())
}

struct Incoming(mpsc::Receiver<std::io::Result<tokio::net::TcpStream>>);

impl Stream for Incoming {
    type Item = std::io::Result<tokio::net::TcpStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

struct Service(Arc<Shared>);

impl Service {
    /// The setup, for those who have its token.
    fn setup<T>(&self, request: &Request<T>) -> Result<Setup, Status> {
        let setup = self.0.setup.lock().unwrap().clone();
        let sent =
            request.metadata().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or("none");
        match setup.token {
            Some(token) if sent != format!("Bearer {token}") => {
                Err(Status::unauthenticated(format!("the token is wrong: {sent}")))
            }
            _ => Ok(setup),
        }
    }

    fn model(setup: &Setup, name: &str) -> Result<Model, Status> {
        let mut models = models(&setup.table, setup.digest).into_iter();
        models.find(|model| model.name == name).ok_or_else(|| Status::not_found(format!("no model {name}")))
    }
}

#[tonic::async_trait]
impl GrpcInferenceService for Service {
    async fn server_live(
        &self,
        _: Request<ServerLiveRequest>,
    ) -> Result<Response<ServerLiveResponse>, Status> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        request: Request<ServerReadyRequest>,
    ) -> Result<Response<ServerReadyResponse>, Status> {
        Ok(Response::new(ServerReadyResponse { ready: self.setup(&request)?.ready }))
    }

    async fn model_ready(
        &self,
        request: Request<ModelReadyRequest>,
    ) -> Result<Response<ModelReadyResponse>, Status> {
        let setup = self.setup(&request)?;
        Self::model(&setup, &request.get_ref().name)?;
        Ok(Response::new(ModelReadyResponse { ready: true }))
    }

    async fn server_metadata(
        &self,
        request: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        if !self.setup(&request)?.ours {
            return Err(Status::unimplemented("no metadata"));
        }
        let extensions = vec![EXTENSION.to_owned()];
        Ok(Response::new(ServerMetadataResponse { name: "fake".into(), version: "1".into(), extensions }))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        let setup = self.setup(&request)?;
        let model = Self::model(&setup, &request.get_ref().name)?;
        let described = |spec: &TensorSpec| TensorMetadata {
            name: spec.name.clone(),
            datatype: setup.datatype.to_owned(),
            shape: spec.shape.iter().map(|extent| extent.map_or(-1, |extent| extent as i64)).collect(),
        };
        Ok(Response::new(ModelMetadataResponse {
            name: model.name.clone(),
            inputs: model.inputs.iter().map(described).collect(),
            ..ModelMetadataResponse::default()
        }))
    }

    async fn model_infer(
        &self,
        request: Request<ModelInferRequest>,
    ) -> Result<Response<ModelInferResponse>, Status> {
        let setup = self.setup(&request)?;
        *self.0.left.lock().unwrap() = left(request.metadata());
        let mut under_way = UnderWay(Some(Arc::clone(&self.0)));
        let request = request.into_inner();
        let known = request.id == "canary";
        if known { &self.0.canaries } else { &self.0.requests }.fetch_add(1, Ordering::SeqCst);
        let does = if known { setup.canary } else { setup.request };
        let model = Self::model(&setup, &request.model_name)?;
        match does {
            Does::Answers { after_ms: 0 } => {}
            Does::Answers { after_ms } => tokio::time::sleep(Duration::from_millis(after_ms)).await,
            Does::Hangs => std::future::pending().await,
            Does::HangsFrom { cut } if model.cut >= cut => std::future::pending().await,
            Does::Cuts => {
                self.0.cut();
                std::future::pending().await
            }
            Does::Dies => {
                self.0.setup.lock().unwrap().ready = false;
                self.0.cut();
                std::future::pending().await
            }
            _ => {}
        }
        under_way.0 = None;
        match does {
            Does::IsOverloaded { retry_after_ms } => {
                let mut status = Status::resource_exhausted("too much to do");
                if let Some(millis) = retry_after_ms {
                    status.metadata_mut().insert(RETRY_AFTER_MS, millis.into());
                }
                return Err(status);
            }
            Does::HasFullQueue => return Err(Status::unavailable("Exceeds maximum queue size")),
            Does::Drains => return Err(Status::unavailable("Server is stopping")),
            Does::Forgets => return Err(Status::not_found("model has no available versions")),
            Does::Rejects => return Err(Status::invalid_argument("unexpected shape")),
            Does::IsTooSmall => {
                return Err(Status::resource_exhausted("Received message larger than max (9 vs. 8)"));
            }
            _ => {}
        }
        let mut answered = Response::new(answer(&setup.table, &model, &request, does));
        match does {
            Does::AnswersTwice => drop(answered.metadata_mut().insert(BODY, "twice".parse().unwrap())),
            Does::Stalls => drop(answered.metadata_mut().insert(BODY, "never".parse().unwrap())),
            _ => {}
        }
        Ok(answered)
    }
}

/// Marks an answer whose body is sent otherwise than as it is.
const BODY: &str = "body";

#[derive(Clone)]
struct Odd<S>(S);

impl<S: NamedService> NamedService for Odd<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> tonic::codegen::Service<http::Request<Body>> for Odd<S>
where
    S: tonic::codegen::Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<http::Response<Body>, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            Ok(match answer.headers().get(BODY).map(|how| how.as_bytes()) {
                Some(b"twice") => answer.map(|body| Body::new(Twice { body, again: None })),
                Some(_) => answer.map(|_| Body::new(Never)),
                None => answer,
            })
        })
    }
}

/// A body that does not come.
struct Never;

impl http_body::Body for Never {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Pending
    }
}

/// A body with every message in it twice.
struct Twice {
    body: Body,
    again: Option<Bytes>,
}

impl http_body::Body for Twice {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(again) = self.again.take() {
            return Poll::Ready(Some(Ok(Frame::data(again))));
        }
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.again = frame.data_ref().cloned();
        }
        polled
    }
}

/// The header `grpc-timeout`: digits, and a unit.
fn left(metadata: &tonic::metadata::MetadataMap) -> Duration {
    let text = metadata.get("grpc-timeout").unwrap().to_str().unwrap();
    let (digits, unit) = text.split_at(text.len() - 1);
    let digits: u64 = digits.parse().unwrap();
    match unit {
        "S" => Duration::from_secs(digits),
        "m" => Duration::from_millis(digits),
        "u" => Duration::from_micros(digits),
        "n" => Duration::from_nanos(digits),
        other => unreachable!("{other}"),
    }
}

fn answer(table: &Table, model: &Model, request: &ModelInferRequest, does: Does) -> ModelInferResponse {
    let images: Vec<usize> = request.raw_input_contents[0]
        .chunks(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()) as usize)
        .collect();
    let mut logits: BTreeMap<usize, Vec<f32>> = BTreeMap::new();
    for exit in model.cut..table.exits {
        logits.insert(exit, images.iter().flat_map(|image| table.row(*image, exit)).copied().collect());
    }
    match does {
        Does::AnswersNan => logits.values_mut().for_each(|logits| logits[0] = f32::NAN),
        Does::AnswersWrongly => logits.values_mut().flatten().for_each(|logit| *logit = 1.0 - *logit),
        _ => {}
    }
    let classes = if does == Does::AnswersShape { table.classes + 1 } else { table.classes };
    let output = |(exit, logits): (&usize, &Vec<f32>)| InferOutputTensor {
        name: format!("logits{exit}"),
        datatype: "FP32".into(),
        shape: vec![images.len() as i64, classes as i64],
        contents: (does == Does::AnswersTyped)
            .then(|| InferTensorContents { fp32_contents: logits.clone(), ..InferTensorContents::default() }),
        ..InferOutputTensor::default()
    };
    let raw = |logits: &Vec<f32>| -> Bytes {
        let bytes: Vec<u8> = logits.iter().flat_map(|logit| logit.to_le_bytes()).collect();
        match does {
            Does::AnswersNothing => Bytes::new(),
            Does::AnswersShort => Bytes::from(bytes).slice(4..),
            Does::AnswersHuge => vec![0; 8 << 20].into(),
            _ => bytes.into(),
        }
    };
    ModelInferResponse {
        model_name: request.model_name.clone(),
        id: request.id.clone(),
        outputs: logits.iter().map(output).collect(),
        raw_output_contents: if does == Does::AnswersTyped {
            Vec::new()
        } else {
            logits.values().map(raw).collect()
        },
        ..ModelInferResponse::default()
    }
}
