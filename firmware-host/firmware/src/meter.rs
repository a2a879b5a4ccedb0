//! What a power meter does with messages.

use heapless::String;
use offramp_wire::{Abilities, Arrival, Decoder, Fault, Hello, Message, MessageError, Sequence};

use crate::outbox::{Outbox, Reply};
use crate::run::Run;
use crate::sensor::{Sensor, SensorError};

/// Who a meter is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// What it is.
    pub name: String<32>,
    /// Which one it is.
    pub serial: String<32>,
    /// A number that no two boots share.
    pub boot: u32,
    /// Ticks of device time per second.
    pub tick_hz: u32,
}

/// A meter: bytes in, samples in, bytes out. Times are ticks of device time, modulo 2^32.
#[derive(Debug)]
pub struct Meter<S> {
    identity: Identity,
    sensor: S,
    decoder: Decoder,
    incoming: Sequence,
    run: Option<Run>,
    outbox: Outbox,
}

impl<S: Sensor> Meter<S> {
    /// A meter that was just switched on; it says hello.
    #[must_use]
    pub fn new(identity: Identity, sensor: S) -> Self {
        let mut outbox = Outbox::new();
        outbox.reply(Reply::Hello);
        Self { identity, sensor, decoder: Decoder::new(), incoming: Sequence::default(), run: None, outbox }
    }

    /// Tells the host what ended the boot before, behind the hello: `detail` says where.
    pub fn confess(&mut self, detail: u32, text: &'static str) {
        self.outbox.reply(error(Fault::State, detail, text));
    }

    /// Takes a byte that was received at `at`.
    pub fn receive(&mut self, byte: u8, at: u32) {
        let Some(frame) = self.decoder.next(&mut &[byte][..]) else { return };
        let (kind, number, read) = (frame.kind, frame.sequence, Message::read(&frame));
        match read {
            Ok(Message::Greet) => {
                self.incoming.restart();
                self.incoming.observe(number);
                self.run = None;
                self.outbox.clear();
                self.outbox.reply(Reply::Hello);
            }
            // Whoever has another schema is told this one's.
            Err(MessageError::Schema { .. }) => self.outbox.reply(Reply::Hello),
            read if self.incoming.observe(number) != Arrival::Replayed => self.act(kind, read, at),
            _ => {}
        }
    }

    /// Takes the samples that are ready at `now`.
    pub fn sample(&mut self, now: u32) {
        let Some(run) = &mut self.run else { return };
        match self.sensor.poll(now) {
            Ok(None) => {}
            Ok(Some(sample)) => {
                run.complained = false;
                run.take(&sample, &mut self.outbox);
            }
            // Told once, not at every attempt.
            Err(why) => {
                if !core::mem::replace(&mut run.complained, true) {
                    self.outbox.reply(complaint(why));
                }
            }
        }
    }

    /// The next byte for the line, which has room for it at `now`.
    pub fn next_byte(&mut self, now: u32) -> Option<u8> {
        let Self { identity, sensor, outbox, .. } = self;
        outbox.next(now, || Hello {
            abilities: Abilities { meter: true, ..Abilities::default() },
            tick_hz: identity.tick_hz,
            rate_millihz: sensor.rate_millihz(),
            boot: identity.boot,
            image_bytes: 0,
            name: identity.name.clone(),
            serial: identity.serial.clone(),
            channels: sensor.channels(),
        })
    }

    fn act(&mut self, kind: u8, read: Result<Message, MessageError>, at: u32) {
        match read {
            Ok(Message::Ping { token }) => self.outbox.ping(token, at),
            Ok(Message::Mark { token }) => {
                self.outbox.reply(Reply::Marker { time: at, token });
            }
            Ok(Message::Start { rate_millihz, batch }) => {
                let reply = self.start((rate_millihz, batch), at);
                self.outbox.reply(reply);
            }
            Ok(Message::Stop) => match self.run.take() {
                Some(run) => run.stop(&mut self.outbox),
                None => self.outbox.reply(error(Fault::State, 0, "not sampling")),
            },
            Ok(Message::Chunk { .. }) => self.outbox.reply(error(Fault::State, 0, "no network here")),
            Err(MessageError::Malformed { .. }) => {
                self.outbox.reply(error(Fault::Malformed, u32::from(kind), "payload does not fit its type"));
            }
            // Types that nobody knows, and those that only a device sends.
            _ => self.outbox.reply(error(Fault::Unknown, u32::from(kind), "unknown type")),
        }
    }

    fn start(&mut self, asked: (u32, u8), now: u32) -> Reply {
        if let Some(run) = &self.run {
            // The same start once more: its answer was lost on the way.
            return if run.asked == asked {
                run.started()
            } else {
                error(Fault::State, 0, "sampling already")
            };
        }
        if self.outbox.stopped.is_some() {
            return error(Fault::State, 0, "still sending samples");
        }
        let rate_millihz = if asked.0 == 0 { self.sensor.rate_millihz() } else { asked.0 };
        match self.sensor.begin(rate_millihz, now) {
            Ok(begun) => {
                let run = Run::new(asked, begun, &self.sensor.channels());
                self.run.insert(run).started()
            }
            Err(why) => complaint(why),
        }
    }
}

fn complaint(why: SensorError) -> Reply {
    let fault = match why {
        SensorError::Range { .. } => Fault::Range,
        _ => Fault::Sensor,
    };
    error(fault, why.code(), why.text())
}

fn error(code: Fault, detail: u32, text: &'static str) -> Reply {
    Reply::Error { code, detail, text }
}
