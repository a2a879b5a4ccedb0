//! What waits to be sent, and in which order it goes.

use heapless::Deque;
use offramp_wire::{Batch, Fault, MAX_FRAME, Message, Text, encode};

/// Frames of samples that wait for a line that is busy or a host that is slow.
const BATCHES: usize = 8;

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
    pub(crate) replies: Deque<Message, 6>,
    pub(crate) batches: Deque<Batch, BATCHES>,
    /// Goes behind the last batch.
    pub(crate) stopped: Option<Message>,
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
    pub(crate) fn reply(&mut self, message: Message) {
        let _ = self.replies.push_back(message);
    }

    /// A ping that came at `at`. Of too many, the oldest are worth the least.
    pub(crate) fn ping(&mut self, token: u32, at: u32) {
        if self.pings.is_full() {
            self.pings.pop_front();
        }
        let _ = self.pings.push_back((token, at));
    }

    /// The next byte for the line.
    pub(crate) fn next(&mut self, now: u32) -> Option<u8> {
        if self.at >= self.end {
            let Some(message) = self.choose(now) else {
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

    fn choose(&mut self, now: u32) -> Option<Message> {
        if let Some((token, received)) = self.pings.pop_front() {
            return Some(Message::Pong { token, received, sent: now });
        }
        if let Some(reply) = self.replies.pop_front() {
            return Some(reply);
        }
        if let Some(batch) = self.batches.pop_front() {
            return Some(Message::Samples(batch));
        }
        if let Some(lost) = self.overrun.take() {
            return Some(error(Fault::Overrun, lost, "samples lost"));
        }
        self.stopped.take()
    }
}

pub(crate) fn error(code: Fault, detail: u32, text: &str) -> Message {
    Message::Error { code, detail, text: Text::try_from(text).unwrap_or_default() }
}
