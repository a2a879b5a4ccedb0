//! The benchmark's modes: median throughput, accuracy, median energy.

use std::io::{Read, Write};
use std::time::Duration;

use offramp_meter::statistics::Estimate;
use serde::Serialize;

use super::host::{Host, TinyError, TinyInference};
use crate::measurement::{EdgeSource, Measurement};
use crate::recorder::{Recorder, Window};

/// No window takes longer, whatever a device says that one inference does.
const LONGEST_S: f64 = 1e9;

/// How windows are measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Windows, of which the median counts; the benchmark wants exactly five.
    pub windows: usize,
    /// The least that a window must last; the benchmark wants 10 s.
    pub least: Duration,
    /// Inferences per window; as many as `least` needs where there is no number.
    pub runs: Option<u32>,
    /// Inferences before each window.
    pub warmups: u32,
}

impl Default for Plan {
    fn default() -> Self {
        Self { windows: 5, least: Duration::from_secs(10), runs: None, warmups: 10 }
    }
}

/// What the performance mode gives.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Performance {
    /// Inferences per second, window by window.
    pub throughputs: Vec<f64>,
    /// Their median.
    pub median: f64,
    /// Inferences per window.
    pub runs: Vec<u32>,
    /// Seconds per window.
    pub windows_s: Vec<f64>,
    /// Whether a window was shorter than the plan wants.
    pub short: bool,
    /// How many inferences stopped at each exit, where the device says so.
    pub exit_counts: Option<Vec<u64>>,
}

/// What the accuracy mode gives.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Accuracy {
    /// Images.
    pub images: usize,
    /// Images whose label was the largest output.
    pub correct: usize,
    /// Share of them, in [0, 1].
    pub top1: f64,
    /// How many images stopped at each exit, where the device says so.
    pub exit_counts: Option<Vec<u64>>,
}

/// What the energy mode gives.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Energy {
    /// Microjoules per inference, window by window. Nothing is subtracted, as the benchmark has it.
    pub per_inference_uj: Vec<f64>,
    /// Their median.
    pub median_uj: f64,
    /// Inferences per window.
    pub runs: Vec<u32>,
    /// Seconds per window.
    pub windows_s: Vec<f64>,
    /// Whether a window was shorter than the plan wants, or time of it has no samples.
    pub doubtful: bool,
    /// What the ends of windows were taken from.
    pub edges: Vec<EdgeSource>,
}

/// A meter that sees the wire on which the device tells when inferences begin and end.
pub trait EdgeMeter {
    /// A window that is open.
    type Window;

    /// Begins to look.
    fn begin(&mut self) -> Self::Window;

    /// The energy between the two pulses since.
    ///
    /// # Errors
    /// [`TinyError::Meter`].
    fn end(&mut self, window: Self::Window) -> Result<Measurement, TinyError>;
}

impl EdgeMeter for &Recorder {
    type Window = Window;

    fn begin(&mut self) -> Window {
        Recorder::begin(self)
    }

    fn end(&mut self, window: Window) -> Result<Measurement, TinyError> {
        Recorder::end(self, window).map_err(TinyError::Meter)
    }
}

/// Median throughput over windows; images are taken in turn.
///
/// # Errors
/// [`TinyError`]; [`TinyError::Incomplete`] where the device tells no times, as in energy mode.
pub fn performance<S: Read + Write>(
    host: &mut Host<S>,
    images: &[Vec<u8>],
    plan: Plan,
) -> Result<Performance, TinyError> {
    let mut exit_counts = None;
    let windows = windows(host, images, plan, |host, runs, expected| {
        let inference = host.infer(runs, plan.warmups, expected)?;
        let elapsed =
            inference.elapsed.filter(|elapsed| !elapsed.is_zero()).ok_or(TinyError::Incomplete {
                command: format!("infer {runs} {}", plan.warmups),
                expected: "m-lap-us-N, twice",
            })?;
        Ok((inference, elapsed.as_secs_f64()))
    })?;
    windows.iter().for_each(|window| add(&mut exit_counts, &window.value));
    let throughputs: Vec<_> = windows.iter().map(|window| f64::from(window.runs) / window.seconds).collect();
    Ok(Performance {
        median: median(&throughputs),
        throughputs,
        runs: windows.iter().map(|window| window.runs).collect(),
        windows_s: windows.iter().map(|window| window.seconds).collect(),
        short: windows.iter().any(|window| window.seconds < plan.least.as_secs_f64()),
        exit_counts,
    })
}

/// Median energy per inference over windows; images are taken in turn.
///
/// # Errors
/// [`TinyError`]; [`TinyError::Meter`] where the meter saw no pulses.
pub fn energy<S: Read + Write, M: EdgeMeter>(
    host: &mut Host<S>,
    images: &[Vec<u8>],
    plan: Plan,
    meter: &mut M,
) -> Result<Energy, TinyError> {
    let windows = windows(host, images, plan, |host, runs, expected| {
        let window = meter.begin();
        let inferred = host.infer(runs, plan.warmups, expected);
        let measured = meter.end(window);
        inferred?;
        let measured = measured?;
        let seconds = measured.window_s;
        Ok((measured, seconds))
    })?;
    let each = |window: &Taken<Measurement>| window.value.energy_j * 1e6 / f64::from(window.runs);
    let per_inference_uj: Vec<_> = windows.iter().map(each).collect();
    let least = plan.least.as_secs_f64();
    Ok(Energy {
        median_uj: median(&per_inference_uj),
        per_inference_uj,
        runs: windows.iter().map(|window| window.runs).collect(),
        windows_s: windows.iter().map(|window| window.seconds).collect(),
        doubtful: windows.iter().any(|window| window.seconds < least || !window.value.is_whole()),
        edges: windows.iter().map(|window| window.value.edges).collect(),
    })
}

/// Share of images whose label is the largest output.
///
/// # Errors
/// [`TinyError`].
pub fn accuracy<S: Read + Write>(
    host: &mut Host<S>,
    images: &[(Vec<u8>, usize)],
) -> Result<Accuracy, TinyError> {
    at_least("images", 1, images.len())?;
    let (mut correct, mut exit_counts) = (0, None);
    for (image, label) in images {
        host.load(image)?;
        let inference = host.infer(1, 0, Duration::ZERO)?;
        if *label >= inference.results.len() {
            return Err(TinyError::Outputs { found: inference.results.len(), label: *label });
        }
        correct += usize::from(inference.label() == Some(*label));
        add(&mut exit_counts, &inference);
    }
    Ok(Accuracy { images: images.len(), correct, top1: correct as f64 / images.len() as f64, exit_counts })
}

/// A window that was taken.
struct Taken<T> {
    runs: u32,
    seconds: f64,
    value: T,
}

/// Takes windows, with as many inferences as the plan's least length needs; one that turns out too short is taken again.
fn windows<S: Read + Write, T>(
    host: &mut Host<S>,
    images: &[Vec<u8>],
    plan: Plan,
    mut measure: impl FnMut(&mut Host<S>, u32, Duration) -> Result<(T, f64), TinyError>,
) -> Result<Vec<Taken<T>>, TinyError> {
    at_least("images", 1, images.len())?;
    at_least("windows", 1, plan.windows)?;
    let least = plan.least.as_secs_f64();
    let mut windows = Vec::new();
    for image in images.iter().cycle().take(plan.windows) {
        host.load(image)?;
        let mut each = if plan.runs.is_none() { pilot(host, plan)? } else { 0.0 };
        let mut tries = 0;
        loop {
            let runs = plan
                .runs
                .map_or_else(|| (least * 1.1 / each).ceil().clamp(1.0, 1e9) as u32, |runs| runs.max(1));
            let expected = Duration::from_secs_f64(
                (each * (f64::from(runs) + f64::from(plan.warmups)))
                    .clamp(least * 3.0, LONGEST_S.max(least * 3.0)),
            );
            let (value, seconds) = measure(host, runs, expected)?;
            tries += 1;
            if seconds >= least || plan.runs.is_some() || tries == 4 {
                windows.push(Taken { runs, seconds, value });
                break;
            }
            // What an inference takes changes with the load: a little more than this window says.
            each = (seconds / f64::from(runs) / 1.1).max(1e-8);
        }
    }
    Ok(windows)
}

/// Seconds of one inference, from runs that double until they can be told from what the line adds.
fn pilot<S: Read + Write>(host: &mut Host<S>, plan: Plan) -> Result<f64, TinyError> {
    let mut runs: u32 = 1;
    loop {
        let inference = host.infer(runs, plan.warmups, Duration::ZERO)?;
        let took = inference.elapsed.unwrap_or(inference.seen).as_secs_f64();
        if took >= (plan.least.as_secs_f64() / 20.0).min(0.2) || runs >= 1 << 20 {
            return Ok((took / f64::from(runs)).max(1e-8));
        }
        runs *= 2;
    }
}

fn add(sum: &mut Option<Vec<u64>>, inference: &TinyInference) {
    let Some(counts) = &inference.exit_counts else { return };
    let sum = sum.get_or_insert_with(Vec::new);
    sum.resize(sum.len().max(counts.len()), 0);
    sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
}

/// NaN without numbers.
fn median(values: &[f64]) -> f64 {
    Estimate::of(values).map_or(f64::NAN, |estimate| estimate.median)
}

fn at_least(what: &'static str, least: usize, found: usize) -> Result<(), TinyError> {
    if found < least { Err(TinyError::Plan { what, least, found }) } else { Ok(()) }
}
