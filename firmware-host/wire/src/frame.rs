//! Frames: a header, a payload and a checksum, stuffed, with a zero behind them.

use crc::{CRC_32_ISO_HDLC, Crc};
use heapless::Vec;

use crate::cobs;
use crate::fields::Writer;
use crate::message::Message;

/// The version of the frame and of everything in it.
pub const VERSION: u8 = 1;

/// Bytes that a payload can have.
pub const MAX_PAYLOAD: usize = 512;

const HEADER: usize = 6;
const CHECKSUM: usize = 4;
const MAX_PLAIN: usize = HEADER + MAX_PAYLOAD + CHECKSUM;
const MAX_STUFFED: usize = MAX_PLAIN + cobs::overhead(MAX_PLAIN);

/// Bytes that a frame can have on the wire, its zero included.
pub const MAX_FRAME: usize = MAX_STUFFED + 1;

/// Polynomial 0x04C11DB7, reflected, start and final exclusive-or all ones: zlib's, Ethernet's.
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// A frame that came whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its type, see [`Message`].
    pub kind: u8,
    /// Counts the frames of one direction; wraps.
    pub sequence: u16,
    /// What the type says.
    pub payload: &'a [u8],
}

/// A frame that cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The payload is longer than a frame can carry.
    #[error("a payload has at most {MAX_PAYLOAD} bytes, this one has more")]
    Payload,
    /// The buffer has no room for the frame.
    #[error("a frame needs up to {MAX_FRAME} bytes, the buffer has {0}")]
    Room(usize),
}

/// Writes a message as a frame; returns its length, the closing zero included.
///
/// # Errors
/// [`EncodeError`]. `out` has room for any message if it has [`MAX_FRAME`] bytes.
pub fn encode(message: &Message, sequence: u16, out: &mut [u8]) -> Result<usize, EncodeError> {
    let mut payload = Vec::<u8, MAX_PAYLOAD>::new();
    message.write(&mut Writer(&mut payload)).ok_or(EncodeError::Payload)?;
    encode_payload(message.kind(), sequence, &payload, out)
}

/// Writes any payload as a frame; returns its length, the closing zero included.
///
/// # Errors
/// [`EncodeError`].
pub fn encode_payload(kind: u8, sequence: u16, payload: &[u8], out: &mut [u8]) -> Result<usize, EncodeError> {
    let room = EncodeError::Room(out.len());
    let plain = plain(kind, sequence, payload).ok_or(EncodeError::Payload)?;
    let length = cobs::stuff(&plain, out).ok_or(room)?;
    *out.get_mut(length).ok_or(room)? = 0;
    Ok(length + 1)
}

fn plain(kind: u8, sequence: u16, payload: &[u8]) -> Option<Vec<u8, MAX_PLAIN>> {
    if payload.len() > MAX_PAYLOAD {
        return None;
    }
    let mut plain = Vec::new();
    let mut to = Writer(&mut plain);
    to.u8(VERSION)?;
    to.u8(kind)?;
    to.u16(u16::try_from(payload.len()).ok()?)?;
    to.u16(sequence)?;
    to.bytes(payload)?;
    let checksum = CRC.checksum(&plain);
    Writer(&mut plain).u32(checksum)?;
    Some(plain)
}

/// Frames that were thrown away, by reason. What lies between two zeros counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    /// Longer than any frame.
    pub overlong: u64,
    /// Stuffing that does not end with the frame.
    pub stuffing: u64,
    /// Shorter than any frame.
    pub short: u64,
    /// The checksum does not fit.
    pub checksum: u64,
    /// Whole, but of another version.
    pub version: u64,
    /// Whole, but the length is not that of the payload: the sender is wrong.
    pub length: u64,
    /// The last other version.
    pub last_version: Option<u8>,
}

impl Rejected {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.overlong + self.stuffing + self.short + self.checksum + self.version + self.length
    }
}

/// Takes a stream of bytes apart into frames, in pieces of any size.
///
/// Whatever comes, the next zero begins anew. Bytes before the first zero count as a frame.
#[derive(Clone, Debug)]
pub struct Decoder {
    pending: [u8; MAX_STUFFED],
    filled: usize,
    overlong: bool,
    rejected: Rejected,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder that has seen nothing.
    #[must_use]
    pub const fn new() -> Self {
        let rejected = Rejected {
            overlong: 0,
            stuffing: 0,
            short: 0,
            checksum: 0,
            version: 0,
            length: 0,
            last_version: None,
        };
        Self { pending: [0; MAX_STUFFED], filled: 0, overlong: false, rejected }
    }

    /// Takes bytes off the front of `bytes` until a frame is whole; nothing when they are used up.
    pub fn next(&mut self, bytes: &mut &[u8]) -> Option<Frame<'_>> {
        while let Some(end) = bytes.iter().position(|byte| *byte == 0) {
            let (head, tail) = bytes.split_at(end);
            *bytes = tail.get(1..).unwrap_or_default();
            self.append(head);
            let filled = core::mem::take(&mut self.filled);
            if core::mem::take(&mut self.overlong) {
                self.rejected.overlong += 1;
            } else if filled > 0
                && let Some(length) = self.check(filled)
            {
                let plain = &self.pending[1..];
                return Some(Frame {
                    kind: plain[1],
                    sequence: u16::from_le_bytes([plain[4], plain[5]]),
                    payload: &plain[HEADER..HEADER + length],
                });
            }
        }
        self.append(bytes);
        *bytes = &[];
        None
    }

    /// Forgets an unfinished frame, as after a line was opened anew. Counts stay.
    pub fn restart(&mut self) {
        self.filled = 0;
        self.overlong = false;
    }

    /// What was thrown away so far.
    #[must_use]
    pub fn rejected(&self) -> Rejected {
        self.rejected
    }

    fn append(&mut self, bytes: &[u8]) {
        match self.pending.get_mut(self.filled..self.filled + bytes.len()) {
            Some(room) if !self.overlong => {
                room.copy_from_slice(bytes);
                self.filled += bytes.len();
            }
            _ => self.overlong |= !bytes.is_empty(),
        }
    }

    /// Unstuffs and checks what is pending; the length of its payload.
    fn check(&mut self, filled: usize) -> Option<usize> {
        let rejected = &mut self.rejected;
        let Some(end) = cobs::unstuff(&mut self.pending[..filled]) else {
            rejected.stuffing += 1;
            return None;
        };
        let Some((body, checksum)) =
            self.pending[1..end].split_last_chunk().filter(|(body, _)| body.len() >= HEADER)
        else {
            rejected.short += 1;
            return None;
        };
        if CRC.checksum(body) != u32::from_le_bytes(*checksum) {
            rejected.checksum += 1;
            return None;
        }
        if body[0] != VERSION {
            rejected.version += 1;
            rejected.last_version = Some(body[0]);
            return None;
        }
        let length = body.len() - HEADER;
        if usize::from(u16::from_le_bytes([body[2], body[3]])) != length || length > MAX_PAYLOAD {
            rejected.length += 1;
            return None;
        }
        Some(length)
    }
}
