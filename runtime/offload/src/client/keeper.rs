//! The task that keeps a peer: it connects, lets the peer prove itself, and tries it again when its breaker says so.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Instant;

use tokio::time::sleep_until;

use super::breaker::State;
use super::endpoint::endpoint;
use super::failure::{Class, Failure};
use super::handshake::Handshake;
use super::model::Model;
use super::peer::Peer;
use super::session::{Line, Session};
use super::summary::Standing;

/// What is done next.
enum Due {
    Proof,
    Recheck,
    Wait(Option<Instant>),
}

/// Keeps `peer` for as long as it is polled.
pub(super) async fn keep(peer: Arc<Peer>) {
    loop {
        match due(&peer, Instant::now()) {
            Due::Proof => prove(&peer).await,
            Due::Recheck => recheck(&peer).await,
            Due::Wait(None) => peer.wake.notified().await,
            Due::Wait(Some(until)) => {
                tokio::select! {
                    () = peer.wake.notified() => {}
                    // A peer that was spared can be used again.
                    () = sleep_until(until.into()) => peer.change(|_| {}),
                }
            }
        }
    }
}

fn due(peer: &Peer, now: Instant) -> Due {
    let known = peer.known();
    match (known.breaker.proof_due(), known.recheck) {
        (Some(at), _) if at <= now => Due::Proof,
        (Some(at), _) => Due::Wait(Some(at)),
        (None, Some(at)) if at <= now => Due::Recheck,
        (None, recheck) => Due::Wait(recheck.into_iter().chain(known.breaker.spared_until(now)).min()),
    }
}

/// Lets the peer prove itself, in the connection that there is or in a new one.
async fn prove(peer: &Arc<Peer>) {
    let (session, was) = {
        let mut known = peer.known();
        let was = known.breaker.state();
        known.breaker.probe();
        // Whoever was disabled may have other certificates by now.
        (known.session.take().filter(|session| was != State::Disabled && !session.line.is_over()), was)
    };
    let proof = shake_hands(peer, session).await;
    let recheck = Instant::now() + peer.terms.config.breaker.recheck;
    let proof = proof.and_then(|(session, standing)| {
        peer.change(|known| {
            // Under the lock: from here on the connection's end is noticed by itself.
            if session.line.is_over() {
                return Err(Failure::Lost);
            }
            known.handshakes.held += 1;
            known.recheck = standing.iter().any(|stands| *stands != Standing::Proven).then_some(recheck);
            (known.standing, known.session) = (standing, Some(session));
            known.breaker.proved(Instant::now());
            Ok(())
        })
    });
    match proof {
        Ok(()) => tracing::info!(peer = %peer.address, ?was, "the peer can be used"),
        Err(failure) => peer.fail(&failure, |known| {
            known.handshakes.failed += 1;
            true
        }),
    }
}

async fn shake_hands(
    peer: &Arc<Peer>,
    session: Option<Arc<Session>>,
) -> Result<(Arc<Session>, Vec<Standing>), Failure> {
    let mut session = match session {
        Some(session) => session,
        None => connect(peer).await?,
    };
    if handshake(peer, &session).greet().await? && !session.pings_idle {
        // Whether it is pinged is settled when a connection is made.
        peer.pings_idle.store(true, Ordering::Relaxed);
        session = connect(peer).await?;
        handshake(peer, &session).greet().await?;
    }
    let models = &peer.terms.models;
    let mut standing = vec![Standing::Slow; models.len()];
    let mut last = None;
    for at in smallest_first(models) {
        let model = &models[at];
        let (stands, failure) = handshake(peer, &session).prove(at).await?;
        if let Some(failure) = &failure {
            let error = peer.redacted(failure);
            let model = &model.name;
            match stands {
                Standing::Refused => {
                    tracing::error!(peer = %peer.address, model, error, "the model is not used");
                }
                Standing::Slow => {
                    tracing::warn!(peer = %peer.address, model, error, "it and larger ones are not used");
                }
                _ => tracing::warn!(peer = %peer.address, model, error, "the model is not served"),
            }
        }
        standing[at] = stands;
        last = failure.or(last);
        if stands == Standing::Slow {
            break;
        }
    }
    if standing.contains(&Standing::Proven) {
        return Ok((session, standing));
    }
    let models = || peer.terms.models.iter().map(|model| model.name.clone()).collect();
    Err(match last {
        Some(failure) if !failure.is_unknown_model() => failure,
        _ => Failure::NoModel { models: models() },
    })
}

/// Places of models, the least to send first: what takes longer than one that takes too long is not tried.
fn smallest_first(models: &[Model]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..models.len()).collect();
    places.sort_by_key(|at| models[*at].bytes_per_image());
    places
}

/// Asks again about the models that were not proven.
async fn recheck(peer: &Arc<Peer>) {
    let (session, standing) = {
        let mut known = peer.known();
        known.recheck = None;
        (known.session.clone(), known.standing.clone())
    };
    let Some(session) = session else { return };
    let models = &peer.terms.models;
    let later = || Some(Instant::now() + peer.terms.config.breaker.recheck);
    for at in smallest_first(models).into_iter().filter(|at| standing[*at] != Standing::Proven) {
        match handshake(peer, &session).prove(at).await {
            Ok((stands, _)) => {
                peer.change(|known| {
                    known.standing[at] = stands;
                    if stands != Standing::Proven {
                        known.recheck = later();
                    }
                });
                if stands == Standing::Slow {
                    return;
                }
            }
            Err(failure) => {
                return peer.fail(&failure, |known| {
                    let (class, current) = (failure.class(), known.uses(&session));
                    if current && matches!(class, Class::Link | Class::Draining | Class::Permanent) {
                        known.session = None;
                    }
                    // A peer that is busy is used as before, and asked another time.
                    known.recheck = later();
                    current || class == Class::Link
                });
            }
        }
    }
}

fn handshake<'s>(peer: &'s Peer, session: &'s Session) -> Handshake<'s> {
    Handshake { session, peer }
}

async fn connect(peer: &Arc<Peer>) -> Result<Arc<Session>, Failure> {
    let endpoint =
        endpoint(&peer.address, &peer.terms.config.tls).map_err(|source| Failure::Files { source })?;
    let told: Weak<Peer> = Arc::downgrade(peer);
    let line = Line::new(Arc::clone(&peer.traffic), move |line| {
        if let Some(peer) = told.upgrade() {
            peer.lost(line);
        }
    });
    let (host, port) = peer.address.host_and_port();
    let pings_idle = peer.pings_idle.load(Ordering::Relaxed);
    let within = peer.terms.config.handshake;
    let session = Session::open(&endpoint, (host.to_owned(), port), line, pings_idle, within).await?;
    peer.known().connections += 1;
    Ok(Arc::new(session))
}
