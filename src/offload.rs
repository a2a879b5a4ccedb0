//! `--offload` to a client of servers, and to what is sent to them.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use offramp_models::{Bundle, Canary, Tail, Wire};
use offramp_offload::client::{Address, Client, Config, Metadatum, Model, PeerSummary, State, Summary, Tls};
use offramp_offload::placement::{Budget, Place, Rate, Way};
use offramp_runtime::executor::{Departure, LocalCompletion, Offload};
use offramp_runtime::prepare;

use crate::backends::BackendFlags;
use crate::logs::LogFlags;
use crate::prepared::PreparedBundle;
use crate::status::{hint, usage};
use crate::{output, quantities};

/// How long peers are waited for before the first image; whoever comes later is used from then on.
const WAIT: Duration = Duration::from_secs(5);

/// Servers that may complete images.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Offload")]
pub struct OffloadFlags {
    /// Servers of the bundle's tails, the first that can is asked: grpc://HOST:PORT, or grpcs://HOST:PORT over TLS
    #[arg(long, value_name = "URL,..", value_delimiter = ',', requires = "offload_after")]
    offload: Vec<Address>,
    /// Segments that run here before images are sent, 0 sends the image; or auto: wherever it is expected to be sooner done
    #[arg(long, value_name = "K|auto", value_parser = quantities::cut_or_auto, requires = "offload")]
    offload_after: Option<Way>,
    #[command(flatten)]
    sending: SendingFlags,
}

/// What holds for everything that is sent.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Offload")]
pub struct SendingFlags {
    /// How tensors are sent: f32, or u8 for a quarter of the bytes [default: f32]
    #[arg(long, value_name = "FORM", requires = "offload")]
    wire: Option<Wire>,
    /// Milliseconds from an image's start to its answer, wherever that is from [default: 1000]
    #[arg(long, value_name = "D", value_parser = quantities::milliseconds, requires = "offload")]
    deadline_ms: Option<Duration>,
    /// Do not run the rest here when no answer comes: the best exit so far is the answer then, marked as degraded
    #[arg(long, requires = "offload")]
    no_local_completion: bool,
    /// Requests a second that are sent at most, on average; what is beyond stays here
    #[arg(long, value_name = "R", value_parser = quantities::amount, requires = "offload")]
    most_requests_per_s: Option<f64>,
    /// Bytes of tensors a second that are sent at most, on average; what is beyond stays here
    #[arg(long, value_name = "B", value_parser = quantities::amount, requires = "offload")]
    most_bytes_per_s: Option<f64>,
    /// Who may vouch for servers, PEM
    #[arg(long, value_name = "FILE", requires = "offload")]
    ca: Option<PathBuf>,
    /// The certificate of this client, PEM
    #[arg(long, value_name = "FILE", requires = "key", requires = "offload")]
    cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// A bearer token, sent with every request; the file is read again when it changes
    #[arg(long, value_name = "FILE", requires = "offload")]
    token_file: Option<PathBuf>,
    /// Metadata sent with every request, as gateways want it
    #[arg(long, value_name = "NAME=VALUE", requires = "offload")]
    metadata: Vec<Metadatum>,
}

/// What will be sent where, before anything is prepared.
pub struct Plan {
    config: Config,
    tails: Vec<Tail>,
    models: Vec<Model>,
    way: Way,
    place: Box<dyn Place>,
    deadline: Duration,
    completion: LocalCompletion,
}

/// A client, and what the prepared segments send through it.
pub struct Offloading {
    client: Client,
    departures: Vec<Option<Departure>>,
    deadline: Duration,
    completion: LocalCompletion,
}

impl SendingFlags {
    /// A client of `peers`.
    pub fn config(&self, peers: Vec<Address>) -> Config {
        Config {
            tls: Tls { ca: self.ca.clone(), identity: self.cert.clone().zip(self.key.clone()) },
            token_file: self.token_file.clone(),
            metadata: self.metadata.clone(),
            ..Config::new(peers)
        }
    }

    /// The form in which tensors are sent.
    pub fn wire(&self) -> Wire {
        self.wire.unwrap_or(Wire::F32)
    }

    /// From an image's start to its answer.
    pub fn deadline(&self) -> Duration {
        self.deadline_ms.unwrap_or(Duration::from_secs(1))
    }

    /// Who completes what peers do not.
    pub fn completion(&self) -> LocalCompletion {
        match self.no_local_completion {
            false => LocalCompletion::InTime,
            true => LocalCompletion::Never,
        }
    }

    /// What may be sent.
    pub fn budget(&self) -> Budget {
        let rate = |per_second: Option<f64>| per_second.map(Rate::new);
        Budget { requests: rate(self.most_requests_per_s), bytes: rate(self.most_bytes_per_s) }
    }
}

impl OffloadFlags {
    /// What the flags ask of `bundle`; `None` without `--offload`.
    ///
    /// # Errors
    /// When the bundle has no tail for it.
    pub fn plan(&self, bundle: &Bundle) -> anyhow::Result<Option<Plan>> {
        let sending = &self.sending;
        let Some(way) = self.offload_after else { return Ok(None) };
        let Some(place) = way.place(sending.deadline(), sending.budget()) else { return Ok(None) };
        let tails = match way {
            Way::After(cut) => vec![choose(bundle, cut, sending.wire())?],
            _ => tails(bundle, sending.wire())?,
        };
        let models = models(bundle, &tails)?;
        Ok(Some(Plan {
            config: sending.config(self.offload.clone()),
            tails,
            models,
            way,
            place,
            deadline: sending.deadline(),
            completion: sending.completion(),
        }))
    }
}

/// The tails as peers serve them.
///
/// # Errors
/// When a known question cannot be read.
pub fn models(bundle: &Bundle, tails: &[Tail]) -> anyhow::Result<Vec<Model>> {
    tails.iter().map(|tail| Ok(Model::of(tail, Canary::read(bundle.dir(), tail)?))).collect()
}

/// All tails of a wire form.
///
/// # Errors
/// When there are none.
pub fn tails(bundle: &Bundle, wire: Wire) -> anyhow::Result<Vec<Tail>> {
    let mut tails = bundle.tails()?;
    tails.retain(|tail| tail.wire == wire);
    if !tails.is_empty() {
        return Ok(tails);
    }
    let name = &bundle.manifest().name;
    Err(match wire {
        Wire::F32 => {
            hint(anyhow::anyhow!("bundle \"{name}\" has no tails"), "`offramp split --tails` writes them")
        }
        Wire::U8 => hint(
            anyhow::anyhow!("bundle \"{name}\" has no u8 tails"),
            "`offramp split --tails --wire u8 --wire-data DATA` writes them",
        ),
    })
}

/// The bundle's tail for a cut.
fn choose(bundle: &Bundle, cut: usize, wire: Wire) -> anyhow::Result<Tail> {
    let cuts = bundle.manifest().segments.len();
    if cut >= cuts {
        let last = cuts.saturating_sub(1);
        let advice = format!("--offload-after takes 0 to {last}: the segments that run here");
        return Err(usage(format!("nothing is left to send after {cut} of {cuts} segments"), advice));
    }
    let mut tails = tails(bundle, wire)?;
    match tails.iter().position(|tail| tail.cut == cut) {
        Some(at) => Ok(tails.swap_remove(at)),
        None => {
            let there: Vec<String> = tails.iter().map(|tail| tail.cut.to_string()).collect();
            let advice = format!("the {wire} tails of this bundle begin at {}", there.join(", "));
            let name = &bundle.manifest().name;
            Err(hint(anyhow::anyhow!("bundle \"{name}\" has no {wire} tail after {cut} segments"), advice))
        }
    }
}

impl Plan {
    /// The form in which segments' outputs are sent; the image is the host's in any case.
    pub fn wire(&self) -> Option<Wire> {
        sent_form(&self.tails)
    }

    /// Connects, waits for peers for a while, and says on stderr what came of it.
    ///
    /// # Errors
    /// When files or credentials cannot be used, or the backend cannot run the device's end of a cut. A peer that is not there
    /// is no error.
    pub fn connect(self, prepared: &PreparedBundle, backend: &BackendFlags) -> anyhow::Result<Offloading> {
        LogFlags::WARNINGS.install();
        let what = self.describe();
        let Self { config, tails, models, place, deadline, completion, .. } = self;
        let (pipeline, engine) = (&prepared.pipeline, prepared.backend.as_ref());
        let departures =
            prepare::departures(&prepared.bundle, &tails, pipeline, engine, backend.thread_count())?;
        let secrets = config.token_file.is_some() || !config.metadata.is_empty();
        let readable = config.peers.iter().filter(|peer| secrets && !peer.is_secure());
        let readable: Vec<String> = readable.map(Address::to_string).collect();
        let mut client = Client::connect(config, models, place)?;
        let otherwise = match completion {
            LocalCompletion::InTime => "the device completes what comes too late",
            LocalCompletion::Never => "the best exit so far answers what comes too late",
        };
        output::note(format!("offload: {what}; deadline {} ms, {otherwise}", deadline.as_secs_f64() * 1e3));
        for peer in readable {
            output::note(format!(
                "note: tokens and metadata are sent to {peer} in clear, for all on the way to read"
            ));
        }
        let spinner = output::spinner("waiting for peers");
        client.wait_for_peer(WAIT);
        spinner.finish_and_clear();
        client.summary().peers.iter().for_each(tell);
        Ok(Offloading { client, departures, deadline, completion })
    }

    /// Where images are sent from, and what.
    fn describe(&self) -> String {
        let each: Vec<String> = self.models.iter().map(|model| model.bytes_per_image().to_string()).collect();
        let (cuts, bytes): (Vec<String>, _) =
            (self.tails.iter().map(|tail| tail.cut.to_string()).collect(), each.join(", "));
        match (self.way, self.models.first()) {
            (Way::After(cut), Some(model)) => {
                format!("after {cut} segments, {bytes} bytes an image, to {}", model.name)
            }
            _ => format!(
                "where it is expected to be sooner done, after {} segments, {bytes} bytes an image",
                cuts.join(", ")
            ),
        }
    }
}

/// The form in which segments' outputs are sent for `tails`; `None` where only the image is.
pub fn sent_form(tails: &[Tail]) -> Option<Wire> {
    tails.iter().find(|tail| tail.cut > 0).map(|tail| tail.wire)
}

/// Says where a peer stands before the first image.
fn tell(PeerSummary { peer, state, last_error, .. }: &PeerSummary) {
    let why = last_error.as_deref().unwrap_or("no answer yet");
    output::note(match state {
        State::Closed => format!("peer {peer}: it answers as the bundle says"),
        State::Disabled => format!("note: peer {peer} is not used: {why}"),
        _ => format!("note: peer {peer} cannot be used yet, images stay here until it can: {why}"),
    });
}

impl Offloading {
    /// For the executor.
    pub fn offload(&mut self) -> Offload<'_> {
        let Self { client, departures, deadline, completion } = self;
        Offload { remote: client, departures, deadline: *deadline, completion: *completion }
    }

    /// What was seen of the peers. Those that were used and are no longer are told on stderr.
    pub fn finish(self) -> Summary {
        let summary = self.client.finish();
        for PeerSummary { peer, state, handshakes, last_error, .. } in &summary.peers {
            if handshakes.held > 0 && *state != State::Closed {
                let why = last_error.as_deref().unwrap_or("the connection was lost");
                output::note(format!(
                    "note: peer {peer} was lost while images ran, it is {state} now: {why}"
                ));
            }
        }
        summary
    }
}
