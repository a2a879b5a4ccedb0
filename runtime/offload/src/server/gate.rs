//! What every request passes before it is read, and its answer before it is sent: token, deadline, size.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::timeout_at;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::codegen::{BoxFuture, Service};
use tonic::service::Routes;
use tracing::{debug, warn};

use super::connection::Peer;
use super::inbound::Receiving;
use super::metrics::{Metrics, Turned};
use super::outbound::Sending;
use super::refusal::Refusal;
use super::seldom::Seldom;
use super::tokens::Tokens;

/// Whether the server lives is no secret: orchestrators ask without a token.
const OPEN: &str = "/grpc.health.v1.Health/";

/// When the answer to a request is of no use any more; an extension of every request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(pub(super) Instant);

/// Lets requests through to the routes.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    pub(super) routes: Routes,
    pub(super) tokens: Option<Arc<Tokens>>,
    pub(super) refused: Arc<Seldom>,
    pub(super) receiving: Arc<Receiving>,
    pub(super) sending: Arc<Sending>,
    pub(super) metrics: Arc<Metrics>,
    /// What a request without a deadline of its own is good for.
    pub(super) timeout: Duration,
}

impl Gate {
    /// Whether whoever asks brings what is asked of clients.
    fn knows(&self, request: &Request<Body>) -> bool {
        self.tokens.as_ref().is_none_or(|tokens| tokens.admit(request.headers()))
    }
}

impl Service<Request<Body>> for Gate {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<Body>>::poll_ready(&mut self.routes, context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let peer = request.extensions().get::<Peer>();
        let (known, open) = (self.knows(&request), request.uri().path().starts_with(OPEN));
        if !known && !open {
            let address = peer.map(|peer| peer.address);
            let path = request.uri().path();
            match self.refused.tell() {
                Some(requests) => {
                    warn!(?address, path, requests, "request turned away: no token that is known")
                }
                None => debug!(?address, path, "request turned away: no token that is known"),
            }
            self.metrics.turn_away(Turned::Unauthenticated);
            return Box::pin(async { Ok(Status::from(Refusal::Token).into_http()) });
        }
        // Who asks for the health without a token is answered, and leaves the seat to those who have one.
        if let Some(peer) = peer.filter(|_| known) {
            peer.introduce();
        }
        // Who watches the health is answered for as long as it wants.
        let reader = peer.filter(|_| !open).cloned().map(|peer| (Arc::clone(&self.sending), peer));
        let deadline = Instant::now() + timeout(request.headers()).unwrap_or(self.timeout);
        request.extensions_mut().insert(Deadline(deadline));
        let call = self.routes.call(request.map(|body| self.receiving.watch(body)));
        Box::pin(async move {
            let answer = match timeout_at(deadline.into(), call).await {
                Ok(answered) => answered?,
                Err(_) => Status::from(Refusal::Expired).into_http(),
            };
            Ok(match reader {
                Some((sending, peer)) => answer.map(|body| sending.watch(body, peer)),
                None => answer,
            })
        })
    }
}

/// The time that a client gives a request, at most eight digits and a unit. Source: gRPC over HTTP/2.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let (unit, digits) = headers.get("grpc-timeout")?.as_bytes().split_last()?;
    let amount: u32 = std::str::from_utf8(digits).ok().filter(|digits| digits.len() <= 8)?.parse().ok()?;
    let unit = match unit {
        b'H' => Duration::from_secs(3600),
        b'M' => Duration::from_secs(60),
        b'S' => Duration::from_secs(1),
        b'm' => Duration::from_millis(1),
        b'u' => Duration::from_micros(1),
        b'n' => Duration::from_nanos(1),
        _ => return None,
    };
    Some(unit * amount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_eight_digits_and_a_unit() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", value.parse().unwrap());
            timeout(&headers)
        };
        assert_eq!(of("250m"), Some(Duration::from_millis(250)));
        assert_eq!(of("7u"), Some(Duration::from_micros(7)));
        assert_eq!(of("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for odd in ["", "m", "250", "-1S", "123456789n", "1 S"] {
            assert_eq!(of(odd), None, "{odd}");
        }
        assert_eq!(timeout(&HeaderMap::new()), None);
    }
}
