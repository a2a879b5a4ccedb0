//! What the sampling thread does. It allocates before the first sample and never after.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::Recorder;
use crate::probe::{Lost, Probe, Sample};

/// What the thread and the meter share.
#[derive(Debug)]
pub(super) struct Shared {
    pub state: Mutex<State>,
    /// The thread has something to do.
    pub wake: Condvar,
    /// A sample was recorded.
    pub sampled: Condvar,
}

impl Shared {
    pub fn new(state: State) -> Self {
        Self { state: Mutex::new(state), wake: Condvar::new(), sampled: Condvar::new() }
    }
}

#[derive(Debug)]
pub(super) struct State {
    pub recorder: Recorder,
    /// Whether to sample on its own, every `period`.
    pub active: bool,
    pub period: Duration,
    /// Samples that were asked for, and those of them that began after they were.
    pub asked: u64,
    pub answered: u64,
    /// Asks for so many samples in a row instead of one.
    pub drill: Option<u32>,
    pub drilled: Option<Drill>,
    /// The last sample and its moment.
    pub row: Vec<Result<Sample, Lost>>,
    pub at: Duration,
    /// CPU time of the thread.
    pub cpu: Option<Duration>,
    pub quit: bool,
}

/// What samples in a row took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Drill {
    pub wall: Duration,
    pub cpu: Option<Duration>,
}

impl State {
    pub fn new(recorder: Recorder, rails: usize, period: Duration) -> Self {
        Self {
            recorder,
            active: false,
            period,
            asked: 0,
            answered: 0,
            drill: None,
            drilled: None,
            row: vec![Err(Lost::Failed); rails],
            at: Duration::ZERO,
            cpu: None,
            quit: false,
        }
    }
}

pub(super) fn run(shared: &Shared, mut probe: Box<dyn Probe>, rails: usize, epoch: Instant, seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut row = vec![Err(Lost::Failed); rails];
    let mut due: Option<Instant> = None;
    loop {
        let Some(turn) = wait(shared, &mut due) else { return };
        if let Some(count) = turn.drill {
            let (started, cpu) = (Instant::now(), cpu_time());
            for _ in 0..count {
                probe.read(&mut row);
            }
            let used = cpu_time().zip(cpu).map(|(after, before)| after.saturating_sub(before));
            let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.drilled = Some(Drill { wall: started.elapsed(), cpu: used });
        }
        let before = epoch.elapsed();
        probe.read(&mut row);
        let after = epoch.elapsed();
        let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.at = before + (after - before) / 2;
        let at = state.at;
        state.recorder.row(at, &row);
        state.row.copy_from_slice(&row);
        state.cpu = cpu_time();
        state.answered = turn.asked;
        if let Some(planned) = due.filter(|planned| *planned <= epoch + after) {
            let next = planned + turn.period.mul_f64(random.random_range(0.8..1.2));
            let late = (epoch + after).saturating_duration_since(next);
            // A sample that is late is made up for at once; whole periods that have passed are not.
            let passed = u32::try_from(late.as_nanos() / turn.period.as_nanos().max(1)).unwrap_or(u32::MAX);
            state.recorder.missed(passed.into());
            due = Some(next + turn.period.saturating_mul(passed));
        }
        drop(state);
        shared.sampled.notify_all();
    }
}

struct Turn {
    asked: u64,
    drill: Option<u32>,
    period: Duration,
}

/// Waits until a sample is due or asked for; `None` to end.
fn wait(shared: &Shared, due: &mut Option<Instant>) -> Option<Turn> {
    let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if state.quit {
            return None;
        }
        let now = Instant::now();
        if !state.active {
            *due = None;
        }
        let planned = state.active.then(|| *due.get_or_insert(now + state.period));
        if state.asked > state.answered || planned.is_some_and(|planned| planned <= now) {
            return Some(Turn { asked: state.asked, drill: state.drill.take(), period: state.period });
        }
        state = match planned {
            Some(planned) => {
                let waited = shared.wake.wait_timeout(state, planned.saturating_duration_since(now));
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
        };
    }
}

/// CPU time that the calling thread has used.
#[cfg(unix)]
fn cpu_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
}

#[cfg(not(unix))]
fn cpu_time() -> Option<Duration> {
    None
}
