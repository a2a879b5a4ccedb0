//! What a frame's payload means.

use heapless::{String, Vec};

use crate::batch::Batch;
use crate::fields::{Reader, Writer};
use crate::frame::{Frame, MAX_PAYLOAD};
use crate::hello::Hello;
use crate::schema::SCHEMA_HASH;

/// Bytes of an image that one frame can carry.
pub const MAX_CHUNK: usize = MAX_PAYLOAD - 12;

/// What a device says to people.
pub type Text = String<64>;

/// Everything that is said. The first six come from the host, the others from the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Who is there? Answered by [`Message::Hello`]. Carries the schema's hash.
    Greet,
    /// What time is it? Answered by [`Message::Pong`].
    Ping {
        /// Comes back in the answer.
        token: u32,
    },
    /// Begin to sample. Answered by [`Message::Started`], then samples; sample numbers begin at 0.
    Start {
        /// Samples per thousand seconds; 0 leaves it to the device.
        rate_millihz: u32,
        /// Samples per frame; 0 leaves it to the device.
        batch: u8,
    },
    /// Note the time at which this came. Answered by [`Message::Marker`].
    Mark {
        /// Comes back in the answer.
        token: u32,
    },
    /// Sample no more. Answered by the samples that are left and [`Message::Stopped`].
    Stop,
    /// Part of an image. Answered by [`Message::Taken`], and by [`Message::Answer`] too when the image is whole.
    Chunk {
        /// Which image; a new number begins a new image.
        image: u32,
        /// Bytes of the whole image.
        total: u32,
        /// Where this part begins.
        offset: u32,
        /// The part.
        data: Vec<u8, MAX_CHUNK>,
    },
    /// Who the device is.
    Hello(Hello),
    /// Device time when a ping came and when this went.
    Pong {
        /// The ping's.
        token: u32,
        /// Ticks when the ping's last byte was there.
        received: u32,
        /// Ticks when this frame's first byte went.
        sent: u32,
    },
    /// Sampling has begun.
    Started {
        /// Ticks of the first sample.
        time: u32,
        /// Samples per thousand seconds, as they will be.
        rate_millihz: u32,
    },
    /// Something happened at a time.
    Marker {
        /// Ticks.
        time: u32,
        /// What happened.
        source: MarkSource,
        /// The mark's, or the number of the edge since the start.
        token: u32,
    },
    /// Sampling has ended.
    Stopped {
        /// Ticks of the last sample.
        time: u32,
        /// Samples taken since the start, lost ones included.
        samples: u32,
        /// Those that the device could not send.
        lost: u32,
    },
    /// What the device's network made of an image.
    Answer(Answer),
    /// Samples.
    Samples(Batch),
    /// A chunk has arrived.
    Taken {
        /// Which image.
        image: u32,
        /// The offset that is expected next.
        next: u32,
    },
    /// The device cannot do what it was asked, or could not go on.
    Error {
        /// Why.
        code: Fault,
        /// A number that belongs to the reason.
        detail: u32,
        /// For people.
        text: Text,
    },
}

/// What a network on the device made of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Which image.
    pub image: u32,
    /// Its class.
    pub label: u16,
    /// Where computation stopped, counted from 0.
    pub exit: u8,
    /// Millionths, 0 to 1 000 000.
    pub confidence_ppm: u32,
    /// Microseconds from the whole image to the label.
    pub latency_us: u32,
    /// Microjoules of this image, where the device can measure them.
    pub energy_uj: Option<u32>,
}

/// What a marker stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum MarkSource {
    /// A [`Message::Mark`] came.
    Serial = 1,
    /// The wire went high.
    Rise = 2,
    /// The wire went low.
    Fall = 3,
}

/// Why a device says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    /// A type that it does not know; the detail is the type.
    Unknown = 1,
    /// A payload that makes no sense; the detail is the type.
    Malformed = 2,
    /// It is not the time for this.
    State = 3,
    /// The sensor does not answer; the detail is the bus's code.
    Sensor = 4,
    /// A rate or a size that it cannot do; the detail is what it can.
    Range = 5,
    /// Samples could not be sent in time; the detail is how many since the start.
    Overrun = 6,
}

/// A frame that came whole and says nothing that this build understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// A type that this build does not know: skip the frame.
    #[error("frame of type 0x{0:02x}, which this build does not know")]
    Unknown(u8),
    /// The payload is not what the type says.
    #[error("frame of type 0x{kind:02x} with a payload of {length} bytes that does not fit the type")]
    Malformed {
        /// The type.
        kind: u8,
        /// Bytes of the payload.
        length: usize,
    },
    /// The other end was built from another schema: nothing it says can be trusted.
    #[error("the other end has schema {found:016x}, this build has {SCHEMA_HASH:016x}")]
    Schema {
        /// The other end's hash.
        found: u64,
    },
}

impl Message {
    /// The frame type.
    #[must_use]
    pub fn kind(&self) -> u8 {
        match self {
            Self::Greet => 0x01,
            Self::Ping { .. } => 0x02,
            Self::Start { .. } => 0x03,
            Self::Mark { .. } => 0x04,
            Self::Stop => 0x05,
            Self::Chunk { .. } => 0x06,
            Self::Hello(_) => 0x81,
            Self::Pong { .. } => 0x82,
            Self::Started { .. } => 0x83,
            Self::Marker { .. } => 0x84,
            Self::Stopped { .. } => 0x85,
            Self::Answer(_) => 0x86,
            Self::Samples(_) => 0x87,
            Self::Taken { .. } => 0x88,
            Self::Error { .. } => 0xff,
        }
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// [`MessageError`]: an unknown type, a payload that is too short, too long or out of range, or another schema.
    pub fn read(frame: &Frame<'_>) -> Result<Self, MessageError> {
        let malformed = MessageError::Malformed { kind: frame.kind, length: frame.payload.len() };
        let mut from = Reader(frame.payload);
        let message = match frame.kind {
            0x01 | 0x81 => {
                let found = from.u64().ok_or(malformed)?;
                if found != SCHEMA_HASH {
                    return Err(MessageError::Schema { found });
                }
                if frame.kind == 0x01 { Some(Self::Greet) } else { Hello::read(&mut from).map(Self::Hello) }
            }
            0x02..=0x06 | 0x82..=0x88 | 0xff => Self::fields(frame.kind, &mut from),
            kind => return Err(MessageError::Unknown(kind)),
        };
        message.filter(|_| from.0.is_empty()).ok_or(malformed)
    }

    fn fields(kind: u8, from: &mut Reader<'_>) -> Option<Self> {
        Some(match kind {
            0x02 => Self::Ping { token: from.u32()? },
            0x03 => Self::Start { rate_millihz: from.u32()?, batch: from.u8()? },
            0x04 => Self::Mark { token: from.u32()? },
            0x05 => Self::Stop,
            0x06 => Self::Chunk {
                image: from.u32()?,
                total: from.u32()?,
                offset: from.u32()?,
                data: Vec::from_slice(from.bytes(from.0.len())?).ok()?,
            },
            0x82 => Self::Pong { token: from.u32()?, received: from.u32()?, sent: from.u32()? },
            0x83 => Self::Started { time: from.u32()?, rate_millihz: from.u32()? },
            0x84 => Self::Marker { time: from.u32()?, source: mark_source(from.u8()?)?, token: from.u32()? },
            0x85 => Self::Stopped { time: from.u32()?, samples: from.u32()?, lost: from.u32()? },
            0x86 => Self::Answer(Answer::read(from)?),
            0x87 => Self::Samples(Batch::read(from)?),
            0x88 => Self::Taken { image: from.u32()?, next: from.u32()? },
            _ => Self::Error { code: fault(from.u8()?)?, detail: from.u32()?, text: from.string()? },
        })
    }

    /// Writes the payload; nothing where it is too long.
    pub(crate) fn write<const N: usize>(&self, to: &mut Writer<'_, N>) -> Option<()> {
        match self {
            Self::Greet => to.u64(SCHEMA_HASH),
            Self::Ping { token } | Self::Mark { token } => to.u32(*token),
            Self::Start { rate_millihz, batch } => to.u32(*rate_millihz).and_then(|()| to.u8(*batch)),
            Self::Stop => Some(()),
            Self::Chunk { image, total, offset, data } => {
                to.u32(*image)?;
                to.u32(*total)?;
                to.u32(*offset)?;
                to.bytes(data)
            }
            Self::Hello(hello) => hello.write(to),
            Self::Pong { token, received, sent } => {
                to.u32(*token)?;
                to.u32(*received)?;
                to.u32(*sent)
            }
            Self::Started { time, rate_millihz } => to.u32(*time).and_then(|()| to.u32(*rate_millihz)),
            Self::Marker { time, source, token } => {
                to.u32(*time)?;
                to.u8(*source as u8)?;
                to.u32(*token)
            }
            Self::Stopped { time, samples, lost } => {
                to.u32(*time)?;
                to.u32(*samples)?;
                to.u32(*lost)
            }
            Self::Answer(answer) => answer.write(to),
            Self::Samples(batch) => batch.write(to),
            Self::Taken { image, next } => to.u32(*image).and_then(|()| to.u32(*next)),
            Self::Error { code, detail, text } => {
                to.u8(*code as u8)?;
                to.u32(*detail)?;
                to.string(text)
            }
        }
    }
}

impl Answer {
    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let (image, label, exit, known) = (from.u32()?, from.u16()?, from.u8()?, from.u8()?);
        let (confidence_ppm, latency_us, energy_uj) = (from.u32()?, from.u32()?, from.u32()?);
        let energy_uj = match (known, energy_uj) {
            (1, energy) => Some(energy),
            (0, 0) => None,
            _ => return None,
        };
        (confidence_ppm <= 1_000_000).then_some(Self {
            image,
            label,
            exit,
            confidence_ppm,
            latency_us,
            energy_uj,
        })
    }

    fn write<const N: usize>(&self, to: &mut Writer<'_, N>) -> Option<()> {
        to.u32(self.image)?;
        to.u16(self.label)?;
        to.u8(self.exit)?;
        to.u8(u8::from(self.energy_uj.is_some()))?;
        to.u32(self.confidence_ppm)?;
        to.u32(self.latency_us)?;
        to.u32(self.energy_uj.unwrap_or(0))
    }
}

fn mark_source(code: u8) -> Option<MarkSource> {
    [MarkSource::Serial, MarkSource::Rise, MarkSource::Fall].into_iter().find(|source| *source as u8 == code)
}

fn fault(code: u8) -> Option<Fault> {
    use Fault::{Malformed, Overrun, Range, Sensor, State, Unknown};
    [Unknown, Malformed, State, Sensor, Range, Overrun].into_iter().find(|fault| *fault as u8 == code)
}
