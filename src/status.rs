//! How a command ends, and how an error is told.

use std::io;

use offramp_runtime::backend::{BackendError, LibraryError};
use offramp_runtime::prepare::PrepareError;

/// The process's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// A check that was asked for did not hold.
    NotHeld = 3,
}

/// A combination of flags that makes no sense.
#[derive(Debug)]
pub struct UsageError {
    /// What contradicts what.
    pub message: String,
}

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for UsageError {}

/// A usage error with this message.
pub fn usage(message: impl Into<String>) -> anyhow::Error {
    UsageError { message: message.into() }.into()
}

/// An error with a hint on a line of its own.
#[derive(Debug)]
pub struct Hinted {
    /// What to try.
    pub hint: String,
    /// What went wrong.
    pub source: anyhow::Error,
}

impl std::fmt::Display for Hinted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.source, f)
    }
}

impl std::error::Error for Hinted {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.source()
    }
}

/// Adds a hint to an error.
pub fn hint(source: impl Into<anyhow::Error>, hint: impl Into<String>) -> anyhow::Error {
    Hinted { hint: hint.into(), source: source.into() }.into()
}

/// Prints an error with its causes and a hint, and says which status it is.
#[expect(clippy::print_stderr, reason = "this is where the command line tells its errors")]
pub fn explain(error: &anyhow::Error) -> Status {
    if broken_pipe(error) {
        return Status::Done;
    }
    eprintln!("error: {error:#}");
    if let Some(hint) = find_hint(error) {
        eprintln!("\nhint: {hint}");
    }
    if is_usage(error) { Status::Usage } else { Status::Failed }
}

fn is_usage(error: &anyhow::Error) -> bool {
    let hinted = error.downcast_ref::<Hinted>();
    error.is::<UsageError>() || hinted.is_some_and(|hinted| is_usage(&hinted.source))
}

fn broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe))
}

fn find_hint(error: &anyhow::Error) -> Option<String> {
    if let Some(hinted) = error.downcast_ref::<Hinted>() {
        return Some(hinted.hint.clone());
    }
    let advice = match backend_error(error)? {
        BackendError::Library(LibraryError::NotFound { .. }) => {
            "set ORT_DYLIB_PATH to libonnxruntime.so, run scripts/set-up, or use --backend tract"
        }
        BackendError::Library(_) => "set ORT_DYLIB_PATH to another library, or use --backend tract",
        BackendError::Provider { .. } => {
            "`offramp doctor` lists the providers of this machine; --backend ort runs on the CPU"
        }
        BackendError::Operator { .. } => "try another --backend",
        _ => return None,
    };
    Some(advice.to_owned())
}

/// The engine's error in a chain; transparent wrappers hide it from [`std::error::Error::source`].
fn backend_error(error: &anyhow::Error) -> Option<&BackendError> {
    error.chain().find_map(|cause| {
        #[cfg(feature = "full")]
        if let Some(error) = cause.downcast_ref::<offramp_exporter::ExportError>() {
            return error.refused_by_backend();
        }
        match cause.downcast_ref::<PrepareError>() {
            Some(PrepareError::Backend(error)) => Some(error),
            _ => cause.downcast_ref(),
        }
    })
}
