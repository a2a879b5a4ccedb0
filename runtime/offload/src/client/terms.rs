//! What all peers of a client are asked on the same terms.

use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};

use super::config::Config;
use super::credentials::Credentials;
use super::model::Model;
use super::retry::RetryBudget;
use crate::placement::Observed;

pub(super) struct Terms {
    pub(super) config: Config,
    pub(super) credentials: Credentials,
    pub(super) models: Vec<Model>,
    observer: Sender<Observed>,
    retries: Mutex<RetryBudget>,
}

impl Terms {
    pub(super) fn new(
        config: Config,
        credentials: Credentials,
        models: Vec<Model>,
        observer: Sender<Observed>,
    ) -> Self {
        Self { config, credentials, models, observer, retries: Mutex::new(RetryBudget::new()) }
    }

    /// Tells the placement what came of a request.
    pub(super) fn observe(&self, observed: Observed) {
        // Nobody listens any more when the client is gone.
        let _gone = self.observer.send(observed);
    }

    /// Does something with the share of requests that may be made twice.
    pub(super) fn retries<T>(&self, what: impl FnOnce(&mut RetryBudget) -> T) -> T {
        what(&mut self.retries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
