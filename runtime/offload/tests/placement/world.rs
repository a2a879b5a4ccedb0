//! A device, a link and a server whose times are known, and images that go one after the other.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

use offramp_offload::placement::{Candidate, End, Observed, Place};
use offramp_runtime::remote::{Answered, By, Cut, Offloaded, Placement};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A network: segments, exits, and what crosses the cuts.
#[derive(Clone, Debug)]
pub struct Network {
    pub name: &'static str,
    /// Seconds of each segment on the server.
    pub segments: Vec<f64>,
    /// Of the images that come to an exit, the share that go on; the final exit is left out.
    pub going_on: Vec<f64>,
    /// Bytes that cross each cut for one image.
    pub bytes: Vec<usize>,
}

/// Both directions of a link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    pub rate_mbps: f64,
    /// One way.
    pub delay_ms: f64,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Mbit/s {} ms", self.rate_mbps, self.delay_ms)
    }
}

#[derive(Clone, Debug)]
pub struct World {
    pub network: Network,
    /// How much slower the device is than the server.
    pub scale: f64,
    /// The link, from an image on.
    pub lines: Vec<(usize, Line)>,
    pub deadline: f64,
    /// Whether the server says what it spent.
    pub tells: bool,
    /// Seconds that the server takes for any request, beside its segments.
    pub overhead: f64,
    /// Images whose requests get no answer.
    pub silent: Range<usize>,
    pub seed: u64,
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Run {
    pub latencies: Vec<f64>,
    /// Where each image was sent.
    pub sent: Vec<Option<usize>>,
    pub probes: usize,
}

impl Run {
    pub fn mean(&self, images: Range<usize>) -> f64 {
        let count = images.len() as f64;
        self.latencies[images].iter().sum::<f64>() / count
    }
}

/// A direction that sends one message after the other.
#[derive(Default)]
struct Way {
    free: f64,
}

impl Way {
    fn send(&mut self, at: f64, bytes: usize, line: Line, late: f64) -> f64 {
        self.free = self.free.max(at) + bytes as f64 * 8.0 / (line.rate_mbps * 1e6);
        self.free + line.delay_ms / 1e3 * (1.0 + late)
    }
}

impl World {
    fn line(&self, image: usize) -> Line {
        self.lines.iter().rev().find(|(from, _)| *from <= image).unwrap().1
    }

    /// Sends `images` through, one after the other, as the executor does.
    pub fn run(&self, place: &mut dyn Place, images: usize) -> Run {
        let start = Instant::now();
        let instant = |seconds: f64| start + Duration::from_secs_f64(seconds);
        let exits = self.network.segments.len();
        let (mut up, mut down, mut server_free) = (Way::default(), Way::default(), 0.0_f64);
        let mut clock = 0.0;
        let mut run = Run::default();
        let mut observed: VecDeque<(f64, Observed)> = VecDeque::new();
        let mut pace: Vec<f64> = self.network.segments.iter().map(|segment| segment * self.scale).collect();
        let candidates: Vec<Candidate> =
            (0..exits).map(|cut| Candidate { cut, bytes: self.network.bytes[cut], usable: true }).collect();
        for image in 0..images {
            let mut random = generator(self.seed, image);
            let depths: Vec<f64> = (0..exits).map(|_| random.random()).collect();
            let going_on = &self.network.going_on;
            let exit = (0..exits)
                .find(|exit| going_on.get(*exit).is_none_or(|share| depths[*exit] >= *share))
                .unwrap();
            let line = self.line(image);
            let since = clock;
            let mut offloaded = None;
            for cut in 0..=exit {
                tell(place, &mut observed, clock);
                let ahead: Vec<Duration> =
                    pace[cut..].iter().map(|seconds| Duration::from_secs_f64(*seconds)).collect();
                let before = Cut { segment: cut, images: 1, ahead: &ahead, since: instant(since) };
                let sends = place.place(&before, &candidates, instant(clock)) == Placement::Offload;
                let probes = !sends && place.probe(&before, &candidates, instant(clock));
                if sends || probes {
                    let bytes = self.network.bytes[cut];
                    let late = |random: &mut ChaCha8Rng| -0.05 * (1.0 - random.random::<f64>()).ln();
                    let come = up.send(clock, bytes + 200, line, late(&mut random));
                    let rest: f64 = self.network.segments[cut..].iter().sum();
                    let server = (rest + self.overhead) * around_one(&mut random, 0.1);
                    let waited = (server_free - come).max(0.0);
                    server_free = come + waited + server;
                    let answer = down.send(server_free, (exits - cut) * 40 + 100, line, late(&mut random));
                    let spent = Duration::from_secs_f64(waited + server);
                    let sent = clock;
                    let (at, end) = if answer <= since + self.deadline && !self.silent.contains(&image) {
                        let took = Duration::from_secs_f64(answer - sent);
                        (answer, End::Answer { bytes: 100, took, server: self.tells.then_some(spent) })
                    } else {
                        let at = (since + self.deadline).max(sent);
                        (at, End::Unanswered { after: Duration::from_secs_f64(at - sent) })
                    };
                    let message =
                        Observed { cut, images: 1, request_bytes: bytes + 200, sent: instant(sent), end };
                    let behind = observed.iter().position(|(other, _)| *other > at).unwrap_or(observed.len());
                    observed.insert(behind, (at, message));
                    if sends {
                        clock = at;
                        let waited = Duration::from_secs_f64(at - sent);
                        let by = if matches!(end, End::Answer { .. }) { By::Peer } else { By::Device };
                        offloaded = Some(Offloaded { cut, bytes, waited, by });
                        break;
                    }
                    // A copy of the values is made before the segment runs.
                    clock += 1e-4;
                    run.probes += 1;
                }
                let took = self.network.segments[cut] * self.scale * around_one(&mut random, 0.05);
                pace[cut] += (took - pace[cut]) / 8.0;
                clock += took;
            }
            tell(place, &mut observed, clock);
            place.answered(&Answered { image, exit, offload: offloaded });
            run.latencies.push(clock - since);
            run.sent.push(offloaded.map(|offloaded| offloaded.cut));
        }
        run
    }
}

fn tell(place: &mut dyn Place, observed: &mut VecDeque<(f64, Observed)>, now: f64) {
    while observed.front().is_some_and(|(at, _)| *at <= now) {
        let (_, observed) = observed.pop_front().unwrap();
        place.observe(&observed);
    }
}

fn generator(seed: u64, image: usize) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(image as u64).to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// Uniform around 1, with this relative standard deviation.
fn around_one(random: &mut ChaCha8Rng, deviation: f64) -> f64 {
    1.0 + deviation * 3.0_f64.sqrt() * (2.0 * random.random::<f64>() - 1.0)
}
