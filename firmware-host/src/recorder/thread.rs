//! The thread that reads a device, and what it shares with whoever asks.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use offramp_wire::{Fault, MarkSource, Message};

use super::{Connect, SILENCE, Settings, Status};
use crate::backoff::Backoff;
use crate::link::{Link, LinkError, Sender};
use crate::measurement::{Edge, Edges, Epoch, Mark, Moment, State};
use crate::posix;
use crate::rails::PowerRail;
use crate::series::Series;
use crate::session::{Event, Session};
use crate::stream::Stream;

/// Seconds of samples in a frame of a device so slow that they are fewer than so many.
const FRAME_S: f64 = 0.25;
const FEW: f64 = 10.0;
/// Clock comparisons before sampling begins.
const FIRST_EXCHANGES: usize = 24;
/// Time between clock comparisons while sampling. Not a multiple of anything usual.
const PING_EVERY: Duration = Duration::from_micros(98_390);
/// Marks or edges of one epoch that are kept: a wire that swings for ever fills no memory.
const KEPT: usize = 1 << 18;

/// Adds what came, and forgets the older half of too many.
fn keep<T>(kept: &mut Vec<T>, one: T) {
    if kept.len() >= KEPT {
        kept.drain(..KEPT / 2);
    }
    kept.push(one);
}

/// What thread and recorder share.
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    pub(super) changed: Condvar,
    pub(super) ended: AtomicBool,
    origin: Instant,
    pub(super) settings: Settings,
    tokens: AtomicU32,
    sender: Mutex<Option<Sender<Box<dyn Stream>>>>,
    /// Every open window holds it.
    pub(super) open: Arc<()>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            state: Mutex::new(State::recording(Vec::new())),
            changed: Condvar::new(),
            ended: AtomicBool::new(false),
            origin: Instant::now(),
            settings,
            tokens: AtomicU32::new(0),
            sender: Mutex::new(None),
            open: Arc::default(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn host(&self) -> f64 {
        self.origin.elapsed().as_secs_f64()
    }

    /// Now, with a mark on its way to the device unless the clock alone is wanted.
    pub(super) fn mark(&self) -> Moment {
        let host = self.host();
        let mut sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        let mark = match (&mut *sender, self.settings.edges) {
            (Some(sender), Edges::Best | Edges::Host | Edges::Serial) => {
                let token = self.tokens.fetch_add(1, Ordering::Relaxed);
                sender.send(&Message::Mark { token }).is_ok().then_some(token)
            }
            _ => None,
        };
        Moment { host, mark }
    }

    /// Shakes hands on a new line, aligns the clocks and starts sampling: a new epoch.
    pub(super) fn begin(&self, stream: Box<dyn Stream>) -> Result<Session<Box<dyn Stream>>, LinkError> {
        let writer = stream.split().map_err(LinkError::Io)?;
        let link = Link::new(stream, Duration::from_secs(1));
        let sender = link.sender(writer);
        let session = Session::open(link, self.origin, self.settings.patience)?;
        let session = self.sample(session)?;
        *self.sender.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        Ok(session)
    }

    fn sample<S: io::Read + io::Write>(&self, mut session: Session<S>) -> Result<Session<S>, LinkError> {
        let rails = PowerRail::choose(session.hello(), &self.settings.rails)
            .map_err(|source| LinkError::Rails { name: session.hello().name.as_str().to_owned(), source })?;
        session.synchronise(FIRST_EXCHANGES)?;
        let Settings { rate_millihz, batch, .. } = self.settings;
        // A slow device's own batch may take as long as a window.
        let rate = if rate_millihz > 0 { rate_millihz } else { session.hello().rate_millihz };
        let few = f64::from(rate) / 1e3 * FRAME_S;
        let batch = if batch == 0 && rate > 0 && few < FEW { (few as u8).max(1) } else { batch };
        let rate_millihz = session.start(rate_millihz, batch)?;
        let (hello, clock) = (session.hello().clone(), session.clock().clone());
        let series = Series::with_step(clock.tick_hz() * 1000.0 / f64::from(rate_millihz.max(1)));
        let mut state = self.state();
        if Arc::strong_count(&self.open) == 1 {
            state.forget(None);
        }
        state.epochs.push(Epoch { hello, rails, clock, series, rate_millihz, edges: Vec::new() });
        state.status = Status::Recording;
        drop(state);
        self.changed.notify_all();
        Ok(session)
    }

    pub(super) fn record(&self, mut session: Session<Box<dyn Stream>>, connect: &mut dyn Connect) {
        let mut backoff = Backoff::default();
        loop {
            let error = match self.stream(session) {
                Ok(None) => return,
                // The device was reset: the line is still good.
                Ok(Some(reset)) => {
                    match reset.reopen(self.settings.patience).and_then(|session| self.sample(session)) {
                        Ok(again) => {
                            session = again;
                            continue;
                        }
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            tracing::warn!(device = connect.name(), %error, "the meter has left");
            *self.sender.lock().unwrap_or_else(PoisonError::into_inner) = None;
            self.tell(Status::Waiting(error.to_string()));
            session = loop {
                if self.rest(backoff.next_wait()) {
                    return;
                }
                let tried = connect.connect().map_err(|error| (error.to_string(), error.passes()));
                match tried.and_then(|stream| {
                    self.begin(stream).map_err(|error| {
                        let fatal = matches!(
                            error,
                            LinkError::Version { .. }
                                | LinkError::Schema { .. }
                                | LinkError::Unable { .. }
                                | LinkError::Rails { .. }
                        );
                        (error.to_string(), !fatal)
                    })
                }) {
                    Ok(session) => break session,
                    Err((why, true)) => self.tell(Status::Waiting(why)),
                    Err((why, false)) => return self.tell(Status::Failed(why)),
                }
            };
            tracing::info!(device = connect.name(), "the meter is back");
            backoff.reset();
        }
    }

    /// Records until the device leaves (an error), is reset (the session), or nobody records any more (nothing).
    fn stream(
        &self,
        mut session: Session<Box<dyn Stream>>,
    ) -> Result<Option<Session<Box<dyn Stream>>>, LinkError> {
        let (mut heard, mut pinged) = (Instant::now(), Instant::now());
        while !self.ended.load(Ordering::Acquire) {
            let until = (pinged + PING_EVERY).min(Instant::now() + Duration::from_millis(50));
            let event = session.next(until)?;
            if pinged.elapsed() >= PING_EVERY {
                session.ping()?;
                pinged = Instant::now();
            }
            let Some(event) = event else {
                if heard.elapsed() >= SILENCE {
                    let (waited, counts) = (heard.elapsed(), session.counts());
                    let (rejected, unread) = (counts.rejected.total(), counts.unread);
                    return Err(LinkError::Silent { what: "word", waited, rejected, unread });
                }
                continue;
            };
            heard = Instant::now();
            let mut state = self.state();
            state.counts = session.counts();
            state.busy = posix::thread_time();
            let current = state.epochs.len().saturating_sub(1);
            match event {
                Event::Samples(batch) => {
                    // One of other channels than the hello's is none of this meter's: it is missing by its number.
                    if let Some(epoch) = state.epochs.last_mut().filter(|epoch| epoch.describes(&batch)) {
                        epoch.series.push(&batch, &epoch.rails, session.ticks());
                    }
                    if Arc::strong_count(&self.open) == 1 {
                        state.forget(None);
                    }
                    self.changed.notify_all();
                }
                Event::Pong => {
                    if let Some(epoch) = state.epochs.last_mut() {
                        epoch.clock = session.clock().clone();
                    }
                }
                Event::Marker { ticks, source: MarkSource::Serial, token, at } => {
                    let back = at.saturating_duration_since(self.origin).as_secs_f64();
                    keep(&mut state.marks, Mark { token, epoch: current, ticks, back });
                    self.changed.notify_all();
                }
                Event::Marker { ticks, source, .. } => {
                    if let Some(epoch) = state.epochs.last_mut() {
                        keep(&mut epoch.edges, Edge { ticks, high: source == MarkSource::Rise });
                    }
                }
                Event::Complaint { code: Fault::Overrun, detail } => state.overruns = u64::from(detail),
                Event::Complaint { code, detail } => {
                    tracing::warn!(?code, detail, "the device complains");
                }
                Event::Reset(_) => return Ok(Some(session)),
                // It stopped, and not because it was told to.
                Event::Stopped { .. } => return Ok(Some(session)),
                Event::Other(_) => {}
            }
        }
        session.stop()?;
        Ok(None)
    }

    fn tell(&self, status: Status) {
        self.state().status = status;
        self.changed.notify_all();
    }

    /// Waits; whether nobody records any more.
    fn rest(&self, wait: Duration) -> bool {
        let begin = Instant::now();
        let mut state = self.state();
        while begin.elapsed() < wait && !self.ended.load(Ordering::Acquire) {
            let left = wait.saturating_sub(begin.elapsed());
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        self.ended.load(Ordering::Acquire)
    }
}
