//! `bench --offload`: ways of placing images against each other.

use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use offramp_models::dataset::DataRef;
use offramp_models::{Bundle, Tail};
use offramp_offload::client::{self, Address};
use offramp_offload::experiment::{
    Cell, DataName, Experiment, Input, LinkName, Loopback, SCHEMA_VERSION, Stage, Terms, try_out,
};
use offramp_offload::link::Profile;
use offramp_offload::placement::Way;
use offramp_offload::server::{self, Server};
use offramp_runtime::backend::processor::Processor;
use offramp_runtime::backend::slowed::{Scale, engine_version};
use offramp_runtime::bench::{Protocol, WarmUp};
use offramp_runtime::executor::LocalCompletion;
use offramp_runtime::prepare;

use crate::logs::LogFlags;
use crate::offload::{self, SendingFlags};
use crate::status::{Status, usage};
use crate::workload::{Device, Workload, WorkloadFlags};
use crate::{input, output, provenance, quantities};

/// How long peers may take before the first image: one that is far away is asked a known question for every cut.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where images are completed.
#[derive(Args)]
#[command(next_help_heading = "Offload")]
pub struct OffloadTrials {
    /// Compare ways of placing images, completed by a server in this process (self), or by servers at grpc://HOST:PORT
    #[arg(long, value_name = "self|URL,..", conflicts_with_all = ["against_backend", "as_bundled", "whole"])]
    offload: Option<Peers>,
    /// The ways: segments that run here before images are sent, local, auto [default: all of them]
    #[arg(long, value_name = "K|local|auto,..", value_delimiter = ',', requires = "offload")]
    offload_after: Vec<Way>,
    /// Emulate these links between device and server, one after the other (docs/offload.md tells what a file holds)
    #[arg(long, value_name = "FILE.toml,..", value_delimiter = ',', requires = "offload")]
    link: Vec<PathBuf>,
    /// Change every emulated link to this one half-way: what the placement makes of it is measured from 20 images later on
    #[arg(long, value_name = "FILE.toml", requires = "link")]
    then: Option<PathBuf>,
    /// Emulate devices so many times slower than this one
    #[arg(long, value_name = "X,..", value_delimiter = ',', value_parser = quantities::scale, requires = "offload")]
    device_scale: Vec<Scale>,
    #[command(flatten)]
    sending: SendingFlags,
}

/// Who completes images.
#[derive(Clone, Debug)]
enum Peers {
    /// A server in this process.
    This,
    /// Servers.
    At(Vec<Address>),
}

impl FromStr for Peers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "self" {
            return Ok(Self::This);
        }
        let addresses = text.split(',').map(|one| one.parse().map_err(|error| format!("{error}")));
        addresses.collect::<Result<_, String>>().map(Self::At)
    }
}

/// What is measured, how often, and how it is shown.
pub struct Plan<'a> {
    pub workload: &'a WorkloadFlags,
    pub against: Option<&'a DataRef>,
    pub blocks: u16,
    pub turn: usize,
    /// Where `offload.json` goes.
    pub output: Option<&'a Path>,
    pub json: bool,
}

/// Who answers, as it is told, as it is reached directly, and as it is reached through a link.
struct Reached {
    name: String,
    client: client::Config,
    upstream: Option<SocketAddr>,
    /// Held while it answers.
    _server: Option<Loopback>,
}

impl OffloadTrials {
    /// Whether ways of placing images are compared at all.
    pub fn are_asked(&self) -> bool {
        self.offload.is_some()
    }

    /// Tries all ways on all links and devices.
    ///
    /// # Errors
    /// When something cannot be opened, prepared, reached or run.
    pub fn run(&self, plan: &Plan<'_>) -> anyhow::Result<Status> {
        LogFlags::WARNINGS.install();
        let Some(peers) = &self.offload else { return Ok(Status::Usage) };
        let links = self.links(peers)?;
        let then = self.then.as_deref().map(profile).transpose()?;
        if then.as_ref().is_some_and(|(_, profile)| !profile.events.is_empty()) {
            let advice = "leave its events out, or give them to --link";
            return Err(usage("a link that comes half-way has no events of its own", advice));
        }
        let bundle = plan.workload.bundle()?;
        let tails = offload::tails(&bundle, self.sending.wire())?;
        let ways = self.ways(&bundle, &tails)?;
        let reached = self.reach(peers, &bundle, plan.workload)?;
        let models = offload::models(&bundle, &tails)?;
        let form = offload::sent_form(&tails);
        let mut scales = self.device_scale.iter();
        let mut device = Device { offload: form, scale: scales.next().copied() };
        let mut workload = plan.workload.open(bundle, device)?;
        let other = plan.against.map(|other| {
            let manifest = workload.prepared.bundle.manifest();
            workload.chosen.warn_if_calibrated_on(other, manifest);
            input::open(other, plan.workload.input.limit, manifest)
        });
        let other = other.transpose()?;
        let mut experiment = self.experiment(plan, &workload, reached.name.clone())?;
        let protocol = Protocol {
            warm_up: WarmUp { window: 10, tolerance: 0.1, most: 40 },
            blocks: plan.blocks.into(),
            turn: plan.turn,
            ..Protocol::default()
        };
        let (runs, there) = (2 * protocol.blocks * protocol.turn, workload.data.len());
        if runs < there {
            output::note(format!(
                "note: every way sees the first {runs} of {there} images; --blocks and --turn take more"
            ));
        }
        let cells = links.len() * self.device_scale.len().max(1) * (1 + usize::from(then.is_some()));
        let inputs = 1 + usize::from(other.is_some());
        let images = protocol.blocks * 2 * protocol.turn + 2 * protocol.warm_up.window;
        let bar = output::progress((cells * ways.len() * inputs * images) as u64, "measuring");
        loop {
            for (name, profile) in &links {
                let Workload { prepared, chosen, data } = &workload;
                let departures = prepare::departures(
                    &prepared.bundle,
                    &tails,
                    &prepared.pipeline,
                    prepared.backend.as_ref(),
                    plan.workload.backend.thread_count(),
                )?;
                let stage = Stage {
                    pipeline: &prepared.pipeline,
                    policy: chosen.policy.as_ref(),
                    departures: &departures,
                    models: &models,
                    client: &reached.client,
                    link: profile.as_ref().zip(reached.upstream),
                    then: then.as_ref().map(|(_, profile)| profile),
                    deadline: self.sending.deadline(),
                    completion: self.sending.completion(),
                    budget: self.sending.budget(),
                    patience: PATIENCE,
                };
                let benign = Input { name: plan.workload.input.input.to_string(), data: data.as_ref() };
                let other = plan.against.zip(other.as_deref());
                let other = other.map(|(name, data)| Input { name: name.to_string(), data });
                let inputs: Vec<_> = std::iter::once(benign).chain(other).collect();
                let halves = try_out(&stage, &ways, &inputs, &protocol, &|| bar.inc(1))?;
                let first = profile.as_ref().map(|profile| LinkName::new(name.clone(), profile));
                let second =
                    then.as_ref().map(|(other, profile)| LinkName::new(other.clone(), profile).after(name));
                for (half, link) in halves.into_iter().zip([first, second]) {
                    let device_scale = device.scale.map_or(1.0, Scale::times);
                    let cell = Cell { link, device_scale, ..half };
                    if !plan.json {
                        bar.suspend(|| output::text(cell.table()))?;
                    }
                    experiment.cells.push(cell);
                }
                Self::keep(plan.output, &experiment)?;
            }
            let Some(scale) = scales.next() else { break };
            device.scale = Some(*scale);
            let bundle = workload.prepared.bundle.clone();
            workload.prepared = plan.workload.prepare(bundle, device)?;
        }
        bar.finish_and_clear();
        if plan.json {
            output::json(&experiment)?;
        } else if let Some(folder) = plan.output {
            output::note(format!("`offramp report {} -o FILE.html` shows it", folder.display()));
        }
        Ok(Status::Done)
    }

    /// What is written once a cell is done, so that a stopped experiment leaves what it has.
    fn keep(folder: Option<&Path>, experiment: &Experiment) -> anyhow::Result<()> {
        let Some(folder) = folder else { return Ok(()) };
        experiment.write(folder).with_context(|| format!("cannot write into {}", folder.display()))?;
        Ok(())
    }

    /// The links, by name; one that is none where none is emulated.
    fn links(&self, peers: &Peers) -> anyhow::Result<Vec<(String, Option<Profile>)>> {
        if self.link.is_empty() {
            return Ok(vec![(String::new(), None)]);
        }
        if let Peers::At(addresses) = peers
            && !matches!(addresses.as_slice(), [one] if !one.is_secure())
        {
            let advice = "name one grpc:// server with --offload, or self";
            return Err(usage("an emulated link has one server without TLS at its other end", advice));
        }
        let read = |path: &PathBuf| profile(path).map(|(name, profile)| (name, Some(profile)));
        self.link.iter().map(read).collect()
    }

    /// The ways that were asked for, or all that there are.
    fn ways(&self, bundle: &Bundle, tails: &[Tail]) -> anyhow::Result<Vec<Way>> {
        let cuts: Vec<usize> = tails.iter().map(|tail| tail.cut).collect();
        if self.offload_after.is_empty() {
            let cuts = cuts.into_iter().map(Way::After);
            return Ok(std::iter::once(Way::Local).chain(cuts).chain([Way::Auto]).collect());
        }
        let missing =
            self.offload_after.iter().find(|way| matches!(way, Way::After(cut) if !cuts.contains(cut)));
        match missing {
            None => {
                let mut ways: Vec<Way> = Vec::new();
                self.offload_after.iter().for_each(|way| {
                    if !ways.contains(way) {
                        ways.push(*way);
                    }
                });
                Ok(ways)
            }
            Some(cut) => {
                let there: Vec<String> = cuts.iter().map(usize::to_string).collect();
                let (name, wire) = (&bundle.manifest().name, self.sending.wire());
                let advice = format!("the {wire} tails of this bundle begin at {}", there.join(", "));
                Err(usage(format!("bundle \"{name}\" has no {wire} tail after {cut} segments"), advice))
            }
        }
    }

    /// Starts the server, where it is this process.
    fn reach(&self, peers: &Peers, bundle: &Bundle, flags: &WorkloadFlags) -> anyhow::Result<Reached> {
        let addresses = match peers {
            Peers::At(addresses) => addresses,
            Peers::This => {
                let wire = Some(self.sending.wire());
                let bundles = std::slice::from_ref(bundle);
                let (models, _) = super::super::serve::prepare(bundles, wire, &flags.backend)?;
                let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                let server = Loopback::start(Server::bind(server::Config::new(listen), models)?)?;
                let upstream = server.address();
                let peers = vec![Address::plain(upstream.ip().to_string(), upstream.port())];
                return Ok(Reached {
                    name: "self".to_owned(),
                    client: self.sending.config(peers),
                    upstream: Some(upstream),
                    _server: Some(server),
                });
            }
        };
        let name: Vec<String> = addresses.iter().map(Address::to_string).collect();
        let upstream = match addresses.first().filter(|_| !self.link.is_empty()) {
            None => None,
            Some(address) => Some(resolve(address)?),
        };
        let client = self.sending.config(addresses.clone());
        Ok(Reached { name: name.join(","), client, upstream, _server: None })
    }

    /// The experiment before its first cell.
    fn experiment(&self, plan: &Plan<'_>, workload: &Workload, server: String) -> anyhow::Result<Experiment> {
        let Workload { prepared, chosen, .. } = workload;
        let manifest = prepared.bundle.manifest();
        let data = [Some(&plan.workload.input.input), plan.against].into_iter().flatten().map(|data| {
            let sha256 = provenance::digest(data, manifest)?;
            Ok(DataName { name: data.to_string(), sha256 })
        });
        let mut backend = prepared.backend_name();
        // How much slower it is emulated is the cells' to say.
        backend.version = engine_version(&backend.version).to_owned();
        let sending = &self.sending;
        let budget = sending.budget();
        Ok(Experiment {
            schema_version: SCHEMA_VERSION,
            producer: concat!("offramp ", env!("CARGO_PKG_VERSION")).to_owned(),
            machine: Processor::here().to_string(),
            bundle: prepared.bundle_name(),
            backend,
            threads: plan.workload.backend.thread_count(),
            server,
            policy: chosen.file.policy.clone(),
            data: data.collect::<anyhow::Result<_>>()?,
            terms: Terms {
                wire: sending.wire(),
                deadline_s: sending.deadline().as_secs_f64(),
                local_completion: sending.completion() == LocalCompletion::InTime,
                requests_per_s: budget.requests.map(|rate| rate.per_second),
                bytes_per_s: budget.bytes.map(|rate| rate.per_second),
                blocks: plan.blocks.into(),
                turn: plan.turn,
            },
            cells: Vec::new(),
        })
    }
}

/// An emulated link, and what it is called.
fn profile(path: &Path) -> anyhow::Result<(String, Profile)> {
    let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Ok((name, Profile::read(path)?))
}

fn resolve(address: &Address) -> anyhow::Result<SocketAddr> {
    let found =
        address.host_and_port().to_socket_addrs().with_context(|| format!("cannot resolve {address}"))?;
    found.into_iter().next().with_context(|| format!("{address} has no address"))
}
