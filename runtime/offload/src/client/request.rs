//! One request, from being sent to its end: answered, failed, or given up.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

use bytes::Bytes;
use offramp_runtime::remote::{Completion, Pending, Waited};
use tokio::task::AbortHandle;

use super::failure::Failure;
use super::peer::Peer;
use super::reply::{self, Reply};
use super::session::Session;
use crate::placement::{End, Observed};

/// Where a model can be asked.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) peer: Arc<Peer>,
    pub(super) session: Arc<Session>,
}

/// The first of `peers` that can be asked about so many images for `model`, in another session than `not`.
pub(super) fn route(
    peers: &[Arc<Peer>],
    (model, images): (usize, usize),
    not: Option<&Arc<Session>>,
) -> Option<Route> {
    peers.iter().find_map(|peer| {
        let session = peer.session(model, images)?;
        let other = not.is_none_or(|not| !Arc::ptr_eq(not, &session));
        other.then(|| Route { peer: Arc::clone(peer), session })
    })
}

/// What is asked.
pub(super) struct Question {
    /// Its number among the client's models.
    pub(super) model: usize,
    pub(super) cut: usize,
    pub(super) images: usize,
    pub(super) message: Bytes,
    pub(super) sent: Instant,
    pub(super) deadline: Instant,
}

impl Question {
    /// Asks along `route`, and once more along another if the link fails before anything of an answer is there.
    pub(super) async fn ask(self, route: Route, peers: Arc<[Arc<Peer>]>) -> Option<Completion> {
        let first =
            Attempt { question: &self, route: route.clone(), sent: self.sent, teaches: true, ended: false };
        let (failure, used) = match first.run().await {
            Ok(completion) => return Some(completion),
            Err(failure) => (failure, route),
        };
        let terms = &used.peer.terms;
        if !failure.may_retry() || Instant::now() >= self.deadline {
            return None;
        }
        let other = self::route(&peers, (self.model, self.images), Some(&used.session))?;
        if !terms.retries(|budget| budget.retry()) {
            return None;
        }
        let teaches = other.peer.leads(self.model);
        let second = Attempt { question: &self, route: other, sent: Instant::now(), teaches, ended: false };
        second.run().await.ok()
    }
}

/// A request on its way to one peer; it ends exactly once, dropped at the latest.
struct Attempt<'a> {
    question: &'a Question,
    route: Route,
    sent: Instant,
    /// Whether the next question goes the same way, so that the placement is to learn of it.
    teaches: bool,
    ended: bool,
}

impl Attempt<'_> {
    async fn run(self) -> Result<Completion, Failure> {
        let terms = Arc::clone(&self.route.peer.terms);
        let Question { model, images, ref message, deadline, .. } = *self.question;
        let model = &terms.models[model];
        let (session, most) = (&self.route.session, reply::most(model, images));
        let answer = session.infer(message.clone(), &terms.credentials, most, deadline).await;
        let checked = answer.and_then(|message| {
            let bytes = message.len();
            let checked = reply::check(model, images, message);
            Ok((checked.map_err(|source| Failure::Reply { source })?, bytes))
        });
        match checked {
            Ok((reply, bytes)) => {
                self.answered(&reply, bytes);
                Ok(Completion { logits: reply.logits })
            }
            Err(failure) => {
                self.failed(&failure);
                Err(failure)
            }
        }
    }

    fn answered(mut self, reply: &Reply, bytes: usize) {
        let took = self.sent.elapsed();
        self.route.peer.answered(took, reply.server);
        self.end(End::Answer { bytes, took, server: reply.server });
    }

    fn failed(mut self, failure: &Failure) {
        let after = self.sent.elapsed();
        let Question { model, images, .. } = *self.question;
        self.route.peer.request_failed(&self.route.session, (model, images), failure);
        let given_up = matches!(failure, Failure::Timeout { .. });
        self.end(if given_up { End::Unanswered { after } } else { End::Failed { after } });
    }

    fn end(&mut self, end: End) {
        self.ended = true;
        if !self.teaches {
            return;
        }
        let Question { cut, images, ref message, .. } = *self.question;
        let (sent, request_bytes) = (self.sent, message.len());
        self.route.peer.terms.observe(Observed { cut, images, request_bytes, sent, end });
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.route.peer.abandoned(&self.route.session);
            self.end(End::Unanswered { after: self.sent.elapsed() });
        }
    }
}

/// A request, for the executor to wait for.
pub(super) struct Request {
    pub(super) answer: Receiver<Option<Completion>>,
    pub(super) task: AbortHandle,
}

impl Pending for Request {
    fn wait(&mut self, until: Instant) -> Waited {
        let left = until.saturating_duration_since(Instant::now());
        match self.answer.recv_timeout(left) {
            Ok(Some(completion)) => Waited::Answer(completion),
            Ok(None) | Err(RecvTimeoutError::Disconnected) => Waited::Failed,
            Err(RecvTimeoutError::Timeout) => Waited::NotYet,
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.task.abort();
    }
}
