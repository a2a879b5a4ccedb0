//! The thread of one model: takes batches from its queue, runs them, answers.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use offramp_runtime::backend::RunError;
use tokio::sync::oneshot;
use tracing::error;

use super::engine::Engine;
use super::metrics::ModelMetrics;
use super::model::{Model, Signature};
use super::pace::Pace;
use super::queue::{Limits, Queue};

/// A model that runs, as the network's threads see it.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) signature: Signature,
    pub(super) limits: Limits,
    pub(super) queue: Queue,
    pub(super) pace: Pace,
    pub(super) metrics: ModelMetrics,
}

/// Resolves when the thread has ended.
pub(super) type Ended = oneshot::Receiver<()>;
/// Says whether the model has run.
pub(super) type Warm = std::sync::mpsc::Receiver<Result<(), RunError>>;

impl Worker {
    /// Starts the thread of `model`, which first wires and runs it.
    pub(super) fn start(
        model: Model,
        limits: Limits,
        metrics: ModelMetrics,
    ) -> std::io::Result<(Arc<Self>, Warm, Ended)> {
        let limits = Limits { joins: limits.joins && model.signature.joins(), ..limits };
        let worker = Arc::new(Self {
            signature: model.signature.clone(),
            limits,
            queue: Queue::new(limits),
            pace: Pace::default(),
            metrics,
        });
        let (warm, is_warm) = std::sync::mpsc::sync_channel(1);
        let (end, ended) = oneshot::channel();
        let own = Arc::clone(&worker);
        let name = format!("model {}", worker.signature.name);
        thread::Builder::new().name(name).spawn(move || {
            // Dropped last, even when an engine panics.
            let _end = End { worker: Arc::clone(&own), _sender: end };
            let mut engine = Engine::new(model, limits.images);
            let started = engine.warm_up();
            let runs = started.is_ok();
            if warm.send(started).is_ok() && runs {
                own.serve(&mut engine);
            }
        })?;
        Ok((worker, is_warm, ended))
    }

    fn serve(&self, engine: &mut Engine) {
        let mut batch = Vec::with_capacity(self.limits.images);
        while self.queue.take(&mut batch) {
            let (requests, images) = (batch.len(), batch.iter().map(|job| job.images).sum::<usize>());
            let began = Instant::now();
            engine.answer(&mut batch);
            let took = began.elapsed();
            self.pace.observe(took, requests);
            self.metrics.batches.observe(images as f64);
            self.metrics.execution.observe(took.as_secs_f64());
            batch.clear();
        }
    }
}

/// Lets nobody wait for a thread that has ended.
struct End {
    worker: Arc<Worker>,
    _sender: oneshot::Sender<()>,
}

impl Drop for End {
    fn drop(&mut self) {
        if thread::panicking() {
            error!(model = self.worker.signature.name, "the model's thread broke down");
        }
        self.worker.queue.abandon();
    }
}
