//! What ONNX Runtime would print: kept, because its statuses leave reasons out.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use ort::logging::{LogLevel, LoggerFunction};

use super::super::EngineError;

thread_local! {
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the latest error that was logged on each thread, prints nothing.
pub(super) fn logger() -> LoggerFunction {
    Arc::new(|level, _category, _id, _location, message| {
        if level >= LogLevel::Error {
            // A thread that is ending has no place to keep it.
            let _kept = LAST.try_with(|last| last.replace(Some(message.to_owned())));
        }
    })
}

/// Forgets what was logged on this thread.
pub(super) fn clear() {
    LAST.with(|last| last.replace(None));
}

/// `error` with what was logged on this thread since [`clear`], if that says more.
pub(super) fn explain(error: ort::Error) -> EngineError {
    match LAST.with(|last| last.take()) {
        Some(reason) if !error.message().contains(&reason) => Explained { error, reason }.into(),
        _ => error.into(),
    }
}

#[derive(Debug)]
struct Explained {
    error: ort::Error,
    reason: String,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.error, self.reason)
    }
}

impl std::error::Error for Explained {}
