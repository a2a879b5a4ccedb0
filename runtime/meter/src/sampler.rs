//! A meter out of a probe: one thread that samples while a window is open, and sleeps otherwise.

mod thread;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::probe::{Lost, Sample};
use crate::source::Found;
use crate::{
    Cost, Description, Glance, Joules, Meter, MeterError, NotMeasured, Overhead, Quantity, Reading, Recorder,
    Watts,
};

use thread::{Drill, Shared, State};

/// How long a source may take for one sample before it counts as dead.
const PATIENCE: Duration = Duration::from_secs(5);

/// Limits of the time between samples.
const SHORTEST: Duration = Duration::from_micros(100);
const LONGEST: Duration = Duration::from_secs(600);

/// Samples in a row that tell what one costs, and those that tell about how long one takes.
const DRILL: u32 = 64;
const FIRST: u32 = 4;

/// How to sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// Mean time between samples, within 100 us and 10 min; `None`: as the source's description says, or twice what a sample
    /// takes where that is longer.
    pub period: Option<Duration>,
    /// What the jitter of the period comes from: samples lie 0.8 to 1.2 periods apart, so that they beat with no load.
    pub seed: u64,
    /// Length of each of the four windows in which calibration looks for the energy of sampling.
    pub calibration: Duration,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { period: None, seed: 0, calibration: Duration::from_secs(1) }
    }
}

/// A source that is sampled by a thread of its own.
pub struct Sampler {
    description: Description,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    epoch: Instant,
    period: Duration,
    calibration: Duration,
    /// CPU time of the thread when the window was opened.
    opened: Option<Option<Duration>>,
    /// Of counters: when a glance last saw which value.
    glanced: Vec<Option<(Duration, i64)>>,
    /// The source did not answer in time: the thread may hang in it for ever.
    stalled: AtomicBool,
}

impl fmt::Debug for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sampler").field("description", &self.description).finish_non_exhaustive()
    }
}

impl Sampler {
    /// Starts the thread, which sleeps until a window is opened.
    ///
    /// # Errors
    /// [`MeterError::Source`] when there can be no thread, [`MeterError::Stalled`] where the source is to say how fast it can be
    /// sampled and does not answer.
    pub fn new(found: Found, sampling: Sampling) -> Result<Self, MeterError> {
        let Found { mut description, probe } = found;
        let period = sampling.period.unwrap_or(description.period).clamp(SHORTEST, LONGEST);
        description.period = period;
        let epoch = Instant::now();
        let rails = description.rails.len();
        let shared = Arc::new(Shared::new(State::new(Recorder::new(&description, period), rails, period)));
        let of_thread = Arc::clone(&shared);
        let spawned = std::thread::Builder::new()
            .name("offramp-meter".to_owned())
            .spawn(move || thread::run(&of_thread, probe, rails, epoch, sampling.seed));
        let thread = spawned
            .map_err(|source| MeterError::Source { origin: "the sampling thread".to_owned(), source })?;
        let mut sampler = Self {
            glanced: vec![None; rails],
            description,
            shared,
            thread: Some(thread),
            epoch,
            period,
            calibration: sampling.calibration,
            opened: None,
            stalled: AtomicBool::new(false),
        };
        if sampling.period.is_none() {
            let took = sampler.drill(FIRST)?.wall / FIRST;
            sampler.slow_down(took.saturating_mul(2));
        }
        Ok(sampler)
    }

    /// Samples no faster than every `period`.
    fn slow_down(&mut self, period: Duration) {
        if period <= self.period {
            return;
        }
        self.period = period.min(LONGEST);
        self.description.period = self.period;
        let mut state = self.state();
        (state.recorder, state.period) = (Recorder::new(&self.description, self.period), self.period);
    }

    /// What `count` samples in a row take.
    fn drill(&mut self, count: u32) -> Result<Drill, MeterError> {
        let mut state = self.sample(|state| state.drill = Some(count))?;
        Ok(state.drilled.take().unwrap_or_default())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a sample that begins from now on, after `prepare` was done to the state, and waits for it.
    fn sample(&self, prepare: impl FnOnce(&mut State)) -> Result<MutexGuard<'_, State>, MeterError> {
        let mut state = self.state();
        prepare(&mut state);
        state.asked += 1;
        let mine = state.asked;
        self.shared.wake.notify_one();
        let (state, waited) = self
            .shared
            .sampled
            .wait_timeout_while(state, PATIENCE, |state| state.answered < mine)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            self.stalled.store(true, Ordering::Relaxed);
            let origin = self.description.source.clone();
            return Err(MeterError::Stalled { origin, waited_s: PATIENCE.as_secs_f64() });
        }
        Ok(state)
    }

    /// One window at `period`: mean power, and samples per second.
    fn trial(&mut self, period: Duration) -> Result<Option<(f64, f64, f64)>, MeterError> {
        self.state().period = period;
        self.start()?;
        std::thread::sleep(self.calibration);
        let reading = self.stop()?;
        let seconds = reading.window.as_secs_f64();
        let resolution = reading.resolution.map_or(0.0, |joules| joules.0 / seconds);
        Ok(reading
            .energy
            .ok()
            .map(|joules| (joules.0 / seconds, reading.samples as f64 / seconds, resolution)))
    }

    /// What more samples cost in power, brought back to the meter's own rate.
    fn energy_of_sampling(&mut self, sample: Duration) -> Result<Option<Joules>, MeterError> {
        let slow = self.period;
        let fast = (slow / 8).max(sample * 2);
        if self.description.total.is_err() || fast >= slow {
            return Ok(None);
        }
        let mut found = Vec::new();
        for period in [slow, fast, fast, slow] {
            let trial = self.trial(period);
            self.state().period = slow;
            found.push(trial?);
        }
        let [Some(a), Some(b), Some(c), Some(d)] = found[..] else { return Ok(None) };
        let power = (b.0 + c.0 - a.0 - d.0) / 2.0;
        let rate = (b.1 + c.1 - a.1 - d.1) / 2.0;
        let resolution = [a, b, c, d].iter().map(|trial| trial.2).fold(0.0, f64::max);
        // Twice a step: below that a difference says nothing.
        let seen = power > 2.0 * resolution && rate > 0.0;
        Ok(seen.then(|| Joules(power / rate * (a.1 + d.1) / 2.0)))
    }
}

impl Meter for Sampler {
    fn description(&self) -> &Description {
        &self.description
    }

    fn calibrate(&mut self) -> Result<Overhead, MeterError> {
        if self.opened.is_some() {
            return Err(MeterError::WindowOpen);
        }
        let Drill { wall, cpu } = self.drill(DRILL)?;
        let (sample, cpu_per_sample) = (wall / DRILL, cpu.map(|cpu| cpu / DRILL));
        let cpu_share = cpu_per_sample.map(|cpu| cpu.as_secs_f64() / self.period.as_secs_f64());
        let per_second = self.energy_of_sampling(sample)?;
        Ok(Overhead { sample, cpu_per_sample, cpu_share, per_second })
    }

    fn start(&mut self) -> Result<(), MeterError> {
        self.opened = None;
        let mut state = self.sample(|state| {
            state.recorder.forget();
            state.active = true;
        })?;
        // Under the lock no sample is recorded, so this moment lies after the one that was waited for.
        state.recorder.open(self.epoch.elapsed());
        let cpu = state.cpu;
        drop(state);
        self.opened = Some(cpu);
        Ok(())
    }

    fn stop(&mut self) -> Result<Reading, MeterError> {
        let cpu_before = self.opened.take().ok_or(MeterError::NotStarted)?;
        let epoch = self.epoch;
        let sampled = self.sample(|state| {
            state.recorder.close(epoch.elapsed());
            state.active = false;
        });
        let (reading, cpu) = {
            let state = sampled?;
            (state.recorder.reading(), state.cpu)
        };
        let mut reading = reading.ok_or(MeterError::NotStarted)?;
        reading.cost = cpu.zip(cpu_before).map(|(after, before)| {
            let cpu = after.saturating_sub(before);
            Cost { cpu, share: cpu.as_secs_f64() / reading.window.as_secs_f64().max(1e-9) }
        });
        Ok(reading)
    }

    fn glance(&mut self) -> Result<Vec<Glance>, MeterError> {
        let (at, row) = {
            let state = self.sample(|_| ())?;
            (state.at, state.row.clone())
        };
        let rails = self.description.rails.iter().zip(row).zip(&mut self.glanced);
        let shown = rails.map(|((rail, entry), before)| {
            let power = match rail.quantity {
                Quantity::Power => entry.map(|sample| sample.value as f64 * 1e-6).map_err(Lost::reason),
                Quantity::Counter => rise(entry, at, before, rail.counter_range),
            };
            let [least, most] = rail.plausible;
            let can_be = |power: &f64| (least.0..=most.0).contains(power);
            let power = power
                .and_then(|power| if can_be(&power) { Ok(power) } else { Err(Lost::Implausible.reason()) });
            let power = power.map(Watts).map_err(|why| NotMeasured::new("power_w", why));
            Glance { name: rail.name.clone(), power }
        });
        Ok(shown.collect())
    }
}

/// Mean power of a counter since it was last looked at.
fn rise(
    entry: Result<Sample, Lost>,
    at: Duration,
    before: &mut Option<(Duration, i64)>,
    range: Option<Joules>,
) -> Result<f64, &'static str> {
    let value = entry.map_err(Lost::reason)?.value;
    let Some((then, old)) = before.replace((at, value)) else { return Err("a counter needs a second look") };
    let rise = value.saturating_sub(old) as f64 * 1e-6;
    let rise = if rise < 0.0 { rise + range.ok_or("the counter began anew")?.0 } else { rise };
    let elapsed = at.saturating_sub(then).as_secs_f64();
    if elapsed > 0.0 { Ok(rise / elapsed) } else { Err("no time has passed") }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.state().quit = true;
        self.shared.wake.notify_one();
        // One that hangs in its source ends when that answers; nobody waits for it.
        if let Some(thread) = self.thread.take().filter(|_| !*self.stalled.get_mut()) {
            // A probe that panicked has nothing left to say.
            let _ = thread.join();
        }
    }
}
