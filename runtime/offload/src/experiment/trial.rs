//! One way, tried on one input.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::rc::Rc;

use offramp_runtime::bench::{Sample, Subject, SubjectError, WarmedUp};
use offramp_runtime::executor::{Executor, Offload};
use offramp_runtime::feed::Feed;
use offramp_runtime::replay::mean_exit;
use offramp_runtime::report::Tally;
use offramp_runtime::statistics::Latency;
use tokio::runtime::Handle;

use super::{ExperimentError, Input, Stage, Tried};
use crate::client::{self, Address, Client, PeerSummary, Summary};
use crate::link::{Control, Link};
use crate::placement::Way;

/// A way on an input, with its client and its link.
pub(super) struct Trial<'a> {
    way: Way,
    input: &'a Input<'a>,
    client: Option<Client>,
    /// Held while the client uses it.
    link: Option<Link>,
    counts: Rc<RefCell<Counts>>,
}

/// What is counted while it runs.
#[derive(Default)]
pub(super) struct Counts {
    exits: usize,
    tally: Tally,
    /// Seconds of every image, in order.
    seconds: Vec<f64>,
    /// Images so far, those of the warm-up too.
    images: usize,
}

impl Counts {
    fn new(exits: usize) -> Self {
        let mut tally = Tally::new(exits);
        tally.watch_offload();
        Self { exits, tally, ..Self::default() }
    }

    /// Takes what was measured so far, and begins anew.
    pub(super) fn begin_anew(&mut self) -> Self {
        let anew = Self { images: self.images, ..Self::new(self.exits) };
        std::mem::replace(self, anew)
    }

    /// Seconds in blocks of so many images.
    pub(super) fn blocks(&self, images: usize) -> Vec<Vec<f64>> {
        self.seconds.chunks(images.max(1)).map(<[f64]>::to_vec).collect()
    }
}

impl<'a> Trial<'a> {
    /// Connects, where the way needs it; why not, where no peer can be used for it.
    pub(super) fn new(
        stage: &Stage<'_>,
        way: Way,
        input: &'a Input<'a>,
        runtime: &Handle,
    ) -> Result<Result<Self, String>, ExperimentError> {
        let counts = Rc::new(RefCell::new(Counts::new(stage.pipeline.exits().len())));
        let models = stage.models.iter().filter(|model| way.sends_at(model.cut));
        let models: Vec<_> = models.cloned().collect();
        if models.is_empty() && way != Way::Local {
            return Ok(Err("there is no tail for it".to_owned()));
        }
        let Some(place) = way.place(stage.deadline, stage.budget) else {
            return Ok(Ok(Self { way, input, client: None, link: None, counts }));
        };
        let link = stage.link.map(|(profile, server)| Link::start(profile, server, runtime, |_| {}));
        let link = link.transpose()?;
        let peers = match &link {
            Some(link) => vec![Address::plain(link.address().ip().to_string(), link.address().port())],
            None => stage.client.peers.clone(),
        };
        let config = client::Config { peers, ..stage.client.clone() };
        let mut client = Client::connect(config, models, place)?;
        if !client.wait_for_peer(stage.patience) {
            let summary = client.finish();
            let errors = summary.peers.into_iter().filter_map(|peer| peer.last_error);
            let errors: Vec<String> = errors.collect();
            let why = if errors.is_empty() { "no peer answered".to_owned() } else { errors.join("; ") };
            return Ok(Err(why));
        }
        Ok(Ok(Self { way, input, client: Some(client), link, counts }))
    }

    /// What changes its link, where one is emulated.
    pub(super) fn control(&self) -> Option<Control> {
        self.link.as_ref().map(|link| link.control().clone())
    }

    pub(super) fn counts(&self) -> Rc<RefCell<Counts>> {
        Rc::clone(&self.counts)
    }

    /// Wires the device for it.
    pub(super) fn subject<'s>(
        &'s mut self,
        stage: &'s Stage<'_>,
        each: &'s dyn Fn(),
    ) -> Result<Subject<'s, SubjectError>, SubjectError> {
        let mut executor = Executor::new(stage.pipeline, stage.policy, NonZeroUsize::MIN)?;
        if let Some(client) = &mut self.client {
            executor = executor.with_offload(Offload {
                remote: client,
                departures: stage.departures,
                deadline: stage.deadline,
                completion: stage.completion,
            });
        }
        let mut feed = Feed::new(self.input.data, stage.pipeline.input())?;
        executor.warm_up(feed.batch(0, 1)?)?;
        let (data, counts) = (self.input.data, Rc::clone(&self.counts));
        let run = move |input: usize| {
            let image = input % feed.images();
            let outcome = executor.run_one(image, feed.batch(image, 1)?)?;
            let mut counts = counts.borrow_mut();
            counts.tally.add(&outcome, data.label(image));
            counts.seconds.push(outcome.latency.as_secs_f64());
            counts.images += 1;
            each();
            Ok(Sample { exit: outcome.exit, latency: outcome.latency })
        };
        Ok(Subject { name: self.way.to_string(), run: Box::new(run) })
    }

    /// Ends it.
    pub(super) fn finish(self) -> ClientSide {
        let images = self.counts.borrow().images;
        ClientSide {
            input: self.input.name.clone(),
            way: self.way,
            images,
            summary: self.client.map(Client::finish),
        }
    }
}

/// What a client has seen of a whole trial.
pub(super) struct ClientSide {
    input: String,
    way: Way,
    images: usize,
    summary: Option<Summary>,
}

impl ClientSide {
    /// What came of the way, beside what was counted while it was measured.
    pub(super) fn tried(&self, stage: &Stage<'_>, warm_up: WarmedUp, mut counts: Counts) -> Tried {
        let late = counts.seconds.iter().filter(|seconds| **seconds > stage.deadline.as_secs_f64()).count();
        let exits = counts.tally.counts();
        let images = self.images.max(1) as f64;
        let peers = self.summary.as_ref().map_or(&[][..], |summary| &summary.peers);
        let sum = |of: &dyn Fn(&PeerSummary) -> f64| peers.iter().map(of).fold(0.0, std::ops::Add::add);
        // Known questions of handshakes are not among them.
        let server = |peer: &PeerSummary| {
            peer.server_s.map_or(0.0, |server| server.mean * peer.requests.answered as f64)
        };
        let says = peers.iter().any(|peer| peer.server_s.is_some());
        Tried {
            input: self.input.clone(),
            way: self.way,
            warm_up,
            images: counts.tally.images(),
            latency_s: Latency::of(&mut counts.seconds),
            late,
            mean_exit: mean_exit(&exits),
            exits,
            accuracy: counts.tally.accuracy(),
            offload: counts.tally.offload(),
            requests_per_image: sum(&|peer| peer.requests.total() as f64) / images,
            wire_bytes_per_image: sum(&|peer| peer.sent_bytes as f64) / images,
            server_s_per_image: says.then(|| sum(&server) / images),
            probes: self.summary.iter().flat_map(|summary| &summary.cuts).map(|cut| cut.probes).sum(),
            declined: self.summary.as_ref().map(|summary| summary.declined).unwrap_or_default(),
        }
    }
}
