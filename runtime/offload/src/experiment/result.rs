//! What an experiment came to, as it is written.

use std::io;
use std::path::{Path, PathBuf};

use offramp_models::partial::write_whole;
use offramp_models::{Sha256, Wire};
use offramp_runtime::bench::WarmedUp;
use offramp_runtime::policy::PolicySpec;
use offramp_runtime::report::{BackendName, BundleName, OffloadReport};
use offramp_runtime::statistics::{Interval, Latency};
use serde::{Deserialize, Serialize};

use crate::client::Declined;
use crate::link::{Profile, Shape};
use crate::placement::Way;

/// Version of the file's form.
pub const SCHEMA_VERSION: u32 = 1;

/// The file's name in its folder.
pub const FILE: &str = "offload.json";

/// Ways of placing images, on links and devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    /// Always [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Program and version.
    pub producer: String,
    /// Processor, threads, operating system.
    pub machine: String,
    /// The network.
    pub bundle: BundleName,
    /// What ran the device's part.
    pub backend: BackendName,
    /// Threads inside one operator, where asked for.
    pub threads: Option<usize>,
    /// Who completed images: `self` for a server in the same process, else addresses.
    pub server: String,
    /// When images stopped.
    pub policy: PolicySpec,
    /// Pictures, the first benign.
    pub data: Vec<DataName>,
    /// What was fixed for all.
    pub terms: Terms,
    /// One cell for every link and device.
    pub cells: Vec<Cell>,
}

/// Pictures in a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataName {
    /// As the command line names them.
    pub name: String,
    /// Digest of all of them.
    pub sha256: Sha256,
}

/// What was fixed for all ways.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// The form in which tensors are sent.
    pub wire: Wire,
    /// From an image's start to its answer.
    pub deadline_s: f64,
    /// Whether the device completes what peers do not.
    pub local_completion: bool,
    /// Requests a second that one client may send; null for as many as there are.
    pub requests_per_s: Option<f64>,
    /// Bytes of values a second that one client may send; null likewise.
    pub bytes_per_s: Option<f64>,
    /// Blocks measured, each of two turns of every way.
    pub blocks: usize,
    /// Images of a turn.
    pub turn: usize,
}

/// All ways on one link and one device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The emulated link; null for the link that there is.
    pub link: Option<LinkName>,
    /// How many times slower than it is the device was emulated; 1 is itself.
    pub device_scale: f64,
    /// What came of every way on every input.
    pub tried: Vec<Tried>,
    /// Ways that could not be tried.
    pub not_tried: Vec<NotTried>,
    /// One for every input.
    pub verdicts: Vec<Verdict>,
}

/// An emulated link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkName {
    /// Its file's name.
    pub name: String,
    /// Client to server.
    pub up: Shape,
    /// Server to client.
    pub down: Shape,
    /// Changes while it runs, that into another link included.
    pub events: usize,
}

impl LinkName {
    /// The link of a profile.
    pub fn new(name: String, profile: &Profile) -> Self {
        Self { name, up: profile.up, down: profile.down, events: profile.events.len() }
    }

    /// This link, once it was another.
    pub fn after(mut self, before: &str) -> Self {
        self.name = format!("{before} then {}", self.name);
        self.events = 1;
        self
    }
}

/// One way on one input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// The input's name.
    pub input: String,
    /// The way.
    pub way: Way,
    /// How it warmed up.
    pub warm_up: WarmedUp,
    /// Images measured.
    pub images: usize,
    /// Their latency; null without images.
    pub latency_s: Option<Latency>,
    /// Images whose answer came after the deadline.
    pub late: usize,
    /// Images by the exit where computing stopped.
    pub exits: Vec<usize>,
    /// Mean index of the exit.
    pub mean_exit: Option<f64>,
    /// Fraction of the labelled images that were labelled rightly.
    pub accuracy: Option<f64>,
    /// What became of images that were sent.
    pub offload: Option<OffloadReport>,
    /// Requests made per image, the warm-up's, copies and repetitions included.
    pub requests_per_image: f64,
    /// Bytes sent per image, all of TLS, HTTP/2 and handshakes included, over the warm-up too.
    pub wire_bytes_per_image: f64,
    /// What peers say that they spent per image, queueing included; null where none says.
    pub server_s_per_image: Option<f64>,
    /// Copies of images that stayed, sent to learn what that costs.
    pub probes: u64,
    /// Requests that should have been made and were not. Where the link changed half-way, this and what else the client counts (requests,
    /// bytes, server time, probes) is of both halves together.
    pub declined: Declined,
}

impl Tried {
    /// Mean latency in seconds; infinite without images.
    pub fn mean_s(&self) -> f64 {
        self.latency_s.map_or(f64::INFINITY, |latency| latency.mean)
    }

    /// Fraction of the images that were sent.
    pub fn sent(&self) -> f64 {
        let sent = self.offload.as_ref().map_or(0, |offload| offload.sent);
        sent as f64 / self.images.max(1) as f64
    }

    /// Bytes of values sent per image.
    pub fn bytes_per_image(&self) -> f64 {
        self.offload.as_ref().map_or(0.0, |offload| offload.sent_bytes as f64) / self.images.max(1) as f64
    }
}

/// A way that could not be tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotTried {
    /// The input's name.
    pub input: String,
    /// The way.
    pub way: Way,
    /// Why not.
    pub why: String,
}

/// What is best on one input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The input's name.
    pub input: String,
    /// The fixed way with the least mean latency.
    pub best: Way,
    /// Mean latency of the placement that measures over that of the best fixed way, with its 95 % interval; the best of several
    /// measured means is a little too good. Null where it was not tried.
    pub auto_over_best: Option<Interval>,
}

impl Experiment {
    /// Writes it into `folder`, whole or not at all.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<PathBuf> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(FILE);
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        write_whole(&path, &text)?;
        Ok(path)
    }
}

/// A number that no experiment gives.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{what} is {found:e}, expected {expected}")]
pub struct Impossible {
    /// The key, and where.
    pub what: String,
    /// What it may be.
    pub expected: &'static str,
    /// What it is.
    pub found: f64,
}

impl Experiment {
    /// Whether its numbers are such as an experiment gives: a file may say anything.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), Impossible> {
        let Terms { deadline_s, requests_per_s, bytes_per_s, .. } = self.terms;
        within("deadline_s", deadline_s, 0.0..=1e6, "0 to 10^6")?;
        for (what, rate) in [("requests_per_s", requests_per_s), ("bytes_per_s", bytes_per_s)] {
            within(what, rate.unwrap_or(0.0), 0.0..=f64::MAX, "0 or more")?;
        }
        for (number, cell) in self.cells.iter().enumerate() {
            let at = |key: &str| format!("{key} of cell {number}");
            within(&at("device_scale"), cell.device_scale, 1.0..=1000.0, "1 to 1000")?;
            for shape in cell.link.iter().flat_map(|link| [link.up, link.down]) {
                within(&at("delay_ms"), shape.delay_ms, 0.0..=60_000.0, "0 to 60000")?;
                within(&at("jitter_ms"), shape.jitter_ms, 0.0..=60_000.0, "0 to 60000")?;
                within(&at("rate_bps"), shape.rate_bps.unwrap_or(1000) as f64, 1e3..=1e12, "1000 to 10^12")?;
            }
            cell.tried.iter().try_for_each(|tried| tried.check(&at))?;
            for Interval { estimate, low, high } in cell.verdicts.iter().filter_map(|one| one.auto_over_best)
            {
                for ratio in [estimate, low, high] {
                    within(&at("auto_over_best"), ratio, 0.0..=1e6, "0 to 10^6")?;
                }
            }
        }
        Ok(())
    }
}

impl Tried {
    fn check(&self, at: &impl Fn(&str) -> String) -> Result<(), Impossible> {
        let images = self.images as f64;
        within(&at("images"), images, 0.0..=1e9, "0 to 10^9")?;
        if let Some(Latency { mean, p50, p90, p99, max }) = self.latency_s {
            for seconds in [mean, p50, p90, p99, max] {
                within(&at("latency_s"), seconds, 0.0..=1e6, "0 to 10^6")?;
            }
        }
        within(&at("late"), self.late as f64, 0.0..=images, "0 to images")?;
        within(&at("mean_exit"), self.mean_exit.unwrap_or(0.0), 0.0..=1e6, "0 to 10^6")?;
        within(&at("accuracy"), self.accuracy.unwrap_or(0.0), 0.0..=1.0, "0 to 1")?;
        within(&at("requests_per_image"), self.requests_per_image, 0.0..=1e6, "0 to 10^6")?;
        within(&at("wire_bytes_per_image"), self.wire_bytes_per_image, 0.0..=1e12, "0 to 10^12")?;
        within(&at("server_s_per_image"), self.server_s_per_image.unwrap_or(0.0), 0.0..=1e6, "0 to 10^6")?;
        let Some(offload) = &self.offload else { return Ok(()) };
        let sent = offload.sent as f64;
        within(&at("sent"), sent, 0.0..=images, "0 to images")?;
        for by in [offload.by_peer, offload.by_device, offload.degraded] {
            within(&at("answers"), by as f64, 0.0..=sent, "0 to sent")?;
        }
        Ok(())
    }
}

fn within(
    what: &str,
    found: f64,
    range: std::ops::RangeInclusive<f64>,
    expected: &'static str,
) -> Result<(), Impossible> {
    if range.contains(&found) { Ok(()) } else { Err(Impossible { what: what.to_owned(), expected, found }) }
}
