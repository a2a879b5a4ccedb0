//! What the simulated board does with messages: a power meter and, where it has one, a network.

use std::time::{Duration, Instant};

use offramp_wire::{
    Abilities, Answer, Arrival, Batch, Channel, Fault, Frame, Hello, MarkSource, Message, MessageError,
    Quantity, Sequence, Text,
};

use super::Board;
use crate::network::Network;

/// Ticks per second that the device says it counts.
pub(super) const TICK_HZ: u32 = 1_000_000;

/// The state that a reset loses.
pub(super) struct Device {
    board: Board,
    network: Option<Box<dyn Network>>,
    boot: u32,
    booted: Instant,
    incoming: Sequence,
    sampling: Option<Sampling>,
    overruns: u32,
    edges: u32,
    image: Vec<u8>,
    image_number: Option<u32>,
    answer: Option<Answer>,
}

struct Sampling {
    began: Duration,
    period: Duration,
    batch: u8,
    next: u32,
    open: Option<(Batch, u64)>,
}

impl Device {
    pub(super) fn new(board: Board, network: Option<Box<dyn Network>>, boot: u32) -> Self {
        Self {
            board,
            network,
            boot,
            booted: Instant::now(),
            incoming: Sequence::default(),
            sampling: None,
            overruns: 0,
            edges: 0,
            image: Vec::new(),
            image_number: None,
            answer: None,
        }
    }

    /// Forgets everything, as a reset does, and says hello.
    pub(super) fn reset(&mut self) -> Message {
        *self = Self::new(self.board.clone(), self.network.take(), self.boot.wrapping_add(1));
        self.hello()
    }

    /// Becomes another board without a reset.
    pub(super) fn set_board(&mut self, board: Board) {
        self.board = board;
    }

    /// Device time, in ticks since the boot; the counter that is sent has the low 32 bits.
    fn ticks_at(&self, since_boot: Duration) -> u64 {
        let ticks = since_boot.as_secs_f64() * f64::from(TICK_HZ) * (1.0 + self.board.faults.skew_ppm * 1e-6);
        u64::from(self.board.first_tick) + ticks as u64
    }

    pub(super) fn ticks(&self, at: Instant) -> u32 {
        self.ticks_at(at.saturating_duration_since(self.booted)) as u32
    }

    fn hello(&self) -> Message {
        let text = |text: &str| text.try_into().unwrap_or_default();
        let channel = |quantity, scale_nano, label: &str| {
            let label = label.try_into().unwrap_or_default();
            Channel { quantity, scale_nano, label }
        };
        let channels = match self.board.volts {
            None => vec![channel(Quantity::Power, self.board.scale_nano, "VDD_IN")],
            Some(_) => vec![
                channel(Quantity::Voltage, 1_250_000, "VDD_IN"),
                channel(Quantity::Current, self.board.scale_nano, "I_IN"),
            ],
        };
        Message::Hello(Hello {
            abilities: Abilities { meter: true, network: self.network.is_some(), line: true },
            tick_hz: TICK_HZ,
            rate_millihz: self.board.rate_millihz,
            boot: self.boot,
            image_bytes: self.network.as_ref().map_or(0, |network| network.image_bytes() as u32),
            name: text("simulated board"),
            serial: text(&self.board.serial),
            channels: channels.into_iter().collect(),
        })
    }

    /// Answers a frame whose last byte came at `at`.
    pub(super) fn take(&mut self, frame: &Frame<'_>, at: Instant) -> Vec<Message> {
        let message = match Message::read(frame) {
            Ok(message) => message,
            // Whoever has another schema is told this one's.
            Err(MessageError::Schema { .. }) => return vec![self.hello()],
            Err(MessageError::Unknown(kind)) => {
                return vec![error(Fault::Unknown, u32::from(kind), "unknown type")];
            }
            Err(MessageError::Malformed { kind, .. }) => {
                return vec![error(Fault::Malformed, u32::from(kind), "payload does not fit its type")];
            }
        };
        if message == Message::Greet {
            self.incoming.restart();
        }
        if self.incoming.observe(frame.sequence) == Arrival::Replayed {
            return Vec::new();
        }
        let received = self.ticks(at);
        match message {
            Message::Greet => {
                self.sampling = None;
                vec![self.hello()]
            }
            Message::Ping { token } => {
                vec![Message::Pong { token, received, sent: self.ticks(Instant::now()) }]
            }
            Message::Mark { token } => {
                vec![Message::Marker { time: received, source: MarkSource::Serial, token }]
            }
            Message::Start { rate_millihz, batch } => self.start(rate_millihz, batch),
            Message::Stop => self.stop(),
            Message::Chunk { image, total, offset, data } => self.chunk(image, total, offset, &data),
            // What only a device says.
            _ => vec![error(Fault::Unknown, u32::from(frame.kind), "this is not for a device")],
        }
    }

    fn start(&mut self, rate_millihz: u32, batch: u8) -> Vec<Message> {
        let rate = if rate_millihz == 0 { self.board.rate_millihz } else { rate_millihz };
        if rate > self.board.most_millihz {
            return vec![error(Fault::Range, self.board.most_millihz, "rate too high")];
        }
        let most = if self.board.volts.is_some() { 60 } else { 120 };
        let batch = if batch == 0 { self.board.batch } else { batch }.clamp(1, most);
        let began = self.booted.elapsed() + Duration::from_millis(1);
        let period = Duration::from_secs_f64(1000.0 / f64::from(rate));
        // A start that comes again finds sampling under way.
        let sampling = self.sampling.get_or_insert(Sampling { began, period, batch, next: 0, open: None });
        let began = sampling.began;
        self.overruns = 0;
        vec![Message::Started { time: self.ticks_at(began) as u32, rate_millihz: rate }]
    }

    fn stop(&mut self) -> Vec<Message> {
        let Some(sampling) = self.sampling.take() else {
            return vec![error(Fault::State, 0, "not sampling")];
        };
        let time = self.ticks_at(sampling.began + sampling.period * sampling.next.saturating_sub(1)) as u32;
        let open = sampling.open.map(|(batch, _)| Message::Samples(batch));
        let stopped = Message::Stopped { time, samples: sampling.next, lost: self.overruns };
        open.into_iter().chain([stopped]).collect()
    }

    /// When the next sample is due.
    pub(super) fn due(&self) -> Option<Instant> {
        let sampling = self.sampling.as_ref()?;
        // Half a conversion after its middle.
        Some(self.booted + sampling.began + sampling.period * sampling.next + sampling.period / 2)
    }

    /// When the next batch is full.
    pub(super) fn due_batch(&self) -> Option<Instant> {
        let sampling = self.sampling.as_ref()?;
        let there = sampling.open.as_ref().map_or(0, |(batch, _)| batch.len() as u32);
        Some(self.due()? + sampling.period * u32::from(sampling.batch).saturating_sub(there + 1))
    }

    /// Samples that were due by `now`; `truth` is the energy from the board's beginning to a time of the host.
    /// Where `full`, what would be sent is lost, as in a buffer that runs over.
    pub(super) fn sample(
        &mut self,
        now: Instant,
        full: bool,
        truth: impl Fn(Instant) -> f64,
    ) -> Vec<Message> {
        let mut batches = Vec::new();
        while let Some(due) = self.due().filter(|due| *due <= now) {
            let Some(mut sampling) = self.sampling.take() else { break };
            let middle = sampling.began + sampling.period * sampling.next;
            let ticks = self.ticks_at(middle);
            let watts = (truth(due) - truth(due - sampling.period)) / sampling.period.as_secs_f64();
            let (scales, values) = self.counts(watts);
            let (mut batch, begin) = sampling.open.take().unwrap_or_else(|| {
                let batch = Batch::new(ticks as u32, sampling.next, &scales).unwrap_or_default();
                (batch, ticks)
            });
            // The batch has room: it is sent when it has what was asked for.
            let _ = batch.push((ticks - begin) as u32, &values);
            sampling.next = sampling.next.wrapping_add(1);
            if batch.len() < usize::from(sampling.batch) {
                sampling.open = Some((batch, begin));
            } else if full {
                self.overruns += batch.len() as u32;
            } else {
                batches.push(Message::Samples(batch));
            }
            self.sampling = Some(sampling);
        }
        batches
    }

    /// Samples that were lost since the start.
    pub(super) fn overruns(&self) -> u32 {
        self.overruns
    }

    fn counts(&self, watts: f64) -> (Vec<u32>, Vec<i32>) {
        let count = |value: f64, scale: u32| (value * 1e9 / f64::from(scale)).round() as i32;
        let scale = self.board.scale_nano;
        match self.board.volts {
            None => (vec![scale], vec![count(watts, scale)]),
            Some(volts) => {
                (vec![1_250_000, scale], vec![count(volts, 1_250_000), count(watts / volts, scale)])
            }
        }
    }

    /// The wire changed at `at`.
    pub(super) fn edge(&mut self, high: bool, at: Instant) -> Message {
        let source = if high { MarkSource::Rise } else { MarkSource::Fall };
        self.edges = self.edges.wrapping_add(1);
        Message::Marker { time: self.ticks(at), source, token: self.edges - 1 }
    }

    fn chunk(&mut self, image: u32, total: u32, offset: u32, data: &[u8]) -> Vec<Message> {
        let Some(network) = &mut self.network else {
            return vec![error(Fault::State, 0, "no network here")];
        };
        if total as usize != network.image_bytes() || data.is_empty() {
            return vec![error(Fault::Range, network.image_bytes() as u32, "images have another size")];
        }
        if self.image_number != Some(image) {
            (self.image_number, self.answer) = (Some(image), None);
            self.image.clear();
        }
        let whole = total as usize;
        if offset as usize == self.image.len() && self.image.len() + data.len() <= whole {
            self.image.extend_from_slice(data);
        }
        let mut said = vec![Message::Taken { image, next: self.image.len() as u32 }];
        if self.image.len() == whole && self.answer.is_none() {
            match network.infer(&self.image) {
                Ok(inference) => {
                    self.answer = Some(Answer {
                        image,
                        label: inference.label,
                        exit: inference.exit,
                        confidence_ppm: (inference.confidence.clamp(0.0, 1.0) * 1e6) as u32,
                        latency_us: u32::try_from(inference.latency.as_micros()).unwrap_or(u32::MAX),
                        energy_uj: inference.energy_j.map(|joules| (joules * 1e6) as u32),
                    });
                }
                Err(why) => said.push(error(Fault::Sensor, 0, &why.to_string())),
            }
        }
        said.extend(self.answer.map(Message::Answer));
        said
    }
}

pub(super) fn error(code: Fault, detail: u32, text: &str) -> Message {
    Message::Error { code, detail, text: cut(text) }
}

/// As much of a text as a frame has room for.
fn cut(text: &str) -> Text {
    let mut short = Text::new();
    for character in text.chars() {
        if short.push(character).is_err() {
            break;
        }
    }
    short
}
