//! A power meter that is read in the background, and the energy between two moments.

mod connect;
mod error;
mod thread;

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use offramp_wire::Hello;

use crate::clock::Alignment;
use crate::link::LinkCounts;
use crate::measurement::{Edges, Epoch, Measurement, Moment, State};
use crate::rails::PowerRail;

pub use connect::{Connect, PortConnect};
pub use error::RecorderError;
use thread::Shared;

/// A device that says nothing for so long has left.
const SILENCE: Duration = Duration::from_secs(3);

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

impl Recorder {
    /// Connects, and begins to record. The first connection is made here, so that what is wrong with it is told at once;
    /// later ones are tried again and again.
    ///
    /// # Errors
    /// [`RecorderError::Port`], [`RecorderError::Link`].
    pub fn open(mut connect: Box<dyn Connect>, settings: Settings) -> Result<Self, RecorderError> {
        let name = connect.name();
        let shared = Arc::new(Shared::new(settings));
        let stream = connect.connect()?;
        let session =
            shared.begin(stream).map_err(|source| RecorderError::Link { name: name.clone(), source })?;
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
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

    /// Mean watts of the samples since this was last asked, or why there are none: one sample of a load that comes and goes says
    /// little.
    ///
    /// # Errors
    /// The reason why no samples come, for people.
    pub fn mean_w(&self) -> Result<f64, String> {
        let mut state = self.shared.state();
        match &state.status {
            Status::Waiting(why) | Status::Failed(why) => Err(why.clone()),
            Status::Recording => {
                let mean = state.epochs.last_mut().and_then(|epoch| epoch.series.mean_w());
                mean.ok_or_else(|| "no sample has come yet".to_owned())
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
