//! `--offload` to a client of servers, and to what is sent to them.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use offramp_models::{Bundle, Canary, Tail, Wire};
use offramp_offload::client::{Address, Client, Config, Metadatum, Model, PeerSummary, State, Summary, Tls};
use offramp_offload::placement::Fixed;
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
    /// Segments that run here before images are sent; 0 sends the image
    #[arg(long, value_name = "K", value_parser = quantities::index, requires = "offload")]
    offload_after: Option<usize>,
    /// How tensors are sent: f32, or u8 for a quarter of the bytes [default: f32]
    #[arg(long, value_name = "FORM", requires = "offload")]
    wire: Option<Wire>,
    /// Milliseconds from an image's start to its answer, wherever that is from [default: 1000]
    #[arg(long, value_name = "D", value_parser = quantities::milliseconds, requires = "offload")]
    deadline_ms: Option<Duration>,
    /// Do not run the rest here when no answer comes: the best exit so far is the answer then, marked as degraded
    #[arg(long, requires = "offload")]
    no_local_completion: bool,
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
    tail: Tail,
    model: Model,
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

impl OffloadFlags {
    /// What the flags ask of `bundle`; `None` without `--offload`.
    ///
    /// # Errors
    /// When the bundle has no tail for it.
    pub fn plan(&self, bundle: &Bundle) -> anyhow::Result<Option<Plan>> {
        let Some(cut) = self.offload_after else { return Ok(None) };
        let wire = self.wire.unwrap_or(Wire::F32);
        let tail = choose(bundle, cut, wire)?;
        let model = Model::of(&tail, Canary::read(bundle.dir(), &tail)?);
        let identity = self.cert.clone().zip(self.key.clone());
        let config = Config {
            tls: Tls { ca: self.ca.clone(), identity },
            token_file: self.token_file.clone(),
            metadata: self.metadata.clone(),
            ..Config::new(self.offload.clone())
        };
        let completion = match self.no_local_completion {
            false => LocalCompletion::InTime,
            true => LocalCompletion::Never,
        };
        let deadline = self.deadline_ms.unwrap_or(Duration::from_secs(1));
        Ok(Some(Plan { config, tail, model, deadline, completion }))
    }
}

/// The bundle's tail for a cut.
fn choose(bundle: &Bundle, cut: usize, wire: Wire) -> anyhow::Result<Tail> {
    let cuts = bundle.manifest().segments.len();
    if cut >= cuts {
        let last = cuts.saturating_sub(1);
        let advice = format!("--offload-after takes 0 to {last}: the segments that run here");
        return Err(usage(format!("nothing is left to send after {cut} of {cuts} segments"), advice));
    }
    let tails = bundle.tails()?;
    let there: Vec<String> =
        tails.iter().filter(|tail| tail.wire == wire).map(|tail| tail.cut.to_string()).collect();
    if let Some(tail) = tails.into_iter().find(|tail| (tail.cut, tail.wire) == (cut, wire)) {
        return Ok(tail);
    }
    let name = &bundle.manifest().name;
    Err(match (there.is_empty(), wire) {
        (false, _) => {
            let advice = format!("the {wire} tails of this bundle begin at {}", there.join(", "));
            hint(anyhow::anyhow!("bundle \"{name}\" has no {wire} tail after {cut} segments"), advice)
        }
        (true, Wire::F32) => {
            hint(anyhow::anyhow!("bundle \"{name}\" has no tails"), "`offramp split --tails` writes them")
        }
        (true, Wire::U8) => hint(
            anyhow::anyhow!("bundle \"{name}\" has no u8 tails"),
            "`offramp split --tails --wire u8 --wire-data DATA` writes them",
        ),
    })
}

impl Plan {
    /// The form in which segments' outputs are sent; the image is the host's in any case.
    pub fn wire(&self) -> Option<Wire> {
        (self.tail.cut > 0).then_some(self.tail.wire)
    }

    /// Connects, waits for peers for a while, and says on stderr what came of it.
    ///
    /// # Errors
    /// When files or credentials cannot be used, or the backend cannot run the device's end of the cut. A peer that is not there
    /// is no error.
    pub fn connect(self, prepared: &PreparedBundle, backend: &BackendFlags) -> anyhow::Result<Offloading> {
        LogFlags::WARNINGS.install();
        let Self { config, tail, model, deadline, completion } = self;
        let (cut, bytes) = (tail.cut, model.bytes_per_image());
        let (pipeline, engine) = (&prepared.pipeline, prepared.backend.as_ref());
        let tails = [tail];
        let departures =
            prepare::departures(&prepared.bundle, &tails, pipeline, engine, backend.thread_count())?;
        let secrets = config.token_file.is_some() || !config.metadata.is_empty();
        let name = model.name.clone();
        let readable = config.peers.iter().filter(|peer| secrets && !peer.is_secure());
        let readable: Vec<String> = readable.map(Address::to_string).collect();
        let mut client = Client::connect(config, vec![model], Box::new(Fixed { cut }))?;
        let otherwise = match completion {
            LocalCompletion::InTime => "the device completes what comes too late",
            LocalCompletion::Never => "the best exit so far answers what comes too late",
        };
        output::note(format!(
            "offload: after {cut} segments, {bytes} bytes an image, to {name}; deadline {} ms, {otherwise}",
            deadline.as_secs_f64() * 1e3
        ));
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

    /// What was seen of the peers.
    pub fn finish(self) -> Summary {
        self.client.finish()
    }
}
