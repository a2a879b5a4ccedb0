//! `grpc.health.v1`, of the server and, where nothing is asked of clients, of every model.

use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use super::service::Models;
use crate::oip::grpc_inference_service_server::SERVICE_NAME;

/// Tells whether requests are taken.
#[derive(Clone)]
pub(super) struct Health {
    reporter: HealthReporter,
    /// What can be asked for.
    services: Vec<String>,
}

impl Health {
    /// Health is told without a token; where tokens are asked for, which models there are is left out.
    pub(super) fn of(models: &Models, names_models: bool) -> Self {
        let names = models.names().filter(|_| names_models);
        let services = ["", SERVICE_NAME].into_iter().chain(names).map(str::to_owned).collect();
        Self { reporter: HealthReporter::new(), services }
    }

    pub(super) fn service(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }

    pub(super) async fn report(&self, status: ServingStatus) {
        for service in &self.services {
            self.reporter.set_service_status(service, status).await;
        }
    }

    /// Says which models have broken down: they are not started again, whoever keeps the server must.
    pub(super) async fn report_broken(&self, models: &Models) {
        let status = ServingStatus::NotServing;
        for worker in models.workers().filter(|worker| !worker.queue.is_open()) {
            if let Some(service) = self.services.iter().find(|service| **service == worker.signature.name) {
                self.reporter.set_service_status(service, status).await;
            }
        }
        if !models.is_ready() {
            for service in ["", SERVICE_NAME] {
                self.reporter.set_service_status(service, status).await;
            }
        }
    }

    /// Ends the streams of those who watch, who would never leave.
    pub(super) async fn end(mut self) {
        for service in &self.services {
            self.reporter.clear_service_status(service).await;
        }
    }
}
