//! The energy between two moments, out of what was recorded.

use std::time::Duration;

use offramp_wire::{Batch, Hello};
use serde::Serialize;

use crate::clock::{Alignment, Clock};
use crate::link::LinkCounts;
use crate::rails::PowerRail;
use crate::recorder::{RecorderError, Status};
use crate::series::{Series, Sum};

/// What is kept of the past while no window is open.
const PAST_S: f64 = 5.0;

/// What the ends of a window may be taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edges {
    /// A wire where it had edges, else whichever of the other two is surer.
    Best,
    /// Where the host says: by marks or clocks, whichever is surer, whatever a wire does.
    Host,
    /// Edges of a wire within the window: from the first to the last one of its kind, or to the last one.
    Line,
    /// The device's stamps of marks that were sent to it.
    Serial,
    /// The host's clock, aligned with the device's.
    Clock,
}

/// What the ends of a window were taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EdgeSource {
    /// A wire.
    Line,
    /// Marks over the serial line.
    Serial,
    /// The aligned clocks.
    Clock,
}

/// Energy of a window, and what is known about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measurement {
    /// Joules of the time that was covered by samples; nothing is made up for the rest.
    pub energy_j: f64,
    /// Length of the window.
    pub window_s: f64,
    /// Time of the window without samples.
    pub missing_s: f64,
    /// Samples in the window.
    pub samples: u64,
    /// Gaps in the window: lost samples, a device that was reset or unplugged.
    pub gaps: u64,
    /// Epochs of the device's clock that the window touches; more than one is a device that was reset or unplugged.
    pub epochs: usize,
    /// What the ends were taken from.
    pub edges: EdgeSource,
    /// How far both ends together can be off, in seconds.
    pub edge_error_s: f64,
    /// The same in joules, at the mean power of the window.
    pub edge_error_j: f64,
    /// What one count of the sensor is over the whole window, in joules.
    pub step_j: f64,
    /// Watts at the first and the last moment with samples.
    pub ends_w: Option<[f64; 2]>,
    /// Standard error of the mean power, in watts, from what neighbouring samples differ by.
    pub noise_w: Option<f64>,
    /// How well the clocks were aligned, at the end of the window.
    pub alignment: Option<Alignment>,
}

impl Measurement {
    /// Whether samples cover the window: nothing is missing but what is at the ends of any.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let period = (self.window_s - self.missing_s) / (self.samples.max(1) as f64);
        self.gaps == 0 && self.missing_s <= 2.0 * period + self.edge_error_s
    }
}

/// A moment of the host, and the mark that was sent for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) host: f64,
    pub(crate) mark: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) epochs: Vec<Epoch>,
    pub(crate) marks: Vec<Mark>,
    pub(crate) status: Status,
    pub(crate) counts: LinkCounts,
    pub(crate) busy: Duration,
    pub(crate) overruns: u64,
    /// Samples that came and that never came, of epochs that are kept no more.
    pub(crate) past: (u64, u64),
}

#[derive(Debug)]
pub(crate) struct Epoch {
    pub(crate) hello: Hello,
    pub(crate) rails: Vec<PowerRail>,
    pub(crate) clock: Clock,
    pub(crate) series: Series,
    pub(crate) rate_millihz: u32,
    pub(crate) edges: Vec<Edge>,
}

impl Epoch {
    /// Whether a batch has the channels of the hello, and counts in them that mean something.
    pub(crate) fn describes(&self, batch: &Batch) -> bool {
        batch.scales().len() == self.hello.channels.len() && batch.scales().iter().all(|scale| *scale > 0)
    }
}

/// The wire changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    pub(crate) ticks: u64,
    pub(crate) high: bool,
}

/// A mark that was stamped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pub(crate) token: u32,
    /// Its place among those that are kept.
    pub(crate) epoch: usize,
    pub(crate) ticks: u64,
    pub(crate) back: f64,
}

impl Edges {
    /// The same without a wire.
    pub(crate) const fn of_host(self) -> Self {
        match self {
            Self::Best | Self::Line => Self::Host,
            other => other,
        }
    }
}

impl State {
    /// Of a recorder that records.
    pub(crate) fn recording(epochs: Vec<Epoch>) -> Self {
        Self {
            epochs,
            marks: Vec::new(),
            status: Status::Recording,
            counts: LinkCounts::default(),
            busy: Duration::ZERO,
            overruns: 0,
            past: (0, 0),
        }
    }

    /// The time of the samples of one frame.
    pub(crate) fn frame(&self) -> Duration {
        let Some(epoch) = self.epochs.last() else { return Duration::ZERO };
        Duration::from_secs_f64(epoch.series.batch() as f64 * 1000.0 / f64::from(epoch.rate_millihz.max(1)))
    }

    /// Whether samples reach the moment, and its mark was stamped.
    pub(crate) fn reaches(&self, moment: &Moment) -> bool {
        let Some(epoch) = self.epochs.last() else { return false };
        let stamped = moment.mark.is_none_or(|token| self.marks.iter().any(|mark| mark.token == token));
        let wanted = epoch.clock.to_device(moment.host);
        let last = epoch.series.extent().map(|(_, last)| last);
        stamped
            && wanted
                .zip(last)
                .is_some_and(|(wanted, last)| last >= wanted.time + wanted.error_s * epoch.clock.tick_hz())
    }

    /// Keeps the past short: what is needed by nobody, or by a window that begins now with the mark `kept`.
    pub(crate) fn forget(&mut self, kept: Option<u32>) {
        let ended = self.epochs.len().saturating_sub(1);
        for epoch in self.epochs.drain(..ended) {
            self.past.0 += epoch.series.taken();
            self.past.1 += epoch.series.lost();
        }
        self.marks.retain(|mark| kept == Some(mark.token) && mark.epoch >= ended);
        self.marks.iter_mut().for_each(|mark| mark.epoch -= ended);
        if let Some(epoch) = self.epochs.last_mut()
            && let Some((first, last)) = epoch.series.extent()
        {
            let old = last - PAST_S * epoch.clock.tick_hz();
            // Not sample by sample.
            if first < old - epoch.clock.tick_hz() {
                epoch.series.forget_before(old);
                epoch.edges.retain(|edge| edge.ticks as f64 >= old);
            }
        }
    }

    pub(crate) fn measure(
        &self,
        from: Moment,
        to: Moment,
        wanted: Edges,
    ) -> Result<Measurement, RecorderError> {
        let serial = self.mark_edges(from, to);
        let clock = self.clock_edges(from, to);
        let host = |serial: Result<Ends, RecorderError>, clock: Ends| match serial {
            Ok(serial) if serial.error_s < clock.error_s => serial,
            _ => clock,
        };
        let chosen = match wanted {
            Edges::Line => self.line_edges(from, to)?,
            Edges::Serial => serial?,
            Edges::Clock => clock,
            Edges::Host => host(serial, clock),
            Edges::Best => self.line_edges(from, to).unwrap_or_else(|_| host(serial, clock)),
        };
        // Its ticks are seconds here, which epochs have in common.
        let mut all = Sum::default();
        let mut epochs = 0;
        let mut step_w: f64 = 0.0;
        for (index, epoch) in self.epochs.iter().enumerate() {
            let Some((begin, end)) = chosen.in_epoch(index, epoch) else { continue };
            let sum = epoch.series.between(begin, end);
            if sum.samples == 0 && sum.covered == 0.0 {
                continue;
            }
            // The host's time of a window that lies in one epoch is known better than the rate of a short epoch.
            let second = match (chosen.within(index, epoch), end > begin) {
                (true, true) => chosen.window_s / (end - begin),
                _ => epoch.clock.seconds_per_tick(),
            };
            // Between two epochs there is a gap by nature.
            let gaps = sum.gaps + u64::from(epochs > 0);
            let (watt_ticks, covered) = (sum.watt_ticks * second, sum.covered * second);
            all.add(&Sum { watt_ticks, covered, gaps, ..sum });
            epochs += 1;
            step_w = step_w.max(epoch.series.step_w());
        }
        let Sum { watt_ticks: energy_j, covered: covered_s, samples, gaps, ends_w, .. } = all;
        if covered_s == 0.0 {
            let why = match &self.status {
                Status::Recording if self.epochs.iter().any(|epoch| epoch.series.taken() > 0) => {
                    "samples come, and their times lie elsewhere".to_owned()
                }
                Status::Recording => "the device sends none".to_owned(),
                Status::Waiting(why) | Status::Failed(why) => why.clone(),
            };
            return Err(RecorderError::NoSamples { window_s: chosen.window_s, why });
        }
        Ok(Measurement {
            energy_j,
            window_s: chosen.window_s,
            missing_s: (chosen.window_s - covered_s).max(0.0),
            samples,
            gaps,
            epochs,
            edges: chosen.source,
            edge_error_s: chosen.error_s,
            edge_error_j: chosen.error_s * (energy_j / covered_s).abs(),
            step_j: step_w * chosen.window_s,
            ends_w,
            noise_w: all.noise_w(),
            alignment: self.epochs.last().and_then(|epoch| epoch.clock.alignment()),
        })
    }

    fn clock_edges(&self, from: Moment, to: Moment) -> Ends {
        let error = |moment: Moment| {
            let errors = self.epochs.iter().filter_map(|epoch| epoch.clock.to_device(moment.host));
            errors.map(|located| located.error_s).fold(f64::INFINITY, f64::min)
        };
        Ends {
            from: (from.host, None),
            to: (to.host, None),
            window_s: to.host - from.host,
            source: EdgeSource::Clock,
            error_s: error(from) + error(to),
        }
    }

    fn mark_edges(&self, from: Moment, to: Moment) -> Result<Ends, RecorderError> {
        let stamp = |moment: Moment| {
            let token = moment.mark?;
            self.marks.iter().find(|mark| mark.token == token)
        };
        match (stamp(from), stamp(to)) {
            (Some(first), Some(last)) => Ok(Ends {
                from: (from.host, Some((first.epoch, first.ticks as f64))),
                to: (to.host, Some((last.epoch, last.ticks as f64))),
                window_s: to.host - from.host,
                source: EdgeSource::Serial,
                error_s: (first.back - from.host) + (last.back - to.host),
            }),
            (first, last) => Err(RecorderError::NoMarks {
                found: usize::from(first.is_some()) + usize::from(last.is_some()),
            }),
        }
    }

    fn line_edges(&self, from: Moment, to: Moment) -> Result<Ends, RecorderError> {
        let mut seen: Vec<(usize, Edge)> = Vec::new();
        for (index, epoch) in self.epochs.iter().enumerate() {
            // The window in the device's time: two ends are located, not every edge.
            let there = |moment: Moment| epoch.clock.to_device(moment.host).map(|located| located.time);
            let Some((first, last)) = there(from).zip(there(to)) else { continue };
            let within = epoch.edges.iter().filter(|edge| (first..=last).contains(&(edge.ticks as f64)));
            seen.extend(within.map(|edge| (index, *edge)));
        }
        // Pulses end a window where the last of them begins; a wire that is high meanwhile ends it where it falls.
        let first = seen.first();
        let same = |edge: &&(usize, Edge)| first.is_some_and(|first| first.1.high == edge.1.high);
        let last = seen.iter().skip(1).rfind(same).or_else(|| seen.get(1..).and_then(<[_]>::last));
        let host = |edge: Option<&(usize, Edge)>| {
            let (index, edge) = edge?;
            let there = self.epochs.get(*index)?.clock.to_host(edge.ticks as f64)?;
            Some((*index, edge.ticks as f64, there.time))
        };
        match (host(first), host(last)) {
            (Some(first), Some(last)) => Ok(Ends {
                from: (first.2, Some((first.0, first.1))),
                to: (last.2, Some((last.0, last.1))),
                window_s: last.2 - first.2,
                source: EdgeSource::Line,
                error_s: 2.0 / self.epochs.get(first.0).map_or(1.0, |epoch| epoch.clock.tick_hz()),
            }),
            _ => Err(RecorderError::NoEdges { found: seen.len() }),
        }
    }
}

/// Both ends of a window: host times, and device times in the epochs where they are known better.
struct Ends {
    from: (f64, Option<(usize, f64)>),
    to: (f64, Option<(usize, f64)>),
    window_s: f64,
    source: EdgeSource,
    error_s: f64,
}

impl Ends {
    /// Whether both ends lie among an epoch's samples.
    fn within(&self, index: usize, epoch: &Epoch) -> bool {
        let Some((begin, end)) = self.in_epoch(index, epoch) else { return false };
        epoch.series.extent().is_some_and(|(first, last)| first <= begin && end <= last)
    }

    /// Device times in an epoch. Ends that lie in another epoch lie outside its samples.
    fn in_epoch(&self, index: usize, epoch: &Epoch) -> Option<(f64, f64)> {
        let there = |(host, known): (f64, Option<(usize, f64)>)| match known {
            Some((its, ticks)) if its == index => Some(ticks),
            _ => epoch.clock.to_device(host).map(|located| located.time),
        };
        Some((there(self.from)?, there(self.to)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Exchange, Ticks};
    use crate::sim::Waveform;
    use offramp_wire::Quantity;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    const PERIOD_S: f64 = 1e-3;
    const SCALE_NANO: u32 = 10_000_000;

    fn hello() -> Hello {
        let mut hello = crate::rails::tests::hello(&[(Quantity::Power, "VDD_IN")]);
        hello.channels[0].scale_nano = SCALE_NANO;
        hello
    }

    /// What a device with a skewed clock behind a late line makes of `waveform` in 3 s, in no time.
    fn recorded(waveform: &Waveform, random: &mut ChaCha8Rng) -> State {
        let (skew, first) = (random.random_range(-1e-4..1e-4), u32::MAX - 1_000_000);
        let ticks_at = |host: f64| first.wrapping_add((host * (1.0 + skew) * 1e6) as u32);
        let (mut clock, mut ticks, mut series) =
            (Clock::new(1_000_000), Ticks::default(), Series::with_step(1000.0));
        let hello = hello();
        let rails = PowerRail::choose(&hello, &[]).unwrap();
        let mut edges = Vec::new();
        for step in 0..150 {
            let host = f64::from(step) * 0.02;
            let mut late = || 5e-5 + random.random::<f64>() * 1e-3;
            let (came, back) = (host + late(), late());
            let received = ticks.extend(ticks_at(came));
            let replied = ticks.extend(ticks_at(came + 2e-5));
            clock.observe(Exchange { sent: host, received, replied, back: came + 2e-5 + back }).unwrap();
            // Twenty samples, each the mean of its conversion.
            let time = |sample: u32| host + f64::from(sample) * PERIOD_S;
            let mut batch = Batch::new(ticks_at(time(0)), step * 20, &[SCALE_NANO]).unwrap();
            for sample in 0..20 {
                let (from, to) = (time(sample) - PERIOD_S / 2.0, time(sample) + PERIOD_S / 2.0);
                let watts = waveform.energy_between(from, to) / PERIOD_S;
                let raw = (watts * 1e9 / f64::from(SCALE_NANO)).round() as i32;
                batch.push(ticks_at(time(sample)).wrapping_sub(batch.time), &[raw]).unwrap();
            }
            series.push(&batch, &rails, &mut ticks);
            if step == 50 || step == 100 {
                edges.push(Edge { ticks: ticks.extend(ticks_at(host)), high: step == 50 });
            }
        }
        State::recording(vec![Epoch { hello, rails, clock, series, rate_millihz: 1_000_000, edges }])
    }

    #[test]
    fn energy_is_within_what_is_stated_in_a_hundred_runs() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut covered = 0;
        for run in 0..100 {
            let (low, high) = (random.random_range(2.0..4.0), random.random_range(5.0..12.0));
            let waveform = match run % 4 {
                0 => Waveform::Constant(high),
                1 => Waveform::Ramp { low_w: low, high_w: high, period_s: random.random_range(0.05..2.0) },
                2 => Waveform::Square {
                    low_w: low,
                    high_w: high,
                    period_s: 0.001,
                    duty: random.random_range(0.2..0.8),
                },
                _ => Waveform::bursts(low, high, 2.0, run),
            };
            let state = recorded(&waveform, &mut random);
            let at = |host: f64| Moment { host, mark: None };
            let (from, to) = (random.random_range(0.2..0.5), random.random_range(2.2..2.8));
            let measured = state.measure(at(from), at(to), Edges::Clock).unwrap();
            let truth = waveform.energy_between(from, to);
            let off = (measured.energy_j - truth).abs();
            // Both ends at the peak, half a count throughout, and what a sample hides at either end.
            let swing = if run % 4 == 0 { 0.0 } else { high - low };
            let budget = measured.edge_error_s * high + measured.step_j / 2.0 + PERIOD_S * swing;
            assert!(off <= budget, "run {run}: off by {off} J, budget {budget} J: {measured:?}");
            assert!(off <= 0.005 * truth, "run {run}: off by {off} of {truth} J");
            assert_eq!((measured.gaps, measured.epochs), (0, 1));
            covered += u32::from(off <= measured.edge_error_j + measured.step_j / 2.0);
        }
        assert!(covered >= 93, "the stated errors cover the truth in {covered} of 100 runs");
    }

    #[test]
    fn a_wire_places_a_window_to_the_tick() {
        let mut random = ChaCha8Rng::seed_from_u64(4);
        let waveform = Waveform::Ramp { low_w: 1.0, high_w: 11.0, period_s: 4.0 };
        let state = recorded(&waveform, &mut random);
        let at = |host: f64| Moment { host, mark: None };
        let measured = state.measure(at(0.5), at(2.9), Edges::Best).unwrap();
        let truth = waveform.energy_between(1.0, 2.0);
        assert_eq!(measured.edges, EdgeSource::Line);
        assert!((measured.energy_j - truth).abs() < 1e-3 * truth, "{measured:?}, truth {truth}");
        let error = state.measure(at(1.5), at(2.9), Edges::Line).unwrap_err();
        insta::assert_snapshot!(error, @"the wire had 1 edges in the window, expected at least 2");
        let error = state.measure(at(1.5), at(2.9), Edges::Serial).unwrap_err();
        insta::assert_snapshot!(error, @"the device stamped 0 of the window's 2 marks");
        let error = state.measure(at(50.0), at(51.0), Edges::Clock).unwrap_err();
        insta::assert_snapshot!(error, @"no sample lies in the window of 1.000 s: samples come, and their times lie elsewhere");
    }
}
