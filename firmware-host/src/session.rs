//! A device that answered: who it is, what time it is there, and what it is asked to do.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use offramp_wire::{Answer, Batch, Fault, Hello, MAX_CHUNK, MarkSource, Message};

use crate::clock::{Clock, Exchange, Ticks};
use crate::link::{Link, LinkCounts, LinkError};

/// How often a device that does not answer is greeted again.
const GREET_EVERY: Duration = Duration::from_millis(500);
/// How long an answer may take that the device has at hand.
const PROMPT: Duration = Duration::from_secs(1);
/// How often a part of an image is sent before the device is given up.
const TRIES: usize = 5;

/// A link whose other end has said who it is.
#[derive(Debug)]
pub struct Session<S> {
    link: Link<S>,
    hello: Hello,
    clock: Clock,
    ticks: Ticks,
    origin: Instant,
    pending: VecDeque<(u32, f64)>,
    token: u32,
    image: u32,
}

/// What a device said unasked, or in answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Samples.
    Samples(Batch),
    /// Something happened at a device time, in extended ticks.
    Marker {
        /// When.
        ticks: u64,
        /// What.
        source: MarkSource,
        /// Which.
        token: u32,
        /// When this was read, by the host's clock.
        at: Instant,
    },
    /// The clocks were compared once more.
    Pong,
    /// The device was reset: it samples no more, and its clock is another one.
    Reset(Hello),
    /// Sampling has ended.
    Stopped {
        /// Samples since the start, lost ones included.
        samples: u32,
        /// Those that the device could not send.
        lost: u32,
    },
    /// The device has a complaint and goes on.
    Complaint {
        /// Which.
        code: Fault,
        /// A number that belongs to it.
        detail: u32,
    },
    /// Anything else.
    Other(Message),
}

impl<S: Read + Write> Session<S> {
    /// Greets the device until it says hello. What it was doing for another host ends. Host times are counted in seconds
    /// since `origin`.
    ///
    /// # Errors
    /// [`LinkError::Version`] and [`LinkError::Schema`] where it was built from something else, [`LinkError::Silent`] when
    /// it does not answer within `patience`.
    pub fn open(mut link: Link<S>, origin: Instant, patience: Duration) -> Result<Self, LinkError> {
        let begin = Instant::now();
        loop {
            link.send(&Message::Greet)?;
            let left = patience.saturating_sub(begin.elapsed());
            let hello = link.expect("hello", left.min(GREET_EVERY), |received| match &received.message {
                Message::Hello(hello) => Some(hello.clone()),
                _ => None,
            });
            match hello {
                Ok(hello) => {
                    let (clock, ticks, pending) =
                        (Clock::new(hello.tick_hz), Ticks::default(), VecDeque::new());
                    return Ok(Self { link, hello, clock, ticks, origin, pending, token: 0, image: 0 });
                }
                // What was said to another host is no answer to this one.
                Err(LinkError::Silent { .. } | LinkError::Refused { .. }) if left > GREET_EVERY => {}
                Err(LinkError::Silent { what, rejected, unread, .. }) => {
                    return Err(LinkError::Silent { what, waited: begin.elapsed(), rejected, unread });
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Greets the device anew on the same line, as after a reset: another epoch.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub fn reopen(self, patience: Duration) -> Result<Self, LinkError> {
        Self::open(self.link, self.origin, patience)
    }

    /// What the device says of itself.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// The device's clock against the host's, in seconds since the origin.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The device's counter, extended.
    pub fn ticks(&mut self) -> &mut Ticks {
        &mut self.ticks
    }

    /// What the link has seen.
    pub fn counts(&self) -> LinkCounts {
        self.link.counts()
    }

    /// The link.
    pub fn link(&mut self) -> &mut Link<S> {
        &mut self.link
    }

    /// The line.
    pub fn stream(&self) -> &S {
        self.link.stream()
    }

    fn host(&self, at: Instant) -> f64 {
        at.saturating_duration_since(self.origin).as_secs_f64()
    }

    /// Asks for the time; the answer is an [`Event::Pong`].
    ///
    /// # Errors
    /// As [`Link::send`].
    pub fn ping(&mut self) -> Result<(), LinkError> {
        self.token = self.token.wrapping_add(1);
        let sent = self.host(Instant::now());
        self.link.send(&Message::Ping { token: self.token })?;
        self.pending.push_back((self.token, sent));
        // Answers that never come are forgotten.
        if self.pending.len() > 16 {
            self.pending.pop_front();
        }
        Ok(())
    }

    /// The next thing that the device says; nothing when `deadline` passes first.
    ///
    /// # Errors
    /// As [`Link::receive`]; [`LinkError::ClockJumped`] where the device's time is not what it must be.
    pub fn next(&mut self, deadline: Instant) -> Result<Option<Event>, LinkError> {
        let Some(received) = self.link.receive(deadline)? else { return Ok(None) };
        let event = match received.message {
            Message::Samples(batch) => Event::Samples(batch),
            Message::Marker { time, source, token } => {
                Event::Marker { ticks: self.ticks.extend(time), source, token, at: received.at }
            }
            Message::Pong { token, received: came, sent: gone } => {
                let (came, gone) = (self.ticks.extend(came), self.ticks.extend(gone));
                let back = self.host(received.at);
                if let Some(at) = self.pending.iter().position(|(pending, _)| *pending == token) {
                    let sent = self.pending.drain(..=at).next_back().map_or(back, |(_, sent)| sent);
                    if gone >= came {
                        self.clock.observe(Exchange { sent, received: came, replied: gone, back })?;
                    }
                }
                Event::Pong
            }
            Message::Hello(hello) if hello.boot != self.hello.boot => Event::Reset(hello),
            Message::Stopped { samples, lost, .. } => Event::Stopped { samples, lost },
            Message::Error { code, detail, .. } => Event::Complaint { code, detail },
            other => Event::Other(other),
        };
        Ok(Some(event))
    }

    /// Compares the clocks `exchanges` times, as fast as answers come. Whatever else comes meanwhile is passed by.
    ///
    /// # Errors
    /// [`LinkError::Silent`] where more than half of the answers do not come, and as [`Session::next`].
    pub fn synchronise(&mut self, exchanges: usize) -> Result<(), LinkError> {
        let mut missed = 0;
        for _ in 0..exchanges {
            self.ping()?;
            let begin = Instant::now();
            loop {
                match self.next(begin + Duration::from_millis(100))? {
                    Some(Event::Pong) if self.pending.is_empty() => break,
                    Some(_) => {}
                    None => {
                        missed += 1;
                        self.pending.clear();
                        break;
                    }
                }
            }
            if missed * 2 > exchanges {
                let counts = self.counts();
                let (rejected, unread) = (counts.rejected.total(), counts.unread);
                return Err(LinkError::Silent {
                    what: "answer to a ping",
                    waited: begin.elapsed(),
                    rejected,
                    unread,
                });
            }
        }
        Ok(())
    }

    /// Begins sampling; 0 leaves a choice to the device. The rate that it really samples at, in samples per 1000 s.
    ///
    /// # Errors
    /// [`LinkError::Unable`] where the device is no meter, [`LinkError::Refused`], and as [`Link::expect`].
    pub fn start(&mut self, rate_millihz: u32, batch: u8) -> Result<u32, LinkError> {
        if !self.hello.abilities.meter {
            return Err(self.unable("power meter"));
        }
        self.again(&Message::Start { rate_millihz, batch }, "start of sampling", |message| match message {
            Message::Started { rate_millihz, .. } => Some(*rate_millihz),
            _ => None,
        })
    }

    /// Asks the device to stop; samples that it still has come before [`Event::Stopped`].
    ///
    /// # Errors
    /// As [`Link::send`].
    pub fn stop(&mut self) -> Result<(), LinkError> {
        self.link.send(&Message::Stop).map(|_| ())
    }

    /// Has the device's network run on an image: bytes as the device takes them.
    ///
    /// # Errors
    /// [`LinkError::Unable`] where the device runs no network or takes images of another size, [`LinkError::Refused`],
    /// [`LinkError::Silent`] when a part of the image was never taken or the answer does not come within `patience`.
    pub fn classify(&mut self, image: &[u8], patience: Duration) -> Result<Answer, LinkError> {
        if !self.hello.abilities.network {
            return Err(self.unable("network"));
        }
        if image.is_empty() || image.len() != self.hello.image_bytes as usize {
            return Err(self.unable("place for an image of this size"));
        }
        self.image = self.image.wrapping_add(1);
        let (number, total) = (self.image, self.hello.image_bytes);
        let mut early = None;
        for (index, part) in image.chunks(MAX_CHUNK).enumerate() {
            let offset = (index * MAX_CHUNK) as u32;
            let data = part.iter().copied().collect();
            let chunk = Message::Chunk { image: number, total, offset, data };
            self.again(&chunk, "word that a part of an image was taken", |message| match message {
                Message::Taken { image, next } => {
                    (*image == number && *next as usize == offset as usize + part.len()).then_some(())
                }
                Message::Answer(answer) if answer.image == number => {
                    early = Some(*answer);
                    None
                }
                _ => None,
            })?;
        }
        if let Some(answer) = early {
            return Ok(answer);
        }
        self.link.expect("answer", patience, |received| match &received.message {
            Message::Answer(answer) => (answer.image == number).then_some(*answer),
            _ => None,
        })
    }

    /// Sends a message until its answer comes.
    fn again<T>(
        &mut self,
        message: &Message,
        what: &'static str,
        mut pick: impl FnMut(&Message) -> Option<T>,
    ) -> Result<T, LinkError> {
        let mut tries = 1;
        loop {
            self.link.send(message)?;
            match self.link.expect(what, PROMPT / 2, |received| pick(&received.message)) {
                Err(LinkError::Silent { .. }) if tries < TRIES => tries += 1,
                other => return other,
            }
        }
    }

    fn unable(&self, ability: &'static str) -> LinkError {
        LinkError::Unable { name: self.hello.name.as_str().to_owned(), ability }
    }
}
