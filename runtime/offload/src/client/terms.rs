//! What all peers of a client are asked on the same terms.

use std::sync::{Mutex, PoisonError};

use super::config::Config;
use super::credentials::Credentials;
use super::model::Model;
use super::retry::RetryBudget;

pub(super) struct Terms {
    pub(super) config: Config,
    pub(super) credentials: Credentials,
    pub(super) models: Vec<Model>,
    retries: Mutex<RetryBudget>,
}

impl Terms {
    pub(super) fn new(config: Config, credentials: Credentials, models: Vec<Model>) -> Self {
        Self { config, credentials, models, retries: Mutex::new(RetryBudget::new()) }
    }

    /// Does something with the share of requests that may be made twice.
    pub(super) fn retries<T>(&self, what: impl FnOnce(&mut RetryBudget) -> T) -> T {
        what(&mut self.retries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
