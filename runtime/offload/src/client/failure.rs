//! Why a request had no answer, and what follows from it.
//!
//! Status codes do not tell: a local deadline and a reset connection are both `CANCELLED`, overload, a missing token and a link that is
//! down all `UNAVAILABLE`. So a failure is classed by code, cause, message and how far the call had come. A status with a cause was
//! made on this side; without one, the peer has spoken.

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tonic::{Code, Status, TimeoutExpired};

use super::config::ConfigError;
use super::message::MessageError;
use super::reply::ReplyError;

/// What a failure means for the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Class {
    /// The connection could not be made, or was lost.
    Link,
    /// The peer has too much to do: it is spared for a while.
    Overload,
    /// The peer is going away, or the model is gone: it must prove itself again.
    Draining,
    /// Asking again does not help: certificates, tokens, messages too large, wrong answers to known questions.
    Permanent,
    /// The peer takes another form of request than was agreed: it must prove itself again.
    Mismatch,
    /// No answer came in time.
    Deadline,
    /// An answer came that cannot be one.
    BadAnswer,
}

impl Class {
    /// All classes.
    pub const ALL: [Self; 7] = [
        Self::Link,
        Self::Overload,
        Self::Draining,
        Self::Permanent,
        Self::Mismatch,
        Self::Deadline,
        Self::BadAnswer,
    ];
}

/// How far a call had come when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing of an answer was there.
    Before,
    /// The answer had begun.
    Answering,
}

/// A call that failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// No connection.
    #[error("cannot connect")]
    Connect {
        #[source]
        source: tonic::transport::Error,
    },
    /// The TLS files cannot be used any more.
    #[error("cannot connect")]
    Files {
        #[source]
        source: ConfigError,
    },
    /// The connection was lost while the peer was proving itself.
    #[error("the connection was lost")]
    Lost,
    /// The connection was not there in time.
    #[error("no connection within {} ms", .within.as_millis())]
    ConnectTimeout { within: Duration },
    /// The call ended with a status.
    #[error("{}", spoken(.status))]
    Status {
        phase: Phase,
        #[source]
        status: Box<Status>,
    },
    /// The known question is larger than messages that are sent.
    #[error("the known question cannot be sent")]
    Message {
        #[source]
        source: MessageError,
    },
    /// No answer in time.
    #[error("no answer within {} ms", .within.as_millis())]
    Timeout { within: Duration },
    /// No answer to a known question in time.
    #[error("model \"{model}\" does not answer a known question within {} ms", .within.as_millis())]
    Slow { model: String, within: Duration },
    /// An answer that cannot be one.
    #[error("the answer cannot be used")]
    Reply {
        #[source]
        source: ReplyError,
    },
    /// The server takes no requests.
    #[error("the server says that it is not ready")]
    NotReady,
    /// The server serves none of the models.
    #[error("none of the models is served: {}", .models.join(", "))]
    NoModel { models: Vec<String> },
    /// The server describes a model otherwise than the bundle.
    #[error("model \"{model}\" is described otherwise: expected {expected}, got {found}")]
    Described { model: String, expected: String, found: String },
    /// The server answers a known question wrongly.
    #[error("model \"{model}\" answers a known question wrongly: {what}")]
    Canary { model: String, what: String },
}

impl Failure {
    /// What a call with `within` to go ended with.
    pub(super) fn of(status: Status, phase: Phase, within: Duration) -> Self {
        // The transport has a timer too, and now and then it is the first.
        let late =
            status.source().is_some_and(|source| chain(source).any(|cause| cause.is::<TimeoutExpired>()));
        if late { Self::Timeout { within } } else { Self::Status { phase, status: Box::new(status) } }
    }

    /// What it means for the peer.
    pub(super) fn class(&self) -> Class {
        match self {
            Self::Connect { source } if is_tls_refusal(source) => Class::Permanent,
            Self::Connect { .. } | Self::ConnectTimeout { .. } | Self::Lost => Class::Link,
            Self::Files { .. } => Class::Permanent,
            Self::Status { phase, status } => class(status, *phase),
            Self::Timeout { .. } | Self::Slow { .. } => Class::Deadline,
            Self::Reply { .. } => Class::BadAnswer,
            Self::NotReady => Class::Draining,
            Self::NoModel { .. } | Self::Described { .. } => Class::Mismatch,
            Self::Canary { .. } | Self::Message { .. } => Class::Permanent,
        }
    }

    /// Whether the request may be sent again: the link failed, and nothing of an answer was there. Inference is pure, so a
    /// request that was computed all the same does no harm.
    pub(super) fn may_retry(&self) -> bool {
        self.class() == Class::Link && !matches!(self, Self::Status { phase: Phase::Answering, .. })
    }

    /// Whether the message is larger than the peer takes.
    pub(super) fn is_too_large(&self) -> bool {
        matches!(self, Self::Status { phase: Phase::Before, status } if is_too_large(status))
    }

    /// Whether the peer does not know the model.
    pub(super) fn is_unknown_model(&self) -> bool {
        matches!(self, Self::Status { status, .. } if status.code() == Code::NotFound)
    }

    /// For how long the peer wants to be spared.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let Self::Status { status, .. } = self else { return None };
        let text = status.metadata().get(crate::oip::RETRY_AFTER_MS)?.to_str().ok()?;
        text.trim().parse().ok().map(Duration::from_millis)
    }

    /// The failure with all its causes, in one line.
    pub(super) fn told(&self) -> String {
        let mut text = self.to_string();
        let mut cause = match self {
            // Its own text is in the failure's.
            Self::Status { status, .. } => status.source(),
            other => other.source(),
        };
        while let Some(next) = cause {
            let said = next.to_string();
            // Wrappers repeat what they wrap.
            if !text.ends_with(&said) {
                let _written = write!(text, ": {said}");
            }
            cause = next.source();
        }
        if let Some((_, means)) = MEANINGS.iter().find(|(said, _)| text.contains(said)) {
            let _written = write!(text, " ({means})");
        }
        text
    }
}

/// What TLS and HTTP/2 say in words of their own, and what it means for whoever set the two ends up.
const MEANINGS: [(&str, &str); 8] = [
    ("UnknownIssuer", "the authority that this device was given did not sign the server's certificate"),
    (
        "CaUsedAsEndEntity",
        "the server shows the certificate of an authority: it needs one of its own, signed by that",
    ),
    ("NotValidForName", "the server's certificate is for other names than the address"),
    ("Expired", "the server's certificate is no longer valid, or the clock of this device is wrong"),
    ("CertificateRequired", "the server wants a certificate of this device"),
    ("fatal alert", "the server refuses the certificate of this device"),
    ("frame with invalid size", "that is no plain gRPC: a server that speaks TLS is at grpcs://"),
    ("InvalidContentType", "that is no TLS: a server without it is at grpc://"),
];

fn class(status: &Status, phase: Phase) -> Class {
    if let Some(source) = status.source() {
        return if is_tls_refusal(source) { Class::Permanent } else { Class::Link };
    }
    let says = |text: &str| status.message().contains(text);
    match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => Class::Permanent,
        // Triton says so to a missing or wrong token, and when its queue is full.
        Code::Unavailable if says("restricted") => Class::Permanent,
        Code::Unavailable if says("maximum queue size") => Class::Overload,
        Code::ResourceExhausted | Code::OutOfRange if is_too_large(status) => match phase {
            Phase::Before => Class::Permanent,
            Phase::Answering => Class::BadAnswer,
        },
        Code::ResourceExhausted => Class::Overload,
        // Triton says `NOT_FOUND` while it shuts down.
        Code::Unavailable | Code::NotFound | Code::Cancelled => Class::Draining,
        Code::DeadlineExceeded => Class::Deadline,
        _ => Class::Mismatch,
    }
}

/// gRPC's libraries have two codes and two wordings for it; a hint to come back later is never one of them.
fn is_too_large(status: &Status) -> bool {
    let says = |text: &str| status.message().contains(text);
    match status.code() {
        Code::OutOfRange => says("too large"),
        Code::ResourceExhausted => {
            !status.metadata().contains_key(crate::oip::RETRY_AFTER_MS)
                && (says("larger than") || says("too large"))
        }
        _ => false,
    }
}

/// Whether certificates were refused, by either side. Below HTTP/2 only the text of the cause is left of it.
fn is_tls_refusal(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|cause| {
        let text = cause.to_string();
        text.contains("invalid peer certificate") || text.contains("received fatal alert")
    })
}

fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// What the peer or the transport said.
fn spoken(status: &Status) -> String {
    match status.message() {
        "" => status.code().description().to_owned(),
        message => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before(status: Status) -> Failure {
        Failure::of(status, Phase::Before, Duration::from_millis(5))
    }

    fn of(status: Status) -> (Class, bool) {
        let failure = before(status);
        (failure.class(), failure.may_retry())
    }

    #[test]
    fn what_peers_say_is_classed_as_the_table_of_measured_servers_has_it() {
        let mut busy = Status::resource_exhausted("queue of 64 is full");
        busy.metadata_mut().insert(crate::oip::RETRY_AFTER_MS, "35".parse().unwrap());
        let hinted = before(busy.clone());
        assert_eq!(hinted.retry_after(), Some(Duration::from_millis(35)));
        let cases = [
            (Status::deadline_exceeded("late"), Class::Deadline),
            (Status::unavailable("Exceeds maximum queue size"), Class::Overload),
            (Status::unavailable("This protocol is restricted, expecting header"), Class::Permanent),
            (Status::unauthenticated("no token"), Class::Permanent),
            (Status::permission_denied("not you"), Class::Permanent),
            (busy, Class::Overload),
            (Status::resource_exhausted("busy"), Class::Overload),
            (Status::resource_exhausted("Received message larger than max (9 vs. 8)"), Class::Permanent),
            (Status::out_of_range("Error, decoded message length too large: found 9"), Class::Permanent),
            (Status::unavailable("Server is stopping"), Class::Draining),
            (Status::not_found("Request for unknown model: 'm' has no available versions"), Class::Draining),
            (Status::invalid_argument("unexpected shape"), Class::Mismatch),
            (Status::internal("onnx runtime error"), Class::Mismatch),
            (Status::unimplemented("no such method"), Class::Mismatch),
        ];
        for (status, expected) in cases {
            assert_eq!(of(status.clone()), (expected, false), "{status}");
        }
    }

    #[test]
    fn a_status_that_was_made_here_is_of_the_link_unless_its_cause_says_otherwise() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert_eq!(of(Status::from_error(refused.into())), (Class::Link, true));
        assert_eq!(of(Status::from_error(TimeoutExpired(()).into())), (Class::Deadline, false));
        let unknown = std::io::Error::other("invalid peer certificate: UnknownIssuer");
        assert_eq!(of(Status::from_error(unknown.into())), (Class::Permanent, false));
    }

    #[test]
    fn an_answer_that_had_begun_is_not_asked_for_twice() {
        let cut = Status::from_error(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into());
        let failure = Failure::of(cut, Phase::Answering, Duration::ZERO);
        assert_eq!((failure.class(), failure.may_retry()), (Class::Link, false));
        let large = Status::out_of_range("Error, decoded message length too large: found 8388608 bytes");
        assert_eq!(Failure::of(large, Phase::Answering, Duration::ZERO).class(), Class::BadAnswer);
    }

    #[test]
    fn what_only_a_protocol_understands_is_told_with_what_it_means() {
        let told =
            |text: &str| before(Status::from_error(std::io::Error::other(text.to_owned()).into())).told();
        assert_eq!(
            told("received fatal alert: CertificateRequired"),
            "received fatal alert: CertificateRequired (the server wants a certificate of this device)"
        );
        assert!(told("received fatal alert: UnknownCA").ends_with("refuses the certificate of this device)"));
        assert!(told("connection error detected: frame with invalid size").ends_with("is at grpcs://)"));
    }

    #[test]
    fn causes_are_told_once_each() {
        let reset = std::io::Error::other("connection reset by peer");
        let failure = before(Status::from_error(reset.into()));
        assert_eq!(failure.told(), "connection reset by peer");
        let nothing = before(Status::new(Code::Unavailable, ""));
        assert_eq!(nothing.told(), "The service is currently unavailable");
    }
}
