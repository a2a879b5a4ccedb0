//! One measurement from warm-up to the last idle window.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::{Clock, ErrorBudget, Load, Plan, ProtocolError, Work};
use crate::flag::LOST_SHARE;
use crate::state::{BoardState, Change};
use crate::{Description, Flag, Joules, Meter, MeterError, NotMeasured, Overhead, Reading, Watts};

/// Everything that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Session {
    /// What the meter covers.
    pub meter: Description,
    /// How it went.
    pub plan: Plan,
    /// What the loads are called.
    pub loads: Vec<String>,
    /// What the meter costs, where that was measured.
    pub overhead: Option<Overhead>,
    /// The board before the first window.
    pub board: BoardState,
    /// Idle before the first window and after the last, with everything loaded.
    pub idle: [Idle; 2],
    /// Every window, in the order in which they were measured.
    pub windows: Vec<Window>,
}

/// Power while nothing ran.
#[derive(Clone, Debug, Serialize)]
pub struct Idle {
    /// Its middle, on the measurement's clock.
    #[serde(rename = "middle_s", serialize_with = "crate::reading::seconds")]
    pub middle: Duration,
    /// Mean power, or why there is none.
    #[serde(rename = "power_w", serialize_with = "value_or_null")]
    pub power: Result<Watts, NotMeasured>,
    /// By how much it may be wrong, what cancels in a difference left out.
    #[serde(rename = "error_w")]
    pub error: Watts,
    /// Why it does not count.
    pub rejected: Option<Rejection>,
    /// What makes it doubtful.
    pub flags: Vec<Flag>,
}

/// One window of one load.
#[derive(Clone, Debug, Serialize)]
pub struct Window {
    /// Which load, by its place in [`Session::loads`].
    pub load: usize,
    /// Its middle, on the measurement's clock.
    #[serde(rename = "middle_s", serialize_with = "crate::reading::seconds")]
    pub middle: Duration,
    /// What the meter gave; its energy is the gross energy.
    pub reading: Reading,
    /// What idling for as long would have taken, between the idle windows before and after.
    #[serde(rename = "idle_j", serialize_with = "value_or_null")]
    pub idle: Result<Joules, NotMeasured>,
    /// Gross less idle.
    #[serde(rename = "net_j", serialize_with = "value_or_null")]
    pub net: Result<Joules, NotMeasured>,
    /// What the load did.
    pub work: Work,
    /// By how much the gross energy may be wrong.
    pub budget: ErrorBudget,
    /// What the board did, whether it counts against the window or not.
    pub changes: Vec<Change>,
    /// Why it does not count.
    pub rejected: Option<Rejection>,
}

/// The rules by which a window is not counted. There are no others.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "rule", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rejection {
    /// The meter gave no energy.
    NoEnergy {
        /// Why.
        why: NotMeasured,
    },
    /// More than one sample in a thousand is missing.
    LostSamples {
        /// How many.
        lost: u64,
        /// Of how many.
        due: u64,
    },
    /// The board throttled, or its clocks or power mode changed.
    Board {
        /// What happened.
        change: Change,
    },
    /// The load answered no image.
    NoImages,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEnergy { why } => write!(f, "{why}"),
            Self::LostSamples { lost, due } => write!(f, "{lost} of {due} samples are missing"),
            Self::Board { change } => write!(f, "{change}"),
            Self::NoImages => f.write_str("no image was answered"),
        }
    }
}

/// What a measurement does, for whoever shows it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The meter measures itself.
    Calibrating,
    /// A load warms up.
    WarmingUp(&'a str),
    /// Nothing runs.
    Idling,
    /// A window of a load begins.
    Measuring {
        /// Which load.
        load: &'a str,
        /// Windows before it.
        done: usize,
        /// Windows of all loads.
        of: usize,
    },
}

/// Measures `loads` in turns. `board` reads the state of the board; `show` is told what happens.
///
/// # Errors
/// [`ProtocolError`] when the meter or a load fails. A window without energy is no error: it is rejected and counted.
pub fn measure(
    plan: &Plan,
    meter: &mut dyn Meter,
    clock: &dyn Clock,
    board: &mut dyn FnMut() -> BoardState,
    loads: &mut [&mut dyn Load],
    show: &mut dyn FnMut(Event<'_>),
) -> Result<Session, ProtocolError> {
    if loads.is_empty() {
        return Err(ProtocolError::NoLoad);
    }
    let failed = |during: &str| {
        let during = during.to_owned();
        move |source: MeterError| ProtocolError::Meter { during, source }
    };
    let overhead = if plan.calibrate {
        show(Event::Calibrating);
        Some(meter.calibrate().map_err(failed("calibration"))?)
    } else {
        None
    };
    let sample = overhead.map_or(Duration::ZERO, |overhead| overhead.sample);
    for load in loads.iter_mut() {
        show(Event::WarmingUp(load.name()));
        run(*load, plan.warm_up)?;
    }
    show(Event::Idling);
    let before = idle(plan, meter, clock, board, sample).map_err(failed("idle before"))?;

    let first = board();
    let mut state = first.clone();
    let (turns, mut windows, mut running) = (plan.turns(loads.len()), Vec::new(), None);
    for (done, at) in turns.iter().copied().enumerate() {
        let Some(load) = loads.get_mut(at) else { continue };
        show(Event::Measuring { load: load.name(), done, of: turns.len() });
        if running.replace(at) != Some(at) {
            run(*load, plan.settle)?;
        }
        meter.start().map_err(failed(load.name()))?;
        let started = clock.now();
        let work = run(*load, plan.window)?;
        let reading = meter.stop().map_err(failed(load.name()))?;
        let middle = middle(started, clock.now());
        let now = board();
        let changes = now.changes_since(&state);
        state = now;
        let budget = ErrorBudget::of(&reading, meter.description(), sample);
        windows.push(Window::new(at, middle, reading, work, budget, changes));
    }
    show(Event::Idling);
    let after = idle(plan, meter, clock, board, sample).map_err(failed("idle after"))?;
    let around = [before, after];
    for window in &mut windows {
        window.subtract(&around);
    }
    Ok(Session {
        meter: meter.description().clone(),
        plan: *plan,
        loads: loads.iter().map(|load| load.name().to_owned()).collect(),
        overhead,
        board: first,
        idle: around,
        windows,
    })
}

fn run(load: &mut dyn Load, time: Duration) -> Result<Work, ProtocolError> {
    load.run(time).map_err(|source| ProtocolError::Load { name: load.name().to_owned(), source })
}

fn middle(from: Duration, to: Duration) -> Duration {
    from + to.saturating_sub(from) / 2
}

fn idle(
    plan: &Plan,
    meter: &mut dyn Meter,
    clock: &dyn Clock,
    board: &mut dyn FnMut() -> BoardState,
    sample: Duration,
) -> Result<Idle, MeterError> {
    clock.sleep(plan.settle);
    let state = board();
    meter.start()?;
    let started = clock.now();
    clock.sleep(plan.idle);
    let reading = meter.stop()?;
    let middle = middle(started, clock.now());
    let changes = board().changes_since(&state);
    let rejected = rejection(&reading, &changes);
    let seconds = reading.window.as_secs_f64().max(1e-9);
    let error = ErrorBudget::of(&reading, meter.description(), sample).of_difference();
    let error = Watts(error.0 / seconds);
    let power = reading.energy.map(|energy| Watts(energy.0 / seconds));
    let flags = reading.flags.into_iter().chain(changes.iter().map(Change::flag)).collect();
    Ok(Idle { middle, power, error, rejected, flags })
}

impl Idle {
    /// Its power, if it counts.
    pub fn counted(&self) -> Option<Watts> {
        self.power.as_ref().ok().filter(|_| self.rejected.is_none()).copied()
    }
}

impl Session {
    /// By how much the idle power that is taken off may be wrong: the error of one idle window, and half of what the two differ by,
    /// which is what a drift that is no straight line may hide. The same in all windows, so that no spread of theirs shows it.
    pub fn idle_error(&self) -> Watts {
        let [before, after] = &self.idle;
        let error = |idle: &Idle| idle.counted().map_or(0.0, |_| idle.error.0);
        let apart = before.counted().zip(after.counted()).map_or(0.0, |(one, other)| (one.0 - other.0).abs());
        Watts(error(before).max(error(after)) + apart / 2.0)
    }
}

fn rejection(reading: &Reading, changes: &[Change]) -> Option<Rejection> {
    if let Err(why) = &reading.energy {
        return Some(Rejection::NoEnergy { why: why.clone() });
    }
    if let Some(change) = changes.iter().find(|change| change.spoils()) {
        return Some(Rejection::Board { change: change.clone() });
    }
    let counted = reading.rails.iter().filter(|rail| rail.counted);
    let worst = counted.max_by_key(|rail| rail.lost)?;
    let due = worst.samples + worst.lost;
    (worst.lost as f64 > LOST_SHARE * due as f64).then_some(Rejection::LostSamples { lost: worst.lost, due })
}

impl Window {
    fn new(
        load: usize,
        middle: Duration,
        mut reading: Reading,
        work: Work,
        budget: ErrorBudget,
        changes: Vec<Change>,
    ) -> Self {
        let rejected = rejection(&reading, &changes);
        let rejected = rejected.or_else(|| (work.images == 0).then_some(Rejection::NoImages));
        reading.flags.extend(changes.iter().map(Change::flag));
        let unknown = || NotMeasured::energy("there is no idle power");
        let (idle, net) = (Err(unknown()), Err(unknown()));
        Self { load, middle, reading, idle, net, work, budget, changes, rejected }
    }

    /// Takes off what idling would have cost: the line through both idle windows, or the one that counts.
    fn subtract(&mut self, idle: &[Idle; 2]) {
        let counts = |idle: &Idle| Some((idle.middle.as_secs_f64(), idle.counted()?.0));
        let found = (counts(&idle[0]), counts(&idle[1]));
        if found.0.is_some() != found.1.is_some() {
            self.reading.flags.push(Flag::OneIdle);
        }
        let power = match found {
            (Some((t0, p0)), Some((t1, p1))) if t1 > t0 => {
                p0 + (p1 - p0) * (self.middle.as_secs_f64() - t0) / (t1 - t0)
            }
            (Some((_, power)), _) | (None, Some((_, power))) => power,
            (None, None) => return,
        };
        let idle = Joules(power * self.reading.window.as_secs_f64());
        self.net = self.reading.energy.clone().map(|gross| Joules(gross.0 - idle.0));
        self.idle = Ok(idle);
    }
}

fn value_or_null<T: Serialize, S: serde::Serializer>(
    value: &Result<T, NotMeasured>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value.as_ref().ok().serialize(serializer)
}
