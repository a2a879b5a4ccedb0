//! Requests that are not answered, and the status that says so.

use std::time::Duration;

use offramp_models::Causes;
use offramp_runtime::backend::RunError;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

use super::metrics::Outcome;
use crate::oip::RETRY_AFTER_MS;
use crate::tensor::TensorError;

/// Why a request is not answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// No token, or a wrong one.
    #[error("a bearer token that this server knows is needed")]
    Token,
    /// A message beyond the limit.
    #[error("the message is too large: {found} bytes, at most {most} are taken")]
    TooLarge { most: usize, found: usize },
    /// A message that does not come to its end.
    #[error("the message was not there within {} ms", within.as_millis())]
    TooSlow { within: Duration },
    /// Too many messages at once.
    #[error("messages of more than {most} bytes are on their way in already")]
    NoRoom { most: usize },
    /// No such model.
    #[error("no model {model:?} is served here")]
    Model { model: String },
    /// No such version of it.
    #[error("model \"{model}\" is served in version {served}, not {found:?}")]
    Version { model: String, served: &'static str, found: String },
    /// A tensor is not the one expected.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// A tensor that the model does not take, or one that came twice.
    #[error("model \"{model}\" takes {expected} tensors, got {found}: {names}")]
    Inputs { model: String, expected: usize, found: usize, names: String },
    /// A tensor was asked for that the model does not give.
    #[error("model \"{model}\" gives no tensor {output:?}")]
    Output { model: String, output: String },
    /// A tensor was asked for twice.
    #[error("tensor {output:?} was asked for twice")]
    OutputTwice { output: String },
    /// Raw contents for some of the tensors.
    #[error("{inputs} tensors came with {contents} raw contents")]
    RawContents { inputs: usize, contents: usize },
    /// Raw and typed contents of one tensor.
    #[error("tensor \"{tensor}\" came with raw and with typed contents")]
    Twice { tensor: String },
    /// A number out of its type's range.
    #[error("tensor \"{tensor}\" is of {datatype} and holds {found} at element {element}")]
    Element { tensor: String, datatype: &'static str, element: usize, found: i64 },
    /// A type that has no typed contents.
    #[error("tensor \"{tensor}\" is of {datatype}, which comes in raw contents only")]
    Untyped { tensor: String, datatype: &'static str },
    /// More images than one batch.
    #[error("{found} images came at once, at most {most} are taken")]
    TooMany { most: usize, found: usize },
    /// The engine does not take the tensors' bytes.
    #[error("the tensors of the request do not fit the model")]
    Form(#[source] RunError),
    /// More requests wait than are let wait.
    #[error("{waiting} requests wait already, try again in {} ms", retry_after.as_millis())]
    Overload { waiting: usize, retry_after: Duration },
    /// The deadline passed before the model ran.
    #[error("the deadline passed while the request waited")]
    Expired,
    /// The server is about to end.
    #[error("the server is draining and takes no new requests")]
    Draining,
    /// The model's thread has ended.
    #[error("the model no longer runs")]
    Gone,
    /// The engine failed.
    #[error("the model failed")]
    Engine(#[source] RunError),
}

impl Refusal {
    fn code(&self) -> Code {
        match self {
            Self::Token => Code::Unauthenticated,
            Self::TooLarge { .. } | Self::NoRoom { .. } | Self::Overload { .. } => Code::ResourceExhausted,
            Self::TooSlow { .. } | Self::Expired => Code::DeadlineExceeded,
            Self::Model { .. } | Self::Version { .. } => Code::NotFound,
            Self::Tensor(_)
            | Self::Inputs { .. }
            | Self::Output { .. }
            | Self::OutputTwice { .. }
            | Self::RawContents { .. }
            | Self::Twice { .. }
            | Self::Element { .. }
            | Self::Untyped { .. }
            | Self::TooMany { .. }
            | Self::Form(_) => Code::InvalidArgument,
            Self::Draining => Code::Unavailable,
            Self::Gone | Self::Engine(_) => Code::Internal,
        }
    }
}

impl Refusal {
    /// How the request ended.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Overload { .. } => Outcome::Overload,
            Self::Expired => Outcome::Expired,
            Self::Draining => Outcome::Draining,
            Self::Gone | Self::Engine(_) => Outcome::Failed,
            _ => Outcome::Invalid,
        }
    }
}

/// Bytes of a message to a client: what came is quoted in it, however long it was.
const LONGEST: usize = 512;

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let (code, mut message) = (refusal.code(), Causes(&refusal).to_string());
        if message.len() > LONGEST {
            message.truncate(message.floor_char_boundary(LONGEST));
            message.push_str(" ..");
        }
        let mut metadata = MetadataMap::new();
        if let Refusal::Overload { retry_after, .. } = refusal {
            let milliseconds = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX);
            metadata.insert(RETRY_AFTER_MS, MetadataValue::from(milliseconds));
        }
        Self::with_metadata(code, message, metadata)
    }
}
