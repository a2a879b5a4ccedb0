//! How a command ends, and how an error is told.

use std::io;

#[cfg(feature = "full")]
use offramp_exporter::ExportError;
use offramp_firmware_host::{PortError, RailsError, RecorderError};
use offramp_models::BundleError;
use offramp_models::dataset::DataError;
use offramp_offload::client::ConfigError;
use offramp_offload::server::{ModelError, ServeError, TokenError};
use offramp_runtime::backend::{BackendError, LibraryError};
use offramp_runtime::calibrate::CalibrateError;
use offramp_runtime::meter::MeterError;
use offramp_runtime::prepare::PrepareError;
#[cfg(feature = "full")]
use offramp_study::campaign::CampaignError;
#[cfg(feature = "full")]
use offramp_study::oracle::OpenError;

use crate::output;

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

/// A usage error, and what to say instead.
pub fn usage(message: impl Into<String>, advice: impl Into<String>) -> anyhow::Error {
    hint(UsageError { message: message.into() }, advice)
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
pub fn explain(error: &anyhow::Error) -> Status {
    if broken_pipe(error) {
        return Status::Done;
    }
    output::note(format!("error: {error:#}"));
    if let Some(hint) = find_hint(error) {
        output::note(format!("\nhint: {hint}"));
    }
    status_of(error)
}

fn status_of(error: &anyhow::Error) -> Status {
    if let Some(hinted) = error.downcast_ref::<Hinted>() {
        return status_of(&hinted.source);
    }
    #[cfg(feature = "full")]
    if let Some(
        ExportError::Proof { .. }
        | ExportError::ForwardProof { .. }
        | ExportError::GradientProof { .. }
        | ExportError::GradientNotFinite { .. }
        | ExportError::TailProof { .. }
        | ExportError::TailNotFinite { .. },
    ) = error.downcast_ref()
    {
        return Status::NotHeld;
    }
    if let Some(CalibrateError::Infeasible { .. }) = error.downcast_ref() {
        return Status::NotHeld;
    }
    if error.is::<UsageError>() { Status::Usage } else { Status::Failed }
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
    if let Some(BundleError::NoManifest { .. } | BundleError::Read { .. }) = error.downcast_ref() {
        return Some("a bundle is a folder that `offramp split` writes".to_owned());
    }
    if let Some(DataError::Read { .. } | DataError::Kind { .. } | DataError::Empty { .. }) =
        error.downcast_ref()
    {
        return Some("--help says what DATA may be".to_owned());
    }
    if let Some(DataError::Uneven { .. }) = error.downcast_ref() {
        return Some(
            "an archive holds pictures of one size and kind, colour or grey: bring them to one first"
                .to_owned(),
        );
    }
    if let Some(error) = error.downcast_ref::<ConfigError>() {
        return client_hint(error).map(str::to_owned);
    }
    if let Some(error) = error.downcast_ref::<ServeError>() {
        return serve_hint(error).map(str::to_owned);
    }
    if let Some(remedy) = error.chain().find_map(|cause| port_error(cause)?.remedy()) {
        return Some(format!("{remedy}; `offramp board list` lists the ports"));
    }
    if let Some(rails) = error.chain().find_map(|cause| cause.downcast_ref::<RailsError>()) {
        return rails_hint(rails).map(str::to_owned);
    }
    if let Some(RecorderError::NoLines { header: Some(_), .. }) = error.downcast_ref() {
        return Some("board meter --csv FIELD,.. or --meter csv:PORT#FIELD,.. names the fields".to_owned());
    }
    if error.chain().any(|cause| matches!(cause.downcast_ref(), Some(RecorderError::Link { .. }))) {
        let advice = "`offramp board monitor PORT --lines` shows what it says; @BAUD behind the port is its speed, and csv: or --csv reads lines";
        return Some(advice.to_owned());
    }
    if let Some(error) = error.chain().find_map(|cause| cause.downcast_ref::<MeterError>()) {
        return Some(
            error.remedy().unwrap_or("`offramp meter list` tells what there is, and why not more").to_owned(),
        );
    }
    let advice = match backend_error(error)? {
        BackendError::Library(LibraryError::NotFound { .. }) => {
            "set ORT_DYLIB_PATH to libonnxruntime.so, run scripts/set-up, or use --backend tract"
        }
        BackendError::Library(_) => "set ORT_DYLIB_PATH to another library, or use --backend tract",
        BackendError::Provider { .. } => {
            "`offramp doctor` lists the providers of this machine; --backend ort runs on the CPU"
        }
        BackendError::Operator { .. } | BackendError::Run(_) => "try another --backend",
        BackendError::Elsewhere { .. } => "--backend ort runs the network on the CPU, and says so",
        _ => return None,
    };
    Some(advice.to_owned())
}

fn rails_hint(error: &RailsError) -> Option<&'static str> {
    Some(match error {
        RailsError::NoPower => "docs/wire.md says which channels are power",
        RailsError::Several { .. } | RailsError::Missing { .. } => "--rail NAME,.. names rails to add",
    })
}

fn client_hint(error: &ConfigError) -> Option<&'static str> {
    Some(match error {
        ConfigError::NoCa { .. } => {
            "--ca names a PEM file with the certificate of who vouches for the server"
        }
        ConfigError::NoTlsPeer => "a server that speaks TLS is at grpcs://HOST:PORT",
        ConfigError::NoCertificate { .. } | ConfigError::NoKey { .. } | ConfigError::Tls { .. } => {
            "--ca, --cert and --key take PEM files"
        }
        ConfigError::Token { .. } => "--token-file holds one token and nothing else",
        _ => return None,
    })
}

fn serve_hint(error: &ServeError) -> Option<&'static str> {
    Some(match error {
        ServeError::Listen { .. } => "another server may have the port; port 0 takes a free one",
        ServeError::NoModels => "`offramp split --tails` writes what a server runs",
        ServeError::Twice { .. } => "name every bundle once",
        ServeError::Pem { .. } => "--tls-cert, --tls-key and --client-ca take PEM files",
        ServeError::Tls { .. } => "--tls-key is the key that --tls-cert was issued for",
        ServeError::Tokens(TokenError::None { .. }) => "--token-file holds one token a line",
        ServeError::Model { .. } => "try another --backend",
        _ => return None,
    })
}

/// What is wrong with a serial port; a recorder passes it on as its own.
fn port_error<'e>(cause: &'e (dyn std::error::Error + 'static)) -> Option<&'e PortError> {
    match cause.downcast_ref::<RecorderError>() {
        Some(RecorderError::Port(error)) => Some(error),
        _ => cause.downcast_ref(),
    }
}

/// The engine's error in a chain; transparent wrappers hide it from [`std::error::Error::source`].
fn backend_error(error: &anyhow::Error) -> Option<&BackendError> {
    error.chain().find_map(|cause| {
        #[cfg(feature = "full")]
        if let Some(error) = cause.downcast_ref::<ExportError>() {
            return error.refused_by_backend();
        }
        #[cfg(feature = "full")]
        if let Some(error) = cause.downcast_ref::<CampaignError>() {
            return error.refused_by_backend();
        }
        #[cfg(feature = "full")]
        if let Some(error) = cause.downcast_ref::<OpenError>() {
            return error.refused_by_backend();
        }
        if let Some(error) = cause.downcast_ref::<PrepareError>() {
            return refused_by_backend(error);
        }
        match cause.downcast_ref::<ModelError>() {
            Some(error) => tail_refused_by_backend(error),
            None => cause.downcast_ref(),
        }
    })
}

/// The backend's part in a bundle that cannot be prepared.
pub fn refused_by_backend(error: &PrepareError) -> Option<&BackendError> {
    match error {
        PrepareError::Backend(error) => Some(error),
        _ => None,
    }
}

/// The backend's part in a tail that cannot be prepared.
pub fn tail_refused_by_backend(error: &ModelError) -> Option<&BackendError> {
    match error {
        ModelError::Backend(error) => Some(error),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(feature = "full")]
    fn a_check_that_was_asked_for_and_does_not_hold_is_status_3_with_or_without_a_hint() {
        let proof = || offramp_exporter::ExportError::Proof { exit: 1, difference: 0.5, tolerance: 1e-4 };
        assert_eq!(status_of(&proof().into()), Status::NotHeld);
        assert_eq!(status_of(&hint(proof(), "allow more")), Status::NotHeld);
        let refused = offramp_exporter::ExportError::NotStatic { found: 2 };
        assert_eq!(status_of(&hint(refused, "leave it out")), Status::Failed);
    }

    #[test]
    fn a_usage_error_is_status_2_and_a_closed_pipe_is_no_error() {
        assert_eq!(status_of(&usage("a", "b")), Status::Usage);
        let closed = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("cannot write");
        assert_eq!(explain(&closed), Status::Done);
    }
}
