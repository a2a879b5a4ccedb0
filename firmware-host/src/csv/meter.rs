//! A meter that prints lines, read in the background.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use offramp_meter::{Description, Glance, Meter, MeterError, NotMeasured, Overhead, Reading};

use super::{Layout, Parser, RejectedLines, Row};
use crate::backoff::Backoff;
use crate::posix;
use crate::reading;
use crate::recorder::{Connect, RecorderError};
use crate::series::Series;
use crate::stream::{Stream, is_early};

/// A pause of so many usual ones is a gap.
const GAP: f64 = 3.5;
/// Pauses that the usual one is taken from.
const RECENT: usize = 31;

/// Reads lines in a thread of its own until it is dropped; a device that leaves is looked for.
#[derive(Debug)]
pub struct CsvMeter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    name: String,
    description: Description,
    from: Option<f64>,
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
    busy: Duration,
    open: bool,
}

/// Samples of one connection whose time did not jump.
#[derive(Debug, Default)]
struct Epoch {
    // In seconds of the device, or of the host where lines have no time.
    series: Series,
    /// Host time less device time, of the line that came quickest.
    offset: Option<f64>,
    last: Option<f64>,
    pauses: VecDeque<f64>,
}

impl Epoch {
    fn usual(&self) -> Option<f64> {
        let mut pauses: Vec<_> = self.pauses.iter().copied().collect();
        pauses.sort_by(f64::total_cmp);
        pauses.get(pauses.len() / 2).copied()
    }

    /// Takes a row that arrived at `host`; false where its time went back.
    fn add(&mut self, row: Row, host: f64) -> bool {
        let time = row.time_s.unwrap_or(host);
        let pause = self.last.map(|last| time - last);
        if pause.is_some_and(|pause| pause < 0.0) {
            return false;
        }
        let usual = self.usual();
        let gap =
            pause.zip(usual).is_some_and(|(pause, usual)| self.pauses.len() >= 5 && pause > usual * GAP);
        self.series.add(time, row.watts, gap);
        self.last = Some(time);
        self.offset = Some(self.offset.map_or(host - time, |offset| offset.min(host - time)));
        if let Some(pause) = pause {
            self.pauses.push_back(pause);
            if self.pauses.len() > RECENT {
                self.pauses.pop_front();
            }
        }
        true
    }
}

impl CsvMeter {
    /// Connects, and begins to read lines as `layout` has them, or as their header says.
    ///
    /// # Errors
    /// [`RecorderError::Port`], [`RecorderError::Thread`].
    pub fn open(mut connect: Box<dyn Connect>, layout: Option<Layout>) -> Result<Self, RecorderError> {
        let stream = connect.connect()?;
        let (name, ended) = (connect.name(), AtomicBool::new(false));
        let shared = Arc::new(Shared { state: Mutex::default(), ended, origin: Instant::now() });
        let for_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("csv meter".to_owned())
            .spawn(move || for_thread.record(stream, &mut *connect, layout))
            .map_err(RecorderError::Thread)?;
        // How often lines come is seen when they come.
        let description = reading::describe("csv", name.clone(), &name, Duration::ZERO);
        Ok(Self { shared, thread: Some(thread), name, description, from: None })
    }

    /// Lines that gave no sample.
    #[must_use]
    pub fn rejected(&self) -> RejectedLines {
        self.shared.state().rejected
    }

    /// Watts of the latest sample.
    #[must_use]
    pub fn latest_w(&self) -> Option<f64> {
        self.shared.state().epochs.last().and_then(|epoch| epoch.series.latest_w())
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
                    self.state().take(&rows, host, parser.rejected());
                    backoff.reset();
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    thread::sleep(Duration::from_millis(1))
                }
                Err(error) if is_early(&error) => {}
                _ => {
                    parser.restart();
                    while !self.ended.load(Ordering::Acquire) {
                        let (begin, wait) = (Instant::now(), backoff.next_wait());
                        while begin.elapsed() < wait && !self.ended.load(Ordering::Acquire) {
                            thread::sleep(Duration::from_millis(20));
                        }
                        if let Ok(again) = connect.connect() {
                            stream = again;
                            self.state().epochs.push(Epoch::default());
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
        for row in rows {
            let taken = self.epochs.last_mut().is_some_and(|epoch| epoch.add(*row, host));
            if !taken {
                // Its clock jumped.
                let mut epoch = Epoch::default();
                epoch.add(*row, host);
                self.epochs.push(epoch);
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
        let taken = |state: &State| state.epochs.iter().map(|epoch| epoch.series.taken()).sum::<u64>();
        let (begin, busy, before) = {
            let state = self.shared.state();
            (Instant::now(), state.busy, taken(&state))
        };
        while begin.elapsed() < Duration::from_millis(500) {
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
        self.shared.state().open = true;
        self.from = Some(self.shared.origin.elapsed().as_secs_f64());
        Ok(())
    }

    fn stop(&mut self) -> Result<Reading, MeterError> {
        let from = self.from.take().ok_or(MeterError::NotStarted)?;
        let to = self.shared.origin.elapsed().as_secs_f64();
        // The line behind the end, if it comes.
        let begin = Instant::now();
        let reached = |state: &State| {
            state.epochs.last().is_some_and(|epoch| {
                epoch.series.extent().zip(epoch.offset).is_some_and(|((_, last), offset)| last + offset >= to)
            })
        };
        while begin.elapsed() < Duration::from_secs(2) && !reached(&self.shared.state()) {
            thread::sleep(Duration::from_millis(2));
        }
        let mut state = self.shared.state();
        state.open = false;
        let (mut energy, mut covered, mut samples, mut gaps, mut usual) = (0.0, 0.0, 0, 0, None);
        for epoch in &state.epochs {
            let Some(offset) = epoch.offset else { continue };
            let sum = epoch.series.between(from - offset, to - offset);
            if sum.samples > 0 {
                gaps += sum.gaps + u64::from(samples > 0);
            }
            energy += sum.watt_ticks;
            covered += sum.covered;
            samples += sum.samples;
            usual = epoch.usual().or(usual);
        }
        drop(state);
        let usual = usual.unwrap_or(0.0);
        if covered == 0.0 {
            return Err(self.none("sent no samples in the window"));
        }
        let missing = (to - from) - covered;
        Ok(reading::Window {
            energy_j: energy,
            length: Duration::from_secs_f64(to - from),
            // Of one sample's time at either end, which is where a window of lines can be off.
            resolution_j: energy / covered * usual,
            samples,
            gaps: gaps > 0 || missing > 2.0 * usual,
            missing: Duration::from_secs_f64(missing.max(0.0)),
            period: Duration::from_secs_f64(usual),
        }
        .reading(&self.description))
    }

    fn glance(&mut self) -> Result<Vec<Glance>, MeterError> {
        Ok(reading::glance(&self.description, self.latest_w()))
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
