//! A meter that prints lines, read in the background.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use offramp_meter::{Description, Glance, Meter, MeterError, NotMeasured, Overhead, Reading};

use super::epoch::Epoch;
use super::{Layout, LayoutError, Parser, RejectedLines, Row};
use crate::backoff::Backoff;
use crate::posix;
use crate::reading;
use crate::recorder::{Connect, RecorderError};
use crate::series::Sum;
use crate::stream::{Stream, is_early};

/// How long a meter may take for its first line, and for so many that tell how often they come.
const FIRST: Duration = Duration::from_secs(10);
const REGULAR: Duration = Duration::from_secs(30);

/// Reads lines in a thread of its own until it is dropped; a device that leaves is looked for.
#[derive(Debug)]
pub struct CsvMeter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    name: String,
    description: Description,
    /// When the window was opened, and how many lines could not be read until then.
    from: Option<(f64, u64)>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    ended: AtomicBool,
    origin: Instant,
}

#[derive(Debug, Default)]
struct State {
    epochs: Vec<Epoch>,
    rejected: RejectedLines,
    /// A header that could not be used.
    refused: Option<LayoutError>,
    busy: Duration,
    open: bool,
    /// Why no lines come.
    left: Option<String>,
}

impl CsvMeter {
    /// Connects, and begins to read lines as `layout` has them, or as their header says. Waits until it is seen how often they
    /// come: some lines, half a minute at most.
    ///
    /// # Errors
    /// [`RecorderError::Port`], [`RecorderError::Thread`], [`RecorderError::NoLines`].
    pub fn open(mut connect: Box<dyn Connect>, layout: Option<Layout>) -> Result<Self, RecorderError> {
        let stream = connect.connect()?;
        let (name, ended) = (connect.name(), AtomicBool::new(false));
        let shared = Arc::new(Shared { state: Mutex::default(), ended, origin: Instant::now() });
        let for_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("csv meter".to_owned())
            .spawn(move || for_thread.record(stream, &mut *connect, layout))
            .map_err(RecorderError::Thread)?;
        let description = reading::describe("csv", name.clone(), &name, Duration::ZERO);
        let mut meter = Self { shared, thread: Some(thread), name: name.clone(), description, from: None };
        let period = meter.regular()?;
        meter.description = reading::describe("csv", name.clone(), &name, period);
        Ok(meter)
    }

    /// Waits until it is seen how often lines come.
    fn regular(&self) -> Result<Duration, RecorderError> {
        let begin = Instant::now();
        loop {
            let state = self.shared.state();
            let epoch = state.epochs.last();
            let (usual, regular) = epoch.map_or((None, false), |epoch| (epoch.usual(), epoch.is_regular()));
            let some = epoch.is_some_and(|epoch| epoch.series.taken() > 0);
            let (rejected, refused) = (state.rejected.total(), state.refused.clone());
            drop(state);
            let waited = begin.elapsed();
            match usual {
                Some(usual) if regular || waited > REGULAR => return Ok(Duration::from_secs_f64(usual)),
                _ if waited > REGULAR || (waited > FIRST && !some) => {
                    let name = self.name.clone();
                    return Err(RecorderError::NoLines { name, waited, rejected, header: refused });
                }
                _ => thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Lines that gave no sample.
    #[must_use]
    pub fn rejected(&self) -> RejectedLines {
        self.shared.state().rejected
    }

    /// Mean watts of the lines since this was last asked, or why there are none.
    ///
    /// # Errors
    /// The reason why no lines come, for people.
    pub fn mean_w(&self) -> Result<f64, String> {
        let mut state = self.shared.state();
        if let Some(why) = &state.left {
            return Err(why.clone());
        }
        let epoch = state.epochs.last_mut();
        let latest = epoch.and_then(|epoch| Some((epoch.series.mean_w()?, epoch.arrived?)));
        let (watts, arrived) = latest.ok_or_else(|| "no line has come yet".to_owned())?;
        let silence = self.shared.origin.elapsed().as_secs_f64() - arrived;
        let most = (self.description.period.as_secs_f64() * 10.0).max(1.0);
        if silence > most { Err(format!("no line has come for {silence:.1} s")) } else { Ok(watts) }
    }

    fn none(&self, why: &str) -> MeterError {
        NotMeasured::new("energy_j", format!("{} {why}", self.name)).into()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, mut stream: Box<dyn Stream>, connect: &mut dyn Connect, layout: Option<Layout>) {
        let mut parser = Parser::new(layout);
        let mut backoff = Backoff::default();
        let mut bytes = [0; 4096];
        self.state().epochs.push(Epoch::default());
        while !self.ended.load(Ordering::Acquire) {
            match stream.read(&mut bytes) {
                Ok(count) if count > 0 => {
                    let host = self.origin.elapsed().as_secs_f64();
                    let rows = parser.feed(&bytes[..count]);
                    let mut state = self.state();
                    state.take(&rows, host, parser.rejected());
                    if state.refused.as_ref() != parser.refused() {
                        state.refused = parser.refused().cloned();
                    }
                    drop(state);
                    backoff.reset();
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    thread::sleep(Duration::from_millis(1))
                }
                Err(error) if is_early(&error) => {}
                ended => {
                    let why = ended
                        .err()
                        .map_or_else(|| "the device has left".to_owned(), |error| error.to_string());
                    self.state().left = Some(why);
                    parser.restart();
                    while !self.ended.load(Ordering::Acquire) {
                        let (begin, wait) = (Instant::now(), backoff.next_wait());
                        while begin.elapsed() < wait && !self.ended.load(Ordering::Acquire) {
                            thread::sleep(Duration::from_millis(20));
                        }
                        if let Ok(again) = connect.connect() {
                            stream = again;
                            let mut state = self.state();
                            state.epochs.push(Epoch::default());
                            state.left = None;
                            break;
                        }
                    }
                }
            }
        }
    }
}

impl State {
    fn take(&mut self, rows: &[Row], host: f64, rejected: RejectedLines) {
        self.rejected = rejected;
        self.busy = posix::thread_time();
        let mut left = rows;
        while let Some(epoch) = self.epochs.last_mut()
            && !left.is_empty()
        {
            left = &left[epoch.take(left, host)..];
            if !left.is_empty() {
                // Its clock jumped.
                self.epochs.push(Epoch::default());
            }
        }
        if !self.open {
            let ended = self.epochs.len().saturating_sub(1);
            self.epochs.drain(..ended);
            if let Some(epoch) = self.epochs.last_mut()
                && let Some((first, last)) = epoch.series.extent()
                && first < last - 6.0
            {
                epoch.series.forget_before(last - 5.0);
            }
        }
    }
}

impl Meter for CsvMeter {
    fn description(&self) -> &Description {
        &self.description
    }

    fn calibrate(&mut self) -> Result<Overhead, MeterError> {
        if self.from.is_some() {
            return Err(MeterError::WindowOpen);
        }
        let taken = |state: &State| state.epochs.iter().map(|epoch| epoch.series.taken()).sum::<u64>();
        let (begin, busy, before) = {
            let state = self.shared.state();
            (Instant::now(), state.busy, taken(&state))
        };
        let enough = Duration::from_millis(500).max(self.description.period * 4);
        while begin.elapsed() < enough {
            thread::sleep(Duration::from_millis(20));
        }
        let state = self.shared.state();
        let samples = taken(&state).saturating_sub(before);
        if samples == 0 {
            drop(state);
            return Err(self.none("sends no lines that can be read"));
        }
        Ok(reading::overhead(state.busy.saturating_sub(busy), samples, begin.elapsed()))
    }

    fn start(&mut self) -> Result<(), MeterError> {
        let mut state = self.shared.state();
        state.open = true;
        self.from = Some((self.shared.origin.elapsed().as_secs_f64(), state.rejected.total()));
        Ok(())
    }

    fn stop(&mut self) -> Result<Reading, MeterError> {
        let (from, rejected) = self.from.take().ok_or(MeterError::NotStarted)?;
        let to = self.shared.origin.elapsed().as_secs_f64();
        // The line behind the end, if it comes.
        let begin = Instant::now();
        let reached = |state: &State| {
            state.epochs.last().is_some_and(|epoch| {
                epoch
                    .series
                    .extent()
                    .zip(epoch.offset())
                    .is_some_and(|((_, last), offset)| last + offset >= to)
            })
        };
        let patience = Duration::from_secs(2).max(self.description.period * 4);
        while begin.elapsed() < patience && !reached(&self.shared.state()) {
            thread::sleep(Duration::from_millis(2));
        }
        let mut state = self.shared.state();
        state.open = false;
        let (mut all, mut usual) = (Sum::default(), None);
        for epoch in &state.epochs {
            let Some(offset) = epoch.offset() else { continue };
            let sum = epoch.series.between(from - offset, to - offset);
            // Between two connections there is a gap by nature.
            let apart = u64::from(sum.samples > 0 && all.samples > 0);
            all.add(&Sum { gaps: sum.gaps + apart, ..sum });
            usual = epoch.usual().or(usual);
        }
        let strays = state.epochs.iter().find_map(Epoch::strays);
        let left = state.left.clone();
        let rejected = state.rejected.total().saturating_sub(rejected);
        drop(state);
        let (usual, length) = (usual.unwrap_or(0.0), Duration::from_secs_f64(to - from));
        if all.covered == 0.0 {
            let why = left.unwrap_or_else(|| "no line came in it".to_owned());
            let energy = Err(NotMeasured::energy(format!("no sample lies in the window: {why}")));
            return Ok(reading::bare(&self.description, length, energy));
        }
        if let Some(rate) = strays {
            let why = format!(
                "the meter's clock runs {rate:.3} times as fast as this machine's: its unit is another"
            );
            return Ok(reading::bare(&self.description, length, Err(NotMeasured::energy(why))));
        }
        if rejected > all.samples {
            let why = format!(
                "{rejected} lines cannot be read, {} can: that is another meter, or noise",
                all.samples
            );
            return Ok(reading::bare(&self.description, length, Err(NotMeasured::energy(why))));
        }
        let missing = (to - from) - all.covered;
        // A window of lines can be off by one sample's time at either end: nothing tells how long a line took.
        let of_one = all.watt_ticks / all.covered * usual;
        Ok(reading::Window {
            energy_j: all.watt_ticks,
            length,
            resolution_j: of_one,
            samples: all.samples,
            gaps: all.gaps > 0 || missing > 2.0 * usual,
            unread: rejected,
            missing: Duration::from_secs_f64(missing.max(0.0)),
            period: Duration::from_secs_f64(usual),
            ends_error_j: 2.0 * of_one.abs(),
            ends_w: all.ends_w,
            noise_w: all.noise_w(),
        }
        .reading(&self.description))
    }

    fn glance(&mut self) -> Result<Vec<Glance>, MeterError> {
        Ok(reading::glance(&self.description, self.mean_w()))
    }
}

impl Drop for CsvMeter {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has recorded nothing more; there is nobody to tell.
            let _ = thread.join();
        }
    }
}
