//! The Open Inference Protocol's requests.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::oneshot;
use tonic::{Request, Response, Status, async_trait};
use tracing::debug;

use super::gate::Deadline;
use super::metrics::{Metrics, ModelMetrics, Outcome, Turned};
use super::queue::{Job, Refused};
use super::refusal::Refusal;
use super::request::{self, Asked, VERSION};
use super::worker::Worker;
use crate::oip::grpc_inference_service_server::GrpcInferenceService;
use crate::oip::model_infer_response::InferOutputTensor;
use crate::oip::model_metadata_response::TensorMetadata;
use crate::oip::{
    EXTENSION, InferParameter, ModelInferRequest, ModelInferResponse, ModelMetadataRequest,
    ModelMetadataResponse, ModelReadyRequest, ModelReadyResponse, SERVER_US, ServerLiveRequest,
    ServerLiveResponse, ServerMetadataRequest, ServerMetadataResponse, ServerReadyRequest,
    ServerReadyResponse, infer_parameter::ParameterChoice,
};
use crate::tensor;

/// A server's models, and whether it takes requests for them.
#[derive(Debug)]
pub(super) struct Models {
    workers: BTreeMap<String, Arc<Worker>>,
    metrics: Arc<Metrics>,
    draining: AtomicBool,
    under_way: AtomicUsize,
}

impl Models {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            workers: BTreeMap::new(),
            metrics,
            draining: AtomicBool::new(false),
            under_way: AtomicUsize::new(0),
        }
    }

    /// Adds a model. False: there is one of its name, which stays.
    pub(super) fn add(&mut self, worker: Arc<Worker>) -> bool {
        match self.workers.entry(worker.signature.name.clone()) {
            Entry::Vacant(place) => {
                place.insert(worker);
                true
            }
            Entry::Occupied(_) => {
                worker.queue.close();
                false
            }
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.workers.keys().map(String::as_str)
    }

    pub(super) fn workers(&self) -> impl Iterator<Item = &Arc<Worker>> {
        self.workers.values()
    }

    /// Whether requests for any model are taken.
    pub(super) fn is_ready(&self) -> bool {
        !self.is_draining() && self.workers().any(|worker| worker.queue.is_open())
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Takes no requests for models from now on.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Lets the models' threads end when nobody waits for an answer.
    pub(super) fn close(&self) {
        for worker in self.workers() {
            worker.queue.close();
        }
    }

    /// Requests for models that were taken and not answered yet.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::SeqCst)
    }

    fn find(&self, model: &str, version: &str) -> Result<&Arc<Worker>, Refusal> {
        let Some(worker) = self.workers.get(model) else {
            self.metrics.turn_away(Turned::UnknownModel);
            return Err(Refusal::Model { model: model.to_owned() });
        };
        request::version(model, version)?;
        Ok(worker)
    }

    async fn infer(
        &self,
        worker: &Worker,
        deadline: Instant,
        mut request: ModelInferRequest,
    ) -> Result<ModelInferResponse, Refusal> {
        // Draining waits for those under way: this one has to be seen before the flag is looked at.
        if self.draining.load(Ordering::SeqCst) {
            return Err(Refusal::Draining);
        }
        let began = Instant::now();
        let id = std::mem::take(&mut request.id);
        let Asked { inputs, images, outputs } =
            Asked::read(&worker.signature, worker.limits.images, &request)?;
        worker.metrics.received.inc_by(size(&inputs));
        let described = outputs.iter().map(|output| {
            let spec = &worker.signature.outputs[*output];
            InferOutputTensor {
                name: spec.name.clone(),
                datatype: spec.dtype.datatype().to_owned(),
                shape: tensor::filled(spec, images),
                ..InferOutputTensor::default()
            }
        });
        let described = described.collect();
        let (reply, answer) = oneshot::channel();
        worker.queue.push(Job { inputs, images, outputs, deadline, reply }).map_err(
            |refused| match refused {
                Refused::Full(waiting) => {
                    Refusal::Overload { waiting, retry_after: worker.pace.after(waiting) }
                }
                Refused::Closed => Refusal::Gone,
            },
        )?;
        let contents = answer.await.map_err(|_| Refusal::Gone)??;
        worker.metrics.sent.inc_by(size(&contents));
        let spent = i64::try_from(began.elapsed().as_micros()).unwrap_or(i64::MAX);
        let spent = InferParameter { parameter_choice: Some(ParameterChoice::Int64Param(spent)) };
        Ok(ModelInferResponse {
            model_name: worker.signature.name.clone(),
            model_version: VERSION.to_owned(),
            id,
            parameters: [(SERVER_US.to_owned(), spent)].into(),
            outputs: described,
            raw_output_contents: contents,
        })
    }
}

fn size(tensors: &[Bytes]) -> u64 {
    tensors.iter().map(|bytes| bytes.len() as u64).sum()
}

impl Drop for Models {
    fn drop(&mut self) {
        self.close();
    }
}

/// A request for a model, counted when it ends, however it does.
struct UnderWay<'m> {
    models: &'m Models,
    metrics: &'m ModelMetrics,
    deadline: Instant,
    outcome: Option<Outcome>,
}

impl<'m> UnderWay<'m> {
    fn begin(models: &'m Models, metrics: &'m ModelMetrics, deadline: Instant) -> Self {
        models.under_way.fetch_add(1, Ordering::SeqCst);
        Self { models, metrics, deadline, outcome: None }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.models.under_way.fetch_sub(1, Ordering::SeqCst);
        // Without an outcome nobody waits for an answer any more.
        let late = Instant::now() >= self.deadline;
        let left = if late { Outcome::Expired } else { Outcome::Cancelled };
        self.metrics.end(self.outcome.unwrap_or(left));
    }
}

#[async_trait]
impl GrpcInferenceService for Models {
    async fn server_live(
        &self,
        _request: Request<ServerLiveRequest>,
    ) -> Result<Response<ServerLiveResponse>, Status> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        _request: Request<ServerReadyRequest>,
    ) -> Result<Response<ServerReadyResponse>, Status> {
        let ready = self.is_ready();
        Ok(Response::new(ServerReadyResponse { ready }))
    }

    async fn model_ready(
        &self,
        request: Request<ModelReadyRequest>,
    ) -> Result<Response<ModelReadyResponse>, Status> {
        let request = request.into_inner();
        let worker = self.find(&request.name, &request.version)?;
        let ready = !self.draining.load(Ordering::SeqCst) && worker.queue.is_open();
        Ok(Response::new(ModelReadyResponse { ready }))
    }

    async fn server_metadata(
        &self,
        _request: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        Ok(Response::new(ServerMetadataResponse {
            name: "offramp".to_owned(),
            // Whoever looks for servers of a version with a known fault would learn it here; clients go by the extensions.
            version: String::new(),
            extensions: vec![EXTENSION.to_owned()],
        }))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        let request = request.into_inner();
        let signature = &self.find(&request.name, &request.version)?.signature;
        let metadata =
            |specs: &[offramp_models::TensorSpec]| specs.iter().map(TensorMetadata::from).collect();
        Ok(Response::new(ModelMetadataResponse {
            name: signature.name.clone(),
            versions: vec![VERSION.to_owned()],
            platform: "onnx".to_owned(),
            inputs: metadata(&signature.inputs),
            outputs: metadata(&signature.outputs),
        }))
    }

    async fn model_infer(
        &self,
        request: Request<ModelInferRequest>,
    ) -> Result<Response<ModelInferResponse>, Status> {
        let deadline = request.extensions().get::<Deadline>().map(|deadline| deadline.0);
        let request = request.into_inner();
        let worker = self.find(&request.model_name, &request.model_version)?;
        // The gate gives every request a deadline.
        let deadline = deadline.unwrap_or_else(Instant::now);
        let mut under_way = UnderWay::begin(self, &worker.metrics, deadline);
        let answer = self.infer(worker, deadline, request).await;
        under_way.outcome = Some(answer.as_ref().map_or_else(Refusal::outcome, |_| Outcome::Answered));
        answer.map(Response::new).map_err(|refusal| {
            let model = &worker.signature.name;
            debug!(model, refusal = %offramp_models::Causes(&refusal), "request refused");
            refusal.into()
        })
    }
}

impl From<&offramp_models::TensorSpec> for TensorMetadata {
    fn from(spec: &offramp_models::TensorSpec) -> Self {
        let extent = |extent: &Option<usize>| extent.map_or(-1, |known| i64::try_from(known).unwrap_or(-1));
        Self {
            name: spec.name.clone(),
            datatype: spec.dtype.datatype().to_owned(),
            shape: spec.shape.iter().map(extent).collect(),
        }
    }
}
