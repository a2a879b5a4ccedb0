//! The integral of one rail.

use crate::probe::{Lost, Sample};
use crate::{Flag, Joules, NotMeasured, Quantity, Rail, RailReading, Watts};

/// Twice a microwatt times a nanosecond, so that a trapezoid needs no half: 2e15 of them are a joule.
const AREA_PER_JOULE: f64 = 2e15;

/// What a microjoule of a counter is in that unit.
const AREA_PER_MICROJOULE: i128 = 2_000_000_000;

/// What a counter that counts anything cannot stand still for.
const STILL_S: f64 = 1.0;

pub(super) fn joules(area: i128) -> Joules {
    Joules(area as f64 / AREA_PER_JOULE)
}

#[derive(Clone, Debug)]
pub(super) struct RailRecord {
    name: String,
    quantity: Quantity,
    pub counted: bool,
    bridge: u64,
    range: Option<i64>,
    /// Microwatts.
    plausible: (i64, i64),
    update_s: f64,
    last: Option<(u64, i64)>,
    window: Window,
}

/// What is counted anew in every window.
#[derive(Clone, Debug, Default)]
struct Window {
    area: i128,
    /// Nanoseconds of which nothing is known.
    unknown: u64,
    samples: u64,
    lost: u64,
    implausible: u64,
    /// The last reason why there was no value.
    why: Option<Lost>,
    wraps: u64,
    resets: u64,
    /// A counter was not read for so long that it may have gone round more than once.
    ambiguous: bool,
    /// A counter had no value when the window opened.
    headless: bool,
    steps: i128,
    stepless: bool,
    ends: [Option<f64>; 2],
    /// The last value that was new, and when.
    previous: Option<(u64, i64)>,
    squares: f64,
    pairs: u64,
    /// Whether a counter has had another value.
    moved: bool,
}

impl RailRecord {
    pub fn new(rail: &Rail, counted: bool, bridge: u64) -> Self {
        let micro = |watts: Watts| (watts.0 * 1e6) as i64;
        Self {
            name: rail.name.clone(),
            quantity: rail.quantity,
            counted,
            bridge,
            range: rail.counter_range.map(|range| (range.0 * 1e6).round() as i64).filter(|range| *range > 0),
            plausible: (micro(rail.plausible[0]), micro(rail.plausible[1])),
            update_s: rail.update.unwrap_or_default().as_secs_f64(),
            last: None,
            window: Window::default(),
        }
    }

    pub fn open(&mut self) {
        self.window = Window::default();
    }

    pub fn forget(&mut self) {
        (self.last, self.window) = (None, Window::default());
    }

    pub fn lost(&self) -> u64 {
        self.window.lost
    }

    /// `window` is its beginning and its end, as far as that is known.
    pub fn take(&mut self, at: u64, entry: Result<Sample, Lost>, window: Option<(u64, u64)>) {
        let within = window.is_some_and(|(opened, closed)| (opened..=closed).contains(&at));
        let power = self.quantity == Quantity::Power;
        let entry = entry.and_then(|sample| {
            let can_be = if power {
                (self.plausible.0..=self.plausible.1).contains(&sample.value)
            } else {
                sample.value >= 0
            };
            if can_be { Ok(sample) } else { Err(Lost::Implausible) }
        });
        let sample = match entry {
            Ok(sample) => sample,
            Err(why) => {
                if within {
                    self.window.lost += 1;
                    self.window.implausible += u64::from(why == Lost::Implausible);
                    self.window.why = Some(why);
                }
                return;
            }
        };
        if self.last.is_some_and(|(last, _)| at <= last) {
            return;
        }
        if let Some((opened, closed)) = window {
            match self.last {
                Some(last) if power => self.trapezoid(last, (at, sample.value), opened, closed),
                Some(last) => self.difference(last, (at, sample.value), opened, closed),
                None => self.head(at, sample.value, opened, closed),
            }
        }
        if within {
            self.count(at, sample);
        }
        self.last = Some((at, sample.value));
    }

    fn count(&mut self, at: u64, sample: Sample) {
        let window = &mut self.window;
        window.samples += 1;
        match sample.step {
            Some(step) => window.steps += i128::from(step),
            None => window.stepless = true,
        }
        // One value seen twice is no second value.
        let is_new = |(then, _): (u64, i64)| (at - then) as f64 * 1e-9 >= self.update_s;
        if window.previous.is_none_or(is_new)
            && let Some((_, previous)) = window.previous.replace((at, sample.value))
        {
            let apart = (sample.value - previous) as f64 * 1e-6;
            window.squares += apart * apart;
            window.pairs += 1;
        }
    }

    /// Adds the part of the trapezoid between two samples that lies in the window.
    fn trapezoid(&mut self, (ta, va): (u64, i64), (tb, vb): (u64, i64), opened: u64, closed: u64) {
        let (from, to) = (ta.max(opened), tb.min(closed));
        if from > to || tb < opened || ta > closed {
            return;
        }
        let at = |t: u64| (va as f64 + (vb - va) as f64 * ((t - ta) as f64 / (tb - ta) as f64)) * 1e-6;
        if self.window.ends[0].is_none() {
            self.window.ends[0] = Some(at(from));
        }
        self.window.ends[1] = Some(at(to));
        if tb - ta > self.bridge {
            self.window.unknown += to - from;
            return;
        }
        let (va, rise) = (i128::from(va), i128::from(vb) - i128::from(va));
        let (whole, part) = (i128::from(tb - ta), i128::from(to - from));
        let (x0, x1) = (i128::from(from - ta), i128::from(to - ta));
        // With both ends on samples the division leaves nothing over.
        self.window.area += part * (2 * va) + divide(part * rise * (x0 + x1), whole);
    }

    /// Adds what a counter rose by, in proportion to the time that lies in the window.
    fn difference(&mut self, (ta, va): (u64, i64), (tb, vb): (u64, i64), opened: u64, closed: u64) {
        let (from, to) = (ta.max(opened), tb.min(closed));
        if from > to || tb < opened || ta > closed {
            return;
        }
        let elapsed_s = (tb - ta) as f64 * 1e-9;
        let most = self.plausible.1 as f64 * elapsed_s;
        let rise = match self.range {
            _ if vb >= va => vb - va,
            Some(range) => {
                self.window.wraps += 1;
                vb - va + range
            }
            None => {
                self.window.resets += 1;
                return;
            }
        };
        if self.range.is_some_and(|range| most > range as f64) {
            self.window.ambiguous = true;
        }
        // A hundredth of a second of the most covers counters that move in steps of time.
        if rise < 0 || rise as f64 > most + self.plausible.1 as f64 * (0.01 + self.update_s) {
            self.window.resets += 1;
            return;
        }
        self.window.moved |= rise > 0;
        let all = i128::from(rise) * AREA_PER_MICROJOULE;
        match all.checked_mul(i128::from(to - from)) {
            Some(product) => self.window.area += divide(product, i128::from(tb - ta)),
            // More than a day between two looks.
            None => self.window.ambiguous = true,
        }
    }

    /// The first sample ever comes after the window opened.
    fn head(&mut self, at: u64, value: i64, opened: u64, closed: u64) {
        if at < opened {
            return;
        }
        if self.quantity == Quantity::Counter {
            self.window.headless = at > opened;
            return;
        }
        self.window.ends = [Some(value as f64 * 1e-6); 2];
        self.hold(value, at.min(closed) - opened);
    }

    fn hold(&mut self, value: i64, time: u64) {
        if time > self.bridge {
            self.window.unknown += time;
        } else {
            self.window.area += 2 * i128::from(value) * i128::from(time);
        }
    }

    /// The integral over the whole window, or why there is none.
    pub fn area(&self, opened: u64, closed: u64) -> Result<i128, NotMeasured> {
        let absent = |why: String| Err(NotMeasured::energy(format!("{}: {why}", self.name)));
        let window = &self.window;
        let why = || window.why.map_or_else(String::new, |why| format!(" ({})", why.reason()));
        let Some((last, value)) = self.last.filter(|(last, _)| *last >= opened) else {
            return absent(format!("no sample in the window{}", why()));
        };
        if window.resets > 0 {
            return absent("its counter began anew".to_owned());
        }
        if window.ambiguous {
            return absent(
                "its counter was not read for so long that it may have gone round twice".to_owned(),
            );
        }
        if window.headless || (self.quantity == Quantity::Counter && last < closed) {
            return absent(format!("its counter could not be read at an end of the window{}", why()));
        }
        let seconds = (closed - opened) as f64 * 1e-9;
        if self.quantity == Quantity::Counter && !window.moved && seconds >= STILL_S.max(10.0 * self.update_s)
        {
            return absent(format!("its counter did not move in {seconds:.3} s"));
        }
        let mut ended = self.clone();
        ended.hold(value, closed.saturating_sub(last));
        if ended.window.unknown > 0 {
            let (unknown, all) = (ended.window.unknown as f64 * 1e-9, (closed - opened) as f64 * 1e-9);
            return absent(format!("nothing is known of {unknown:.3} s of {all:.3} s{}", why()));
        }
        Ok(ended.window.area)
    }

    pub fn reading(&self, opened: u64, closed: u64, missed: u64) -> RailReading {
        let window = &self.window;
        let energy = self.area(opened, closed).map(joules);
        let seconds = (closed - opened) as f64 * 1e-9;
        let known = window.samples > 0 && !window.stepless;
        let step = known.then(|| window.steps as f64 / window.samples as f64 * 1e-6);
        let resolution = match self.quantity {
            Quantity::Power => step.map(|watts| watts * seconds),
            // A counter that moves now and then is late by up to that time at both ends.
            Quantity::Counter => step.map(|joules| {
                let power = energy.as_ref().map_or(0.0, |energy| energy.0 / seconds.max(1e-9));
                joules.max(power * self.update_s)
            }),
        };
        let sampled = self.quantity == Quantity::Power && window.pairs > 0;
        let noise =
            sampled.then(|| (window.squares / (2 * window.pairs) as f64 / (window.pairs + 1) as f64).sqrt());
        RailReading {
            name: self.name.clone(),
            energy,
            counted: self.counted,
            resolution: resolution.map(Joules),
            samples: window.samples,
            lost: window.lost + missed,
            ends: match (self.quantity, window.ends) {
                (Quantity::Power, [Some(first), Some(last)]) => Some([Watts(first), Watts(last)]),
                _ => None,
            },
            noise: noise.map(Watts),
            ends_error: None,
        }
    }

    pub fn flags(&self, share: f64, flags: &mut Vec<Flag>) {
        let (rail, window) = (|| self.name.clone(), &self.window);
        let due = window.samples + window.lost;
        if window.wraps > 0 && window.resets == 0 {
            flags.push(Flag::Wrapped { rail: rail(), times: window.wraps });
        }
        if window.lost as f64 > share * due as f64 {
            flags.push(Flag::Gaps { rail: rail(), lost: window.lost, due });
        }
        if window.resets > 0 {
            flags.push(Flag::CounterReset { rail: rail() });
        }
        if window.implausible > 0 {
            flags.push(Flag::Implausible { rail: rail(), values: window.implausible });
        }
    }
}

/// Divides and rounds to the nearest, halves away from zero, so that a mirrored waveform gives the same.
fn divide(number: i128, by: i128) -> i128 {
    let half = by / 2;
    if number >= 0 { (number + half) / by } else { (number - half) / by }
}
