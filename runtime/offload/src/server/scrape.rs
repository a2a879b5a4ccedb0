//! `GET /metrics` over plain HTTP.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{Method, Request, Response, StatusCode, header};

use super::metrics::Metrics;
use super::service::Models;

/// Answers Prometheus.
#[derive(Clone, Debug)]
pub(super) struct Scrape {
    models: Arc<Models>,
    metrics: Arc<Metrics>,
}

impl Scrape {
    pub(super) fn new(models: &Arc<Models>, metrics: &Arc<Metrics>) -> Self {
        Self { models: Arc::clone(models), metrics: Arc::clone(metrics) }
    }

    fn answer(&self, request: &Request<Body>) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/metrics") => {
                for worker in self.models.workers() {
                    worker.metrics.waiting.set(i64::try_from(worker.queue.len()).unwrap_or(i64::MAX));
                }
                let text = header::HeaderValue::from_static(
                    "application/openmetrics-text; version=1.0.0; charset=utf-8",
                );
                response.headers_mut().insert(header::CONTENT_TYPE, text);
                *response.body_mut() = Body::new(self.metrics.text());
            }
            (_, "/metrics") => *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED,
            _ => *response.status_mut() = StatusCode::NOT_FOUND,
        }
        response
    }
}

impl Service<Request<Body>> for Scrape {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        ready(Ok(self.answer(&request)))
    }
}
