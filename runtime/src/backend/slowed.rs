//! An emulated slower device: every run takes a multiple of its time.
//!
//! What is emulated is the time of a run alone: copies between host and engine take theirs, memory and energy are the real
//! device's. What is multiplied is what a run takes when it follows on others, seen when the graph is prepared: after a sleep the
//! processor's caches are cold and its clock is low, which would be multiplied too. Batches are long enough for that not to matter: theirs
//! is the time of the run itself. On a processor it is the calling thread's time on it, so that
//! whatever else keeps the processor busy, a server on the same machine say, delays a run by as much as it does and no more; elsewhere it
//! is all the time that a run takes. The version in the description says that it is emulated, so that every report does.

use std::time::{Duration, Instant};

use offramp_models::TensorSpec;

use super::{
    Backend, BackendError, Bound, Description, GraphSource, RunError, Runner, RunnerOptions, Share, Value,
};

/// How much slower, 1 to 1000.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Scale(f64);

/// A factor out of range.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("a device can be emulated 1 to 1000 times slower, not {found}")]
pub struct ScaleError {
    /// The factor.
    pub found: f64,
}

impl Scale {
    /// So many times slower.
    ///
    /// # Errors
    /// [`ScaleError`] unless it is 1 to 1000.
    pub fn new(times: f64) -> Result<Self, ScaleError> {
        if (1.0..=1000.0).contains(&times) { Ok(Self(times)) } else { Err(ScaleError { found: times }) }
    }

    /// The factor.
    pub fn times(self) -> f64 {
        self.0
    }
}

/// What stands between an engine's version and what is emulated.
const EMULATED: &str = ", emulated ";

/// The engine's own version, of one that says what is emulated.
pub fn engine_version(version: &str) -> &str {
    version.split_once(EMULATED).map_or(version, |(engine, _)| engine)
}

/// A backend on an emulated slower device.
pub struct Slowed {
    backend: Box<dyn Backend>,
    scale: Scale,
}

impl Slowed {
    /// Lets every run of `backend` take `scale` times as long.
    pub fn new(backend: Box<dyn Backend>, scale: Scale) -> Self {
        Self { backend, scale }
    }
}

impl Backend for Slowed {
    fn describe(&self) -> Description {
        let Description { name, provider, version } = self.backend.describe();
        let version = format!("{version}{EMULATED}{} times slower", self.scale.times());
        Description { name, provider, version }
    }

    fn prepare(
        &self,
        graph: &GraphSource<'_>,
        options: &RunnerOptions,
    ) -> Result<Box<dyn Runner>, BackendError> {
        let runner = self.backend.prepare(graph, options)?;
        let timer = if self.backend.describe().provider == "cpu" { Timer::Thread } else { Timer::Wall };
        let usual = usual(runner.as_ref(), timer);
        Ok(Box::new(SlowedRunner { runner, scale: self.scale, timer, usual }))
    }

    fn saves_optimised(&self) -> bool {
        self.backend.saves_optimised()
    }
}

/// What a run of the fewest images usually takes; `None` for a graph that does not run on zeros, which is told when it is to run.
fn usual(runner: &dyn Runner, timer: Timer) -> Option<Usual> {
    let images = runner.inputs().first()?.shape.first().copied().flatten().unwrap_or(1);
    let inputs: Result<Vec<_>, _> =
        (0..runner.inputs().len()).map(|at| runner.allocate(at, images)).collect();
    let mut bound = runner.bind(&inputs.ok()?, images).ok()?;
    let looks = (0..LOOKS).map(|_| timer.run(bound.as_mut()).map(|run| run.spent));
    let mut looks = looks.collect::<Result<Vec<_>, _>>().ok()?;
    looks.sort_unstable();
    Some(Usual { images, time: *looks.get(LOOKS / 2)? })
}

#[derive(Clone, Copy, Debug)]
struct Usual {
    images: usize,
    time: Duration,
}

struct SlowedRunner {
    runner: Box<dyn Runner>,
    scale: Scale,
    timer: Timer,
    usual: Option<Usual>,
}

impl Runner for SlowedRunner {
    fn inputs(&self) -> &[TensorSpec] {
        self.runner.inputs()
    }

    fn outputs(&self) -> &[TensorSpec] {
        self.runner.outputs()
    }

    fn threads(&self) -> Option<usize> {
        self.runner.threads()
    }

    fn shares(&self) -> &[Share] {
        self.runner.shares()
    }

    fn allocate(&self, input: usize, batch: usize) -> Result<Value, RunError> {
        self.runner.allocate(input, batch)
    }

    fn bind(&self, inputs: &[Value], batch: usize) -> Result<Box<dyn Bound>, RunError> {
        let bound = self.runner.bind(inputs, batch)?;
        let Self { scale, timer, usual, .. } = *self;
        let usual = usual.filter(|usual| usual.images == batch).map(|usual| usual.time);
        Ok(Box::new(SlowedBound { bound, scale, timer, usual, overslept: Duration::ZERO }))
    }
}

/// Runs that tell how long one takes.
const LOOKS: usize = 9;

/// A thread that sleeps wakes up to so much late. More is the machine's mood, which is not made up for.
const LATE: Duration = Duration::from_micros(200);

/// Which time of a run is multiplied.
#[derive(Clone, Copy, Debug)]
enum Timer {
    /// The calling thread's, on a processor; all of it where the system does not tell.
    Thread,
    /// All of it.
    Wall,
}

impl Timer {
    /// The time so far, of which differences count.
    fn now(self, begun: Instant) -> Duration {
        match self {
            Self::Thread => thread_time().unwrap_or_else(|| begun.elapsed()),
            Self::Wall => begun.elapsed(),
        }
    }
}

/// What a run took.
struct Run {
    spent: Duration,
    ended: Instant,
}

impl Timer {
    fn run(self, bound: &mut dyn Bound) -> Result<Run, RunError> {
        let begun = Instant::now();
        let before = self.now(begun);
        bound.run()?;
        let spent = self.now(begun).saturating_sub(before);
        Ok(Run { spent, ended: Instant::now() })
    }
}

/// How long the calling thread has had a processor.
#[cfg(unix)]
fn thread_time() -> Option<Duration> {
    let mut spent = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of this frame.
    let told = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut spent) };
    let (seconds, nanos) = (u64::try_from(spent.tv_sec).ok()?, u32::try_from(spent.tv_nsec).ok()?);
    (told == 0).then(|| Duration::new(seconds, nanos))
}

#[cfg(not(unix))]
fn thread_time() -> Option<Duration> {
    None
}

struct SlowedBound {
    bound: Box<dyn Bound>,
    scale: Scale,
    timer: Timer,
    /// What a run usually takes; `None` where that of the run itself counts.
    usual: Option<Duration>,
    /// By how much the last sleep was too long; the next one is shorter by that.
    overslept: Duration,
}

impl Bound for SlowedBound {
    fn outputs(&self) -> &[Value] {
        self.bound.outputs()
    }

    fn run(&mut self) -> Result<(), RunError> {
        let Run { spent, ended } = self.timer.run(self.bound.as_mut())?;
        let due = self.usual.unwrap_or(spent).mul_f64(self.scale.times()).saturating_sub(spent);
        std::thread::sleep(due.saturating_sub(self.overslept));
        self.overslept = (self.overslept + ended.elapsed()).saturating_sub(due).min(LATE);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use offramp_models::DType;

    use super::super::fake::{FakeBackend, Script};
    use super::super::{HostTensor, Origin};
    use super::*;

    const DELAY: Duration = Duration::from_millis(3);

    /// Keeps a processor for so long.
    fn compute(delay: Duration) {
        let begun = Instant::now();
        let before = Timer::Thread.now(begun);
        while Timer::Thread.now(begun) - before < delay {
            std::hint::spin_loop();
        }
    }

    fn slowed(times: f64, spend: fn(Duration)) -> Slowed {
        let image = TensorSpec { name: "image".into(), dtype: DType::Float32, shape: vec![None, Some(1)] };
        let script = Script {
            inputs: vec![image],
            logits: "exit0".into(),
            answers: vec![vec![1.0, 2.0], vec![4.0, 3.0]],
            delay: DELAY,
            fails_at: Some(2),
            ..Script::default()
        };
        let fake = FakeBackend::new().with_script("segment 0", script).with_sleep(Arc::new(spend));
        Slowed::new(Box::new(fake), Scale::new(times).unwrap())
    }

    /// Runs image `number` so many times; the logits, and how long all of it took.
    fn run(
        times: f64,
        number: f32,
        runs: u32,
        spend: fn(Duration),
    ) -> Result<(Vec<f32>, Duration), RunError> {
        let graph = GraphSource { label: "segment 0".into(), origin: Origin::Bytes(&[]) };
        let runner = slowed(times, spend).prepare(&graph, &RunnerOptions::default()).unwrap();
        let image = runner.allocate(0, 1)?;
        image.write(HostTensor::Float32(&[number]))?;
        let mut bound = runner.bind(&[image], 1)?;
        let started = Instant::now();
        for _ in 0..runs {
            bound.run()?;
        }
        let took = started.elapsed();
        let mut logits = vec![0.0; 2];
        bound.outputs()[0].read(&mut logits)?;
        Ok((logits, took))
    }

    #[test]
    fn runs_take_so_many_times_as_long_and_say_the_same() {
        let (logits, took) = run(1.0, 1.0, 20, compute).unwrap();
        let (same, slow) = run(5.0, 1.0, 20, compute).unwrap();
        assert_eq!((logits.as_slice(), same), (&[4.0, 3.0][..], logits.clone()));
        assert!(slow >= 5 * 20 * DELAY, "{slow:?}");
        assert!(took >= 20 * DELAY && took < slow, "{took:?}");
    }

    #[test]
    #[cfg(unix)]
    fn time_without_a_processor_is_not_multiplied() {
        let (_, took) = run(100.0, 1.0, 20, std::thread::sleep).unwrap();
        assert!(took >= 20 * DELAY && took < 20 * 50 * DELAY, "{took:?}");
    }

    #[test]
    fn a_graph_is_looked_at_when_it_is_prepared_and_not_when_it_is_bound() {
        // Binding happens among timed runs, wherever a batch is cut down.
        let runs = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let (counted, one) = (Arc::clone(&runs), Duration::from_nanos(1));
        let image = TensorSpec { name: "image".into(), dtype: DType::Float32, shape: vec![None, Some(1)] };
        let (logits, answers) = ("exit0".into(), vec![vec![1.0, 2.0]]);
        let script = Script { inputs: vec![image], logits, answers, delay: one, ..Script::default() };
        let fake = FakeBackend::new().with_script("segment 0", script).with_sleep(Arc::new(move |_| {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }));
        let graph = GraphSource { label: "segment 0".into(), origin: Origin::Bytes(&[]) };
        let slowed = Slowed::new(Box::new(fake), Scale::new(2.0).unwrap());
        let runner = slowed.prepare(&graph, &RunnerOptions::default()).unwrap();
        let so_far = || runs.swap(0, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(so_far(), LOOKS);
        for batch in [1, 3] {
            drop(runner.bind(&[runner.allocate(0, batch).unwrap()], batch).unwrap());
        }
        assert_eq!(so_far(), 0);
    }

    #[test]
    fn a_failure_is_not_slowed() {
        assert!(run(1000.0, 2.0, 1, compute).is_err());
    }

    #[test]
    fn descriptions_say_that_the_device_is_emulated() {
        let version = slowed(2.5, compute).describe().version;
        assert!(version.ends_with(", emulated 2.5 times slower"), "{version}");
        assert_eq!(format!("{}, emulated 2.5 times slower", engine_version(&version)), version);
        assert_eq!(engine_version("1.32.0"), "1.32.0");
    }

    #[test]
    fn no_device_is_emulated_faster() {
        for times in [0.5, -1.0, f64::NAN, f64::INFINITY, 1001.0] {
            assert!(Scale::new(times).is_err());
        }
        assert_eq!(
            Scale::new(0.5).unwrap_err().to_string(),
            "a device can be emulated 1 to 1000 times slower, not 0.5"
        );
    }
}
