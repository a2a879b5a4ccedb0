//! A power meter that is read in the background, and the energy between two moments.

use std::io::{self};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use offramp_wire::{Fault, Hello, MarkSource, Message};

use crate::backoff::Backoff;
use crate::clock::Alignment;
use crate::csv::LayoutError;
use crate::link::{Link, LinkCounts, LinkError, Sender};
use crate::measurement::{Edge, Edges, Epoch, Mark, Measurement, Moment, State};
use crate::port::{Port, PortError, PortSelector, list_ports};
use crate::posix;
use crate::rails::PowerRail;
use crate::series::Series;
use crate::session::{Event, Session};
use crate::stream::Stream;

/// Clock comparisons before sampling begins.
const FIRST_EXCHANGES: usize = 24;
/// Time between clock comparisons while sampling. Not a multiple of anything usual.
const PING_EVERY: Duration = Duration::from_micros(98_390);
/// A device that says nothing for so long has left.
const SILENCE: Duration = Duration::from_secs(3);

/// Gets a line to a device, again and again.
pub trait Connect: Send {
    /// A new line to the device.
    ///
    /// # Errors
    /// [`PortError`].
    fn connect(&mut self) -> Result<Box<dyn Stream>, PortError>;

    /// What it connects to, for people.
    fn name(&self) -> String;
}

/// Connects to a serial port; a USB device is found again when it comes back under another name.
#[derive(Clone, Debug)]
pub struct PortConnect {
    selector: PortSelector,
    baud: u32,
}

impl PortConnect {
    /// Connects to the port that `selector` means, at `baud`.
    #[must_use]
    pub fn new(selector: PortSelector, baud: u32) -> Self {
        Self { selector, baud }
    }
}

impl Connect for PortConnect {
    fn connect(&mut self) -> Result<Box<dyn Stream>, PortError> {
        let port = Port::find(&self.selector, self.baud, Duration::from_millis(50))?;
        if let Ok(found) = list_ports(false) {
            self.selector = self.selector.pinned(port.path(), &found);
        }
        Ok(Box::new(port))
    }

    fn name(&self) -> String {
        self.selector.to_string()
    }
}

/// How a recorder asks.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Samples per 1000 s; 0 leaves it to the device.
    pub rate_millihz: u32,
    /// Samples per frame; 0 leaves it to the device.
    pub batch: u8,
    /// What the ends of a window are taken from.
    pub edges: Edges,
    /// How long a device may take to say hello.
    pub patience: Duration,
    /// Rails whose power is added; the device's only one where none is named.
    pub rails: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rate_millihz: 0,
            batch: 0,
            edges: Edges::Best,
            patience: Duration::from_secs(5),
            rails: Vec::new(),
        }
    }
}

/// What a recorder is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Samples come.
    Recording,
    /// The device has left, for this reason; it is looked for.
    Waiting(String),
    /// It is no use looking for it, for this reason.
    Failed(String),
}

/// What keeps a recorder from recording.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecorderError {
    /// There is no line to the device.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The device does not answer as it should.
    #[error("{name} is no meter that can be used")]
    Link {
        /// What was connected to.
        name: String,
        /// Why.
        source: LinkError,
    },
    /// There is no thread to record in.
    #[error("no thread to record in")]
    Thread(#[source] io::Error),
    /// Fewer than two edges of the wire were seen in the window.
    #[error("the wire had {found} edges in the window, expected at least 2")]
    NoEdges {
        /// Edges.
        found: usize,
    },
    /// The device never answered a mark of the window.
    #[error("the device stamped {found} of the window's 2 marks")]
    NoMarks {
        /// Marks that were answered.
        found: usize,
    },
    /// No lines with a power.
    #[error("{name} sent no lines with a power in {waited:.1?}, {rejected} that cannot be read")]
    NoLines {
        /// What was connected to.
        name: String,
        /// How long lines were waited for.
        waited: Duration,
        /// Lines that gave no sample.
        rejected: u64,
        /// Why the last header could not be used.
        #[source]
        header: Option<LayoutError>,
    },
    /// Nothing at all was sampled in the window.
    #[error("no sample lies in the window of {window_s:.3} s: {why}")]
    NoSamples {
        /// Length of the window.
        window_s: f64,
        /// What the recorder was at.
        why: String,
    },
}

/// Reads a meter in a thread of its own until it is dropped.
#[derive(Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    name: String,
}

/// A window that was begun. Samples are kept from here on until it is ended or dropped.
#[derive(Debug)]
pub struct Window {
    _open: Arc<()>,
    from: Moment,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    ended: AtomicBool,
    origin: Instant,
    settings: Settings,
    tokens: AtomicU32,
    sender: Mutex<Option<Sender<Box<dyn Stream>>>>,
    /// Every open window holds it.
    open: Arc<()>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Recorder {
    /// Connects, and begins to record. The first connection is made here, so that what is wrong with it is told at once;
    /// later ones are tried again and again.
    ///
    /// # Errors
    /// [`RecorderError::Port`], [`RecorderError::Link`].
    pub fn open(mut connect: Box<dyn Connect>, settings: Settings) -> Result<Self, RecorderError> {
        let name = connect.name();
        let state = State {
            epochs: Vec::new(),
            marks: Vec::new(),
            status: Status::Recording,
            counts: LinkCounts::default(),
            busy: Duration::ZERO,
            overruns: 0,
            past: (0, 0),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            ended: AtomicBool::new(false),
            origin: Instant::now(),
            settings,
            tokens: AtomicU32::new(0),
            sender: Mutex::new(None),
            open: Arc::default(),
        });
        let stream = connect.connect()?;
        let session =
            shared.begin(stream).map_err(|source| RecorderError::Link { name: name.clone(), source })?;
        let for_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("meter".to_owned())
            .spawn(move || for_thread.record(session, &mut *connect))
            .map_err(RecorderError::Thread)?;
        let recorder = Self { shared, thread: Some(thread), name };
        recorder.first_sample();
        Ok(recorder)
    }

    /// Waits for a sample, so that a window that is begun at once begins among samples.
    fn first_sample(&self) {
        let begin = Instant::now();
        let mut state = self.shared.state();
        while begin.elapsed() < Duration::from_secs(2)
            && state.epochs.last().is_some_and(|epoch| epoch.series.taken() == 0)
        {
            let waited = self.shared.changed.wait_timeout(state, Duration::from_millis(100));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What is read.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the device says of itself, since it last came.
    #[must_use]
    pub fn hello(&self) -> Option<Hello> {
        self.shared.state().epochs.last().map(|epoch| epoch.hello.clone())
    }

    /// What it is at.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.state().status.clone()
    }

    /// What the present line has seen.
    #[must_use]
    pub fn counts(&self) -> LinkCounts {
        self.shared.state().counts
    }

    /// Samples that came and samples that never came, since the recorder was opened.
    #[must_use]
    pub fn samples(&self) -> (u64, u64) {
        let state = self.shared.state();
        let of = |epoch: &Epoch| (epoch.series.taken(), epoch.series.lost());
        state
            .epochs
            .iter()
            .map(of)
            .fold(state.past, |(taken, lost), (more, fewer)| (taken + more, lost + fewer))
    }

    /// Samples that the device says it could not send.
    #[must_use]
    pub fn overruns(&self) -> u64 {
        self.shared.state().overruns
    }

    /// Watts of the latest sample, or why it is not that of now.
    ///
    /// # Errors
    /// The reason why no samples come, for people.
    pub fn latest_w(&self) -> Result<f64, String> {
        let state = self.shared.state();
        match &state.status {
            Status::Waiting(why) | Status::Failed(why) => Err(why.clone()),
            Status::Recording => {
                let latest = state.epochs.last().and_then(|epoch| epoch.series.latest_w());
                latest.ok_or_else(|| "no sample has come yet".to_owned())
            }
        }
    }

    /// What is measured: rails of the device whose power is added.
    #[must_use]
    pub fn rails(&self) -> Vec<PowerRail> {
        self.shared.state().epochs.last().map(|epoch| epoch.rails.clone()).unwrap_or_default()
    }

    /// How well the clocks are aligned.
    #[must_use]
    pub fn alignment(&self) -> Option<Alignment> {
        self.shared.state().epochs.last().and_then(|epoch| epoch.clock.alignment())
    }

    /// Time between two samples.
    #[must_use]
    pub fn period(&self) -> Duration {
        let rate = self.shared.state().epochs.last().map_or(0, |epoch| epoch.rate_millihz);
        Duration::from_secs_f64(1000.0 / f64::from(rate.max(1)))
    }

    /// Processor time that reading has cost so far.
    #[must_use]
    pub fn busy(&self) -> Duration {
        self.shared.state().busy
    }

    /// Begins a window.
    #[must_use]
    pub fn begin(&self) -> Window {
        Window { _open: Arc::clone(&self.shared.open), from: self.shared.mark() }
    }

    /// Ends a window, waiting until its last samples are there or cannot come any more.
    ///
    /// # Errors
    /// [`RecorderError::NoEdges`] and [`RecorderError::NoMarks`] where the settings insist on them, and
    /// [`RecorderError::NoSamples`].
    pub fn end(&self, window: Window) -> Result<Measurement, RecorderError> {
        let to = self.shared.mark();
        self.measure(&window, to, self.shared.settings.edges).1
    }

    /// Ends a window where the host is now, whatever a wire does: its time is that of whoever counts what happened meanwhile.
    ///
    /// # Errors
    /// As [`Recorder::end`].
    pub fn end_now(&self, window: Window) -> Result<Measurement, RecorderError> {
        let to = self.shared.mark();
        self.measure(&window, to, self.shared.settings.edges.of_host()).1
    }

    /// Ends a window and begins the next one at the same moment: nothing is between them, and what no window needs any more is let go.
    /// Where the settings do not insist on a wire, none is looked at: time between its edges would be nobody's.
    ///
    /// # Errors
    /// As [`Recorder::end`]; the next window has begun all the same.
    pub fn next(&self, window: Window) -> (Result<Measurement, RecorderError>, Window) {
        let to = self.shared.mark();
        let edges = match self.shared.settings.edges {
            Edges::Line => Edges::Line,
            other => other.of_host(),
        };
        let (mut state, measured) = self.measure(&window, to, edges);
        // The recorder's own, and this window's.
        if Arc::strong_count(&self.shared.open) == 2 {
            state.forget(to.mark);
        }
        drop(state);
        (measured, Window { from: to, ..window })
    }

    /// Measures from the window's beginning to a moment.
    fn measure(
        &self,
        window: &Window,
        to: Moment,
        edges: Edges,
    ) -> (MutexGuard<'_, State>, Result<Measurement, RecorderError>) {
        let begin = Instant::now();
        let mut state = self.shared.state();
        while begin.elapsed() < SILENCE.max(state.frame() * 2)
            && state.status == Status::Recording
            && !state.reaches(&to)
        {
            let waited = self.shared.changed.wait_timeout(state, Duration::from_millis(100));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let measured = state.measure(window.from, to, edges);
        (state, measured)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has recorded nothing more; there is nobody to tell.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn host(&self) -> f64 {
        self.origin.elapsed().as_secs_f64()
    }

    /// Now, with a mark on its way to the device unless the clock alone is wanted.
    fn mark(&self) -> Moment {
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
    fn begin(&self, stream: Box<dyn Stream>) -> Result<Session<Box<dyn Stream>>, LinkError> {
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
        let rate_millihz = session.start(self.settings.rate_millihz, self.settings.batch)?;
        let (hello, clock) = (session.hello().clone(), session.clock().clone());
        let series = Series::with_step(clock.tick_hz() * 1000.0 / f64::from(rate_millihz.max(1)));
        let mut state = self.state();
        state.epochs.push(Epoch { hello, rails, clock, series, rate_millihz, edges: Vec::new() });
        state.status = Status::Recording;
        drop(state);
        self.changed.notify_all();
        Ok(session)
    }

    fn record(&self, mut session: Session<Box<dyn Stream>>, connect: &mut dyn Connect) {
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
                    state.marks.push(Mark { token, epoch: current, ticks, back });
                    self.changed.notify_all();
                }
                Event::Marker { ticks, source, .. } => {
                    if let Some(epoch) = state.epochs.last_mut() {
                        epoch.edges.push(Edge { ticks, high: source == MarkSource::Rise });
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
