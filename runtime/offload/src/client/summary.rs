//! What a client has seen, in figures.

use std::fmt::{self, Write as _};

use offramp_runtime::remote::By;
use offramp_runtime::statistics::Latency;
use serde::{Deserialize, Serialize};

use super::breaker::State;
use super::failure::Class;

/// What a client has seen so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Every peer, in the order of the client's list.
    pub peers: Vec<PeerSummary>,
    /// Every cut with a model, by cut.
    pub cuts: Vec<CutSummary>,
    /// Requests that were not made.
    pub declined: Declined,
    /// Requests that were made again, at another peer or in another connection.
    pub retries: u64,
}

impl Summary {
    /// The summary as plain text: a line for every peer, and what was not sent.
    pub fn table(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_table(&mut text);
        text
    }

    fn write_table(&self, text: &mut String) -> fmt::Result {
        for peer in &self.peers {
            let PeerSummary { peer, state, requests, round_trip_s, last_error, .. } = peer;
            // A circuit that is closed lets requests through: to others the word says the contrary.
            let state = if *state == State::Closed { "in use".to_owned() } else { state.to_string() };
            write!(
                text,
                "peer {peer} ({state}): answered {} of {} requests",
                requests.answered,
                requests.total()
            )?;
            if let Some(Latency { p50, p99, .. }) = round_trip_s {
                write!(text, ", p50 {:.3} ms, p99 {:.3} ms", p50 * 1e3, p99 * 1e3)?;
            }
            match last_error {
                Some(error) => writeln!(text, "; last error: {error}")?,
                None => writeln!(text)?,
            }
        }
        let probes: u64 = self.cuts.iter().map(|cut| cut.probes).sum();
        if probes > 0 {
            writeln!(
                text,
                "{probes} requests had copies of images that stayed, to learn what sending costs"
            )?;
        }
        let Declined { no_peer, too_large, too_late, unfit } = self.declined;
        if self.declined != Declined::default() {
            writeln!(
                text,
                "not sent: no peer {no_peer}, too large {too_large}, too late {too_late}, unfit {unfit}"
            )?;
        }
        Ok(())
    }
}

/// What was seen of one peer. A request that was made twice is one request at each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerSummary {
    /// Its address.
    pub peer: String,
    /// Where it stands.
    pub state: State,
    /// Models, and whether it serves them.
    pub models: Vec<ModelSummary>,
    /// Requests that have ended, by their outcome.
    pub requests: Outcomes,
    /// Bytes sent over its connections, with all of TLS and HTTP/2.
    pub sent_bytes: u64,
    /// Bytes received, likewise.
    pub received_bytes: u64,
    /// Connections made.
    pub connections: u64,
    /// Handshakes that held, and that did not.
    pub handshakes: Handshakes,
    /// How often it was left alone after failures in a row.
    pub openings: u64,
    /// Of requests that were answered: from sending to the checked answer.
    pub round_trip_s: Option<Latency>,
    /// What it says that it spent on them, queueing included; null for peers that do not say.
    pub server_s: Option<Latency>,
    /// The latest error, without secrets.
    pub last_error: Option<String>,
}

/// A model at a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelSummary {
    /// The model's name.
    pub model: String,
    /// Whether it is served.
    pub standing: Standing,
}

/// Whether a peer serves a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It has not been asked.
    Unproven,
    /// It answered a known question rightly.
    Proven,
    /// It does not serve it.
    Missing,
    /// It answered a known question wrongly, or does not take messages of that size.
    Refused,
    /// A known question takes too long, or that of a model with less to send does.
    Slow,
}

/// Requests by what came of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes {
    /// An answer was believed.
    pub answered: u64,
    /// Another answer was taken before one came.
    pub abandoned: u64,
    /// See [`Class::Link`].
    pub link: u64,
    /// See [`Class::Overload`].
    pub overload: u64,
    /// See [`Class::Draining`].
    pub draining: u64,
    /// See [`Class::Permanent`].
    pub permanent: u64,
    /// See [`Class::Mismatch`].
    pub mismatch: u64,
    /// See [`Class::Deadline`].
    pub deadline: u64,
    /// See [`Class::BadAnswer`].
    pub bad_answer: u64,
}

impl Outcomes {
    pub(super) fn count(&mut self, class: Class) {
        let slot = match class {
            Class::Link => &mut self.link,
            Class::Overload => &mut self.overload,
            Class::Draining => &mut self.draining,
            Class::Permanent => &mut self.permanent,
            Class::Mismatch => &mut self.mismatch,
            Class::Deadline => &mut self.deadline,
            Class::BadAnswer => &mut self.bad_answer,
        };
        *slot += 1;
    }

    /// Requests in all.
    pub fn total(&self) -> u64 {
        let Self { answered, abandoned, link, overload, draining, permanent, mismatch, deadline, bad_answer } =
            *self;
        answered + abandoned + link + overload + draining + permanent + mismatch + deadline + bad_answer
    }
}

/// Handshakes by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handshakes {
    /// At least one model was proven.
    pub held: u64,
    /// None was.
    pub failed: u64,
}

/// Images that were sent at a cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutSummary {
    /// The segment that would have run next.
    pub cut: usize,
    /// Images sent that have their answer.
    pub images: u64,
    /// Of these, answers that were a peer's.
    pub by_peer: u64,
    /// Answers that the device computed itself.
    pub by_device: u64,
    /// Answers that are the best exit so far.
    pub degraded: u64,
    /// Requests with copies of images that stayed, made to learn what that costs.
    pub probes: u64,
}

impl CutSummary {
    pub(super) fn count(&mut self, by: By) {
        self.images += 1;
        *match by {
            By::Peer => &mut self.by_peer,
            By::Device => &mut self.by_device,
            By::Degraded => &mut self.degraded,
        } += 1;
    }
}

/// Requests that were not made, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declined {
    /// Images were to be sent, and no peer could be used.
    pub no_peer: u64,
    /// The message would have been too large, or of more images than the peer has taken at once.
    pub too_large: u64,
    /// The deadline had passed.
    pub too_late: u64,
    /// What crosses the cut is not what the model takes, or cannot be read.
    pub unfit: u64,
}
