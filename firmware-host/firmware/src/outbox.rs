//! What waits to be sent, and in which order it goes.

use heapless::Deque;
use offramp_wire::{Batch, Fault, Hello, MAX_FRAME, MarkSource, Message, Text, encode};

/// Frames of samples that wait for a line that is busy or a host that is slow.
const BATCHES: usize = 8;

/// An answer that waits: a message without the room of the longest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Hello,
    Started { time: u32, rate_millihz: u32 },
    Marker { time: u32, token: u32 },
    Stopped { time: u32, samples: u32, lost: u32 },
    Error { code: Fault, detail: u32, text: &'static str },
}

#[derive(Debug)]
pub(crate) struct Outbox {
    /// The frame on its way: a zero, then the frame.
    frame: [u8; MAX_FRAME + 1],
    at: usize,
    end: usize,
    sequence: u16,
    silent: bool,
    /// Pings by token and time.
    pub(crate) pings: Deque<(u32, u32), 4>,
    pub(crate) replies: Deque<Reply, 8>,
    pub(crate) batches: Deque<Batch, BATCHES>,
    /// Goes behind the last batch.
    pub(crate) stopped: Option<Reply>,
    /// Samples that were lost and not told yet.
    pub(crate) overrun: Option<u32>,
}

impl Outbox {
    pub(crate) const fn new() -> Self {
        Self {
            frame: [0; MAX_FRAME + 1],
            at: 0,
            end: 0,
            sequence: 0,
            silent: true,
            pings: Deque::new(),
            replies: Deque::new(),
            batches: Deque::new(),
            stopped: None,
            overrun: None,
        }
    }

    /// Forgets what waits, but for the frame that is on its way.
    pub(crate) fn clear(&mut self) {
        self.pings.clear();
        self.replies.clear();
        self.batches.clear();
        (self.stopped, self.overrun) = (None, None);
    }

    /// What has no room is not said: the host asks again.
    pub(crate) fn reply(&mut self, reply: Reply) {
        let _ = self.replies.push_back(reply);
    }

    /// A ping that came at `at`. Of too many, the oldest are worth the least.
    pub(crate) fn ping(&mut self, token: u32, at: u32) {
        if self.pings.is_full() {
            self.pings.pop_front();
        }
        let _ = self.pings.push_back((token, at));
    }

    /// The next byte for the line.
    pub(crate) fn next(&mut self, now: u32, hello: impl FnOnce() -> Hello) -> Option<u8> {
        if self.at >= self.end {
            let Some(message) = self.choose(now, hello) else {
                self.silent = true;
                return None;
            };
            // Every message of a meter is shorter than a frame can be.
            let length = encode(&message, self.sequence, &mut self.frame[1..]).ok()?;
            self.sequence = self.sequence.wrapping_add(1);
            // After a silence, whatever noise the line had ends before the frame.
            self.at = usize::from(!core::mem::take(&mut self.silent));
            self.end = length + 1;
        }
        let byte = *self.frame.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn choose(&mut self, now: u32, hello: impl FnOnce() -> Hello) -> Option<Message> {
        if let Some((token, received)) = self.pings.pop_front() {
            return Some(Message::Pong { token, received, sent: now });
        }
        if let Some(reply) = self.replies.pop_front() {
            return Some(reply.message(hello));
        }
        if let Some(batch) = self.batches.pop_front() {
            return Some(Message::Samples(batch));
        }
        let overrun = self.overrun.take();
        let overrun =
            overrun.map(|lost| Reply::Error { code: Fault::Overrun, detail: lost, text: "samples lost" });
        overrun.or_else(|| self.stopped.take()).map(|reply| reply.message(hello))
    }
}

impl Reply {
    fn message(self, hello: impl FnOnce() -> Hello) -> Message {
        match self {
            Self::Hello => Message::Hello(hello()),
            Self::Started { time, rate_millihz } => Message::Started { time, rate_millihz },
            Self::Marker { time, token } => Message::Marker { time, source: MarkSource::Serial, token },
            Self::Stopped { time, samples, lost } => Message::Stopped { time, samples, lost },
            Self::Error { code, detail, text } => {
                Message::Error { code, detail, text: Text::try_from(text).unwrap_or_default() }
            }
        }
    }
}
