//! Frames over a stream: messages in, messages out, nothing waited for longer than asked.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use offramp_wire::{
    Arrival, Decoder, Fault, MAX_FRAME, Message, MessageError, Rejected, SCHEMA_HASH, Sequence, VERSION,
    encode,
};

use crate::rails::RailsError;
use crate::stream::{is_early, is_gone};

/// The most that is handed to a line at once: more than a terminal's free room can block for ever on Linux.
const PIECE: usize = 256;
/// How long a line without a timeout of its own is left alone.
const PAUSE: Duration = Duration::from_millis(1);

/// What goes wrong on a link.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The other end has left; connect again.
    #[error("the device has left")]
    Gone(#[source] std::io::Error),
    /// The line cannot be used.
    #[error("the line cannot be used")]
    Io(#[source] std::io::Error),
    /// The device takes no bytes; nothing says whether it got part of a frame.
    #[error("the device took no bytes for {waited:.1?}: {left} of a frame are left")]
    Stalled {
        /// How long.
        waited: Duration,
        /// Bytes not taken.
        left: usize,
    },
    /// No answer came.
    #[error(
        "no {what} from the device within {waited:.1?}: {rejected} damaged frames, {unread} that mean nothing"
    )]
    Silent {
        /// What was waited for.
        what: &'static str,
        /// How long.
        waited: Duration,
        /// Frames that were thrown away on this link so far.
        rejected: u64,
        /// Whole frames that no message could be read from.
        unread: u64,
    },
    /// The device speaks another version.
    #[error("the device speaks wire version {found}, this build speaks {VERSION}")]
    Version {
        /// The device's.
        found: u8,
    },
    /// The device was built from another schema.
    #[error("the device has wire schema {found:016x}, this build has {SCHEMA_HASH:016x}")]
    Schema {
        /// The device's.
        found: u64,
    },
    /// The device said no.
    #[error("the device refuses: {text} ({code:?}, {detail})")]
    Refused {
        /// Why.
        code: Fault,
        /// A number that belongs to the reason.
        detail: u32,
        /// The device's words.
        text: String,
    },
    /// The device cannot do what is wanted of it.
    #[error("the device {name} has no {ability}")]
    Unable {
        /// The device.
        name: String,
        /// What it lacks.
        ability: &'static str,
    },
    /// What the device measures is no power, or more than may be added unasked.
    #[error("the device {name} cannot be used as a meter")]
    Rails {
        /// The device.
        name: String,
        /// Why.
        source: RailsError,
    },
    /// The device's clock is not the one that it was.
    #[error("the device's clock jumped: it is at least {by:?} off what it was")]
    ClockJumped {
        /// By how much, at least.
        by: Duration,
    },
}

impl LinkError {
    pub(crate) fn from_io(error: std::io::Error) -> Self {
        if is_gone(&error) { Self::Gone(error) } else { Self::Io(error) }
    }
}

/// A message and when its last byte was there.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// What was said.
    pub message: Message,
    /// When, by the host's clock.
    pub at: Instant,
}

/// What a link has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounts {
    /// Frames that were acted on.
    pub frames: u64,
    /// Frames that were thrown away, by reason.
    pub rejected: Rejected,
    /// Frames that are missing by their numbers.
    pub missing: u64,
    /// Frames that came again; they were not acted on.
    pub replayed: u64,
    /// Whole frames that no message could be read from.
    pub unread: u64,
}

#[derive(Debug)]
struct Receiver<R> {
    stream: R,
    decoder: Decoder,
    sequence: Sequence,
    buffer: Box<[u8; 4096]>,
    from: usize,
    to: usize,
    at: Instant,
    frames: u64,
    unread: u64,
}

impl<R: Read> Receiver<R> {
    fn new(stream: R) -> Self {
        Self {
            stream,
            decoder: Decoder::new(),
            sequence: Sequence::default(),
            buffer: Box::new([0; 4096]),
            from: 0,
            to: 0,
            at: Instant::now(),
            frames: 0,
            unread: 0,
        }
    }

    fn receive(&mut self, deadline: Instant) -> Result<Option<Received>, LinkError> {
        loop {
            if let Some(message) = self.buffered()? {
                return Ok(Some(Received { message, at: self.at }));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            match self.stream.read(&mut self.buffer[..]) {
                Ok(0) => return Err(LinkError::Gone(std::io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => (self.from, self.to, self.at) = (0, count, Instant::now()),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
                Err(error) if is_early(&error) => {}
                Err(error) => return Err(LinkError::from_io(error)),
            }
        }
    }

    fn buffered(&mut self) -> Result<Option<Message>, LinkError> {
        let mut rest = &self.buffer[self.from..self.to];
        while let Some(frame) = self.decoder.next(&mut rest) {
            self.from = self.to - rest.len();
            match Message::read(&frame) {
                Ok(message) => {
                    if matches!(message, Message::Hello(_)) {
                        self.sequence.restart();
                    }
                    if self.sequence.observe(frame.sequence) == Arrival::Replayed {
                        continue;
                    }
                    self.frames += 1;
                    return Ok(Some(message));
                }
                Err(MessageError::Schema { found }) => return Err(LinkError::Schema { found }),
                Err(_) => self.unread += 1,
            }
        }
        self.from = self.to;
        Ok(None)
    }

    fn counts(&self) -> LinkCounts {
        LinkCounts {
            frames: self.frames,
            rejected: self.decoder.rejected(),
            missing: self.sequence.missing(),
            replayed: self.sequence.replayed(),
            unread: self.unread,
        }
    }
}

/// Sends on a link from another thread than the one that receives.
#[derive(Debug)]
pub struct Sender<W> {
    stream: W,
    // Held while a frame is written: frames never mix, and numbers go up on the line.
    sequence: Arc<Mutex<u16>>,
    patience: Duration,
}

impl<W: Write> Sender<W> {
    /// Sends a message; the time at which its last byte was taken.
    ///
    /// # Errors
    /// [`LinkError::Stalled`] when the device takes no byte for the link's patience, [`LinkError::Gone`] and
    /// [`LinkError::Io`].
    pub fn send(&mut self, message: &Message) -> Result<Instant, LinkError> {
        send(&mut self.stream, message, &self.sequence, self.patience)
    }
}

fn send(
    stream: &mut impl Write,
    message: &Message,
    sequence: &Mutex<u16>,
    patience: Duration,
) -> Result<Instant, LinkError> {
    let mut number = sequence.lock().unwrap_or_else(PoisonError::into_inner);
    // A zero first: whatever was cut off before ends here.
    let mut frame = [0; MAX_FRAME + 1];
    let length = encode(message, *number, &mut frame[1..])
        .map_err(|error| LinkError::Io(std::io::Error::new(std::io::ErrorKind::InvalidInput, error)))?;
    *number = number.wrapping_add(1);
    write_all(stream, &frame[..=length], patience)?;
    Ok(Instant::now())
}

/// Hands bytes to a line piece by piece, as long as it takes some now and then.
///
/// # Errors
/// As [`Sender::send`].
pub(crate) fn write_all(
    stream: &mut impl Write,
    mut bytes: &[u8],
    patience: Duration,
) -> Result<(), LinkError> {
    let mut last = Instant::now();
    while !bytes.is_empty() {
        let left = bytes.len();
        match stream.write(&bytes[..left.min(PIECE)]) {
            Ok(0) => return Err(LinkError::Gone(std::io::ErrorKind::WriteZero.into())),
            Ok(count) => {
                bytes = &bytes[count..];
                last = Instant::now();
            }
            Err(error) if is_early(&error) => {
                if last.elapsed() >= patience {
                    return Err(LinkError::Stalled { waited: last.elapsed(), left });
                }
                if error.kind() == std::io::ErrorKind::WouldBlock {
                    thread::sleep(PAUSE);
                }
            }
            Err(error) => return Err(LinkError::from_io(error)),
        }
    }
    Ok(())
}

/// Messages over one stream.
///
/// The stream's reads and writes must give up after a while, see [`Stream`](crate::Stream): a link then never waits
/// longer than it is told to.
#[derive(Debug)]
pub struct Link<S> {
    receiver: Receiver<S>,
    sequence: Arc<Mutex<u16>>,
    patience: Duration,
}

impl<S: Read + Write> Link<S> {
    /// A link that gives up sending when no byte was taken for `patience`.
    pub fn new(stream: S, patience: Duration) -> Self {
        Self { receiver: Receiver::new(stream), sequence: Arc::default(), patience }
    }

    /// Sends a message; see [`Sender::send`].
    ///
    /// # Errors
    /// As [`Sender::send`].
    pub fn send(&mut self, message: &Message) -> Result<Instant, LinkError> {
        send(&mut self.receiver.stream, message, &self.sequence, self.patience)
    }

    /// Sends from another thread; `writer` is another handle on the same line.
    pub fn sender<W: Write>(&self, writer: W) -> Sender<W> {
        Sender { stream: writer, sequence: Arc::clone(&self.sequence), patience: self.patience }
    }

    /// The next message; nothing when `deadline` passes first.
    ///
    /// # Errors
    /// [`LinkError::Gone`], [`LinkError::Io`], and [`LinkError::Schema`] where the device has another.
    pub fn receive(&mut self, deadline: Instant) -> Result<Option<Received>, LinkError> {
        self.receiver.receive(deadline)
    }

    /// Waits until `pick` takes a message; others are passed by.
    ///
    /// # Errors
    /// As [`Link::receive`]; [`LinkError::Silent`] when nothing was picked in time, [`LinkError::Version`] when what
    /// came instead was of another version, and [`LinkError::Refused`] when the device sent an error.
    pub fn expect<T>(
        &mut self,
        what: &'static str,
        patience: Duration,
        mut pick: impl FnMut(&Received) -> Option<T>,
    ) -> Result<T, LinkError> {
        let begin = Instant::now();
        while let Some(received) = self.receive(begin + patience)? {
            if let Some(picked) = pick(&received) {
                return Ok(picked);
            }
            if let Message::Error { code, detail, text } = received.message
                && code != Fault::Overrun
            {
                return Err(LinkError::Refused { code, detail, text: text.as_str().to_owned() });
            }
        }
        let counts = self.counts();
        match counts.rejected.last_version {
            Some(found) if counts.frames == 0 => Err(LinkError::Version { found }),
            _ => Err(LinkError::Silent {
                what,
                waited: begin.elapsed(),
                rejected: counts.rejected.total(),
                unread: counts.unread,
            }),
        }
    }

    /// What was received so far.
    pub fn counts(&self) -> LinkCounts {
        self.receiver.counts()
    }

    /// The stream.
    pub fn stream(&self) -> &S {
        &self.receiver.stream
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_names_the_thing_the_expected_and_the_found() {
        let waited = Duration::from_millis(500);
        let gone = LinkError::from_io(std::io::ErrorKind::BrokenPipe.into());
        insta::assert_snapshot!(gone, @"the device has left");
        let broken = LinkError::from_io(std::io::ErrorKind::InvalidInput.into());
        insta::assert_snapshot!(broken, @"the line cannot be used");
        insta::assert_snapshot!(
            LinkError::Stalled { waited, left: 41 },
            @"the device took no bytes for 500.0ms: 41 of a frame are left"
        );
        insta::assert_snapshot!(
            LinkError::Silent { what: "hello", waited, rejected: 3, unread: 1 },
            @"no hello from the device within 500.0ms: 3 damaged frames, 1 that mean nothing"
        );
        insta::assert_snapshot!(LinkError::Version { found: 2 }, @"the device speaks wire version 2, this build speaks 1");
        let schema = LinkError::Schema { found: 0xabc }.to_string();
        assert_eq!(
            schema,
            format!("the device has wire schema 0000000000000abc, this build has {SCHEMA_HASH:016x}")
        );
        insta::assert_snapshot!(
            LinkError::Refused { code: Fault::Range, detail: 8000, text: "rate too high".to_owned() },
            @"the device refuses: rate too high (Range, 8000)"
        );
        insta::assert_snapshot!(
            LinkError::Unable { name: "board".to_owned(), ability: "network" },
            @"the device board has no network"
        );
        insta::assert_snapshot!(
            LinkError::ClockJumped { by: waited },
            @"the device's clock jumped: it is at least 500ms off what it was"
        );
    }
}
