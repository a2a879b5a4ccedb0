//! Which device time is which host time.
//!
//! Two-way exchanges give, beside the usual midpoint, something certain: a ping cannot come before it went, and a pong
//! cannot go after it came. If the device's clock is linear within 5 ppm and its rate within 10 % of
//! nominal, every line that contradicts no exchange is a possible clock, and what all of them agree on bounds the error.

use std::collections::VecDeque;

use serde::Serialize;

use crate::link::LinkError;

/// How far a device's rate may be off what it says: crystals are within 0.02 %, emulators and RC oscillators are not.
const MAX_SKEW: f64 = 0.1;
/// How much a rate may wander within an epoch, seconds per second.
const WANDER: f64 = 5e-6;
/// Contradictions below this are a rate that wandered more; above, the clock is another one.
const JUMP_S: f64 = 1e-3;
/// Exchanges that are kept; of neighbours the slower goes.
const KEPT: usize = 128;
/// A rate that is known so well is better than what crystals promise.
const GOOD_RATE: f64 = 1e-4;
/// Exchanges before anything is told.
const ENOUGH: usize = 5;

/// Extends a counter of 32 bits that wraps to 64 bits that do not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ticks {
    last: Option<u64>,
}

impl Ticks {
    /// The extended time of `time`, which is less than half a wrap from the latest one seen.
    pub fn extend(&mut self, time: u32) -> u64 {
        // One wrap ahead of zero, so that what is a little older than the first has a place.
        let last = self.last.unwrap_or((1 << 32) | u64::from(time));
        let step = i64::from((time.wrapping_sub(last as u32)).cast_signed());
        let extended = last.saturating_add_signed(step);
        self.last = Some(last.max(extended));
        extended
    }
}

/// One ping and its pong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exchange {
    /// Host time before the ping was written, in seconds.
    pub sent: f64,
    /// Device time when it came, in ticks.
    pub received: u64,
    /// Device time when the pong went, in ticks.
    pub replied: u64,
    /// Host time after the pong was read, in seconds.
    pub back: f64,
}

/// A time on the other clock and how far off it can be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Located {
    /// Ticks, or seconds of the host.
    pub time: f64,
    /// Seconds; the truth is within, by the assumptions of this module.
    pub error_s: f64,
}

/// How well the clocks are aligned.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Alignment {
    /// Exchanges so far.
    pub exchanges: u64,
    /// How much faster the device's clock runs than it says, in parts per million of host time.
    pub skew_ppm: f64,
    /// How far that can be off.
    pub skew_error_ppm: f64,
    /// Root mean square of midpoints against the line fitted to them, in seconds, of the quicker half of exchanges.
    pub residual_s: f64,
    /// The largest of them.
    pub worst_residual_s: f64,
    /// The quickest round trip, in seconds.
    pub quickest_s: f64,
}

/// The device's clock against the host's, within one epoch.
#[derive(Clone, Debug)]
pub struct Clock {
    tick_hz: f64,
    kept: VecDeque<Exchange>,
    seen: u64,
}

/// A line from device seconds since `ticks` to host seconds.
#[derive(Clone, Copy)]
struct Line {
    ticks: f64,
    host: f64,
    rate: f64,
}

impl Clock {
    /// The clock of a device that counts `tick_hz` ticks per second, as it says.
    #[must_use]
    pub fn new(tick_hz: u32) -> Self {
        Self { tick_hz: f64::from(tick_hz.max(1)), kept: VecDeque::new(), seen: 0 }
    }

    /// Takes an exchange.
    ///
    /// # Errors
    /// [`LinkError::ClockJumped`] where it contradicts the ones before: the device was reset, or its clock set. The
    /// exchange is not taken; what follows belongs to another epoch.
    pub fn observe(&mut self, exchange: Exchange) -> Result<(), LinkError> {
        if self.kept.len() >= ENOUGH {
            // The latest and the earliest host time that this device time can be.
            let latest = self.bound(exchange.received as f64, true);
            let earliest = self.bound(exchange.replied as f64, false);
            let by = (exchange.sent - latest).max(earliest - exchange.back);
            if by > JUMP_S {
                return Err(LinkError::ClockJumped { by: std::time::Duration::from_secs_f64(by.min(1e9)) });
            }
        }
        self.seen += 1;
        self.kept.push_back(exchange);
        if self.kept.len() > KEPT {
            self.thin();
        }
        Ok(())
    }

    /// Ticks per second, as the device says.
    #[must_use]
    pub fn tick_hz(&self) -> f64 {
        self.tick_hz
    }

    /// Host seconds per tick. As the device says, until exchanges say something else for sure or have seen enough time
    /// to tell better than 100 ppm.
    #[must_use]
    pub fn seconds_per_tick(&self) -> f64 {
        let rate = match self.rate() {
            Some((rate, error)) if error <= GOOD_RATE || (rate - 1.0).abs() > error => rate,
            _ => 1.0,
        };
        rate / self.tick_hz
    }

    /// Host seconds per device second over all exchanges, and how far off that can be.
    fn rate(&self) -> Option<(f64, f64)> {
        let (first, last) = (self.kept.front()?.received as f64, self.kept.back()?.replied as f64);
        let (begin, end) = (self.to_host(first)?, self.to_host(last)?);
        let span = (last - first) / self.tick_hz;
        (span > 0.0).then(|| ((end.time - begin.time) / span, (begin.error_s + end.error_s) / span))
    }

    /// The host time of a device time; nothing before there are enough exchanges.
    #[must_use]
    pub fn to_host(&self, ticks: f64) -> Option<Located> {
        if self.kept.len() < ENOUGH {
            return None;
        }
        let (low, high) = (self.bound(ticks, false), self.bound(ticks, true));
        // Where exchanges contradict each other, none of them says more than a round trip.
        let doubt = if low <= high { 0.0 } else { self.quickest() };
        Some(Located { time: f64::midpoint(low, high), error_s: (high - low).abs() / 2.0 + doubt })
    }

    /// The device time of a host time; nothing before there are enough exchanges.
    #[must_use]
    pub fn to_device(&self, host: f64) -> Option<Located> {
        let first = self.kept.front()?;
        let mut ticks = first.received as f64 + (host - first.sent) * self.tick_hz;
        let mut located = self.to_host(ticks)?;
        // The line is nearly that of the first guess: a few corrections land on it.
        for _ in 0..4 {
            ticks += (host - located.time) * self.tick_hz;
            located = self.to_host(ticks)?;
        }
        Some(Located { time: ticks, error_s: located.error_s + (host - located.time).abs() })
    }

    /// How well the clocks are aligned; nothing before there are enough exchanges.
    #[must_use]
    pub fn alignment(&self) -> Option<Alignment> {
        let (line, quick) = (self.line()?, self.quick());
        let (rate, rate_error) = self.rate()?;
        let residual = |exchange: &Exchange| {
            let (ticks, host) = midpoint(exchange);
            host - line.host - (ticks - line.ticks) / self.tick_hz * line.rate
        };
        let squares: f64 = quick.iter().map(|exchange| residual(exchange).powi(2)).sum();
        Some(Alignment {
            exchanges: self.seen,
            skew_ppm: (1.0 / rate - 1.0) * 1e6,
            skew_error_ppm: rate_error * 1e6,
            residual_s: (squares / quick.len() as f64).sqrt(),
            worst_residual_s: quick.iter().map(|exchange| residual(exchange).abs()).fold(0.0, f64::max),
            quickest_s: self
                .kept
                .iter()
                .map(|exchange| self.round_trip(exchange))
                .fold(f64::INFINITY, f64::min),
        })
    }

    fn round_trip(&self, exchange: &Exchange) -> f64 {
        exchange.back - exchange.sent - (exchange.replied - exchange.received) as f64 / self.tick_hz
    }

    fn quickest(&self) -> f64 {
        self.kept.iter().map(|exchange| self.round_trip(exchange)).fold(f64::INFINITY, f64::min)
    }

    /// Of two neighbours that are closest together, the slower goes: what is kept spans the whole epoch.
    fn thin(&mut self) {
        let gaps = self.kept.iter().zip(self.kept.iter().skip(1));
        let closest = gaps
            .enumerate()
            .min_by(|(_, (a, b)), (_, (c, d))| (b.sent - a.sent).total_cmp(&(d.sent - c.sent)))
            .map_or(0, |(index, _)| index);
        let slower = self.round_trip(&self.kept[closest]) > self.round_trip(&self.kept[closest + 1]);
        self.kept.remove(if slower { closest } else { closest + 1 });
    }

    /// The quicker half of the exchanges: the others waited somewhere, and on one way more than on the other.
    fn quick(&self) -> Vec<Exchange> {
        let mut chosen: Vec<_> = self.kept.iter().copied().collect();
        chosen.sort_by(|a, b| self.round_trip(a).total_cmp(&self.round_trip(b)));
        chosen.truncate((chosen.len() / 2).max(ENOUGH));
        chosen
    }

    /// Least squares through the midpoints of the quick exchanges.
    fn line(&self) -> Option<Line> {
        if self.kept.len() < ENOUGH {
            return None;
        }
        let points: Vec<_> = self.quick().iter().map(midpoint).collect();
        let count = points.len() as f64;
        // Around the first point: device time and host time are large numbers with small differences.
        let (x0, y0) = points[0];
        let at = |point: &(f64, f64)| ((point.0 - x0) / self.tick_hz, point.1 - y0);
        let (mean_x, mean_y) =
            points.iter().map(at).fold((0.0, 0.0), |(x, y), (a, b)| (x + a / count, y + b / count));
        let (mut xx, mut xy) = (0.0, 0.0);
        for (x, y) in points.iter().map(at) {
            xx += (x - mean_x).powi(2);
            xy += (x - mean_x) * (y - mean_y);
        }
        let rate = if xx > 0.0 { (xy / xx).clamp(1.0 - MAX_SKEW, 1.0 + MAX_SKEW) } else { 1.0 };
        Some(Line { ticks: x0 + mean_x * self.tick_hz, host: y0 + mean_y, rate })
    }

    /// The highest (`upper`) or lowest host time that `ticks` can have on any line that contradicts no exchange.
    ///
    /// By duality of linear programs this is the tightest of what one exchange and a limit of the rate, or two exchanges,
    /// say: two of the same side on both sides of `ticks`, or a nearer one of this side and a farther one of the other.
    fn bound(&self, ticks: f64, upper: bool) -> f64 {
        // Mirrored in time for the lower bound, so that there is one case.
        let sign = if upper { 1.0 } else { -1.0 };
        let point = |ticks_there: u64, host: f64, widen: f64| {
            let x = (ticks_there as f64 - ticks) / self.tick_hz;
            (x, sign * host + widen * (WANDER * x.abs() + 1.0 / self.tick_hz))
        };
        // At `near` the line is no higher; at `far` it is no lower.
        let near: Vec<_> = self
            .kept
            .iter()
            .map(|e| if upper { point(e.replied, e.back, 1.0) } else { point(e.received, e.sent, 1.0) })
            .collect();
        let far: Vec<_> = self
            .kept
            .iter()
            .map(|e| if upper { point(e.received, e.sent, -1.0) } else { point(e.replied, e.back, -1.0) })
            .collect();
        let mut best = f64::INFINITY;
        for &(x, y) in &near {
            // The steepest way from the point to here that a rate allows.
            let rise = if (x < 0.0) == upper { 1.0 + MAX_SKEW } else { 1.0 - MAX_SKEW };
            best = best.min(y - sign * x * rise);
            for &(other_x, other_y) in &near {
                if x < 0.0 && other_x > 0.0 {
                    best = best.min(y + (other_y - y) * (-x / (other_x - x)));
                }
            }
            for &(far_x, far_y) in &far {
                if (far_x < x && x < 0.0) || (far_x > x && x > 0.0) {
                    best = best.min(y + (y - far_y) * (-x / (x - far_x)));
                }
            }
        }
        sign * best
    }
}

fn midpoint(exchange: &Exchange) -> (f64, f64) {
    let ticks = exchange.received as f64 + (exchange.replied - exchange.received) as f64 / 2.0;
    (ticks, exchange.sent + (exchange.back - exchange.sent) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// A device whose clock runs `skew` fast and began at `base` ticks, behind a line that delays up to `jitter` seconds.
    struct Device {
        skew: f64,
        base: f64,
        jitter: f64,
        random: ChaCha8Rng,
    }

    impl Device {
        fn ticks(&self, host: f64) -> f64 {
            self.base + host * (1.0 + self.skew) * 1e6
        }

        fn exchange(&mut self, sent: f64) -> Exchange {
            let there = sent + 5e-5 + self.random.random::<f64>() * self.jitter;
            let gone = there + 2e-5;
            let back = gone + 5e-5 + self.random.random::<f64>() * self.jitter;
            Exchange { sent, received: self.ticks(there) as u64, replied: self.ticks(gone) as u64, back }
        }
    }

    fn device(seed: u64, skew: f64, jitter: f64) -> (Device, Clock) {
        let device = Device { skew, base: 1e10, jitter, random: ChaCha8Rng::seed_from_u64(seed) };
        (device, Clock::new(1_000_000))
    }

    #[test]
    fn a_marker_is_within_200_microseconds_and_within_the_stated_error() {
        let mut worst: f64 = 0.0;
        let mut stated: f64 = 0.0;
        for seed in 0..30 {
            let (mut device, mut clock) = device(seed, 100e-6, 2e-3);
            let mut host = 50.0;
            while host < 56.0 {
                clock.observe(device.exchange(host)).unwrap();
                host += 0.02;
            }
            for _ in 0..5 {
                let at = device.random.random_range(50.5..55.5);
                let there = clock.to_device(at).unwrap();
                let error = (there.time - device.ticks(at)).abs() / 1e6;
                assert!(error <= there.error_s, "off by {error} s, stated {} s, seed {seed}", there.error_s);
                let back = clock.to_host(device.ticks(at)).unwrap();
                assert!((back.time - at).abs() <= back.error_s);
                (worst, stated) = (worst.max(error), stated.max(there.error_s));
            }
            let alignment = clock.alignment().unwrap();
            assert!((alignment.skew_ppm - 100.0).abs() <= alignment.skew_error_ppm, "{alignment:?}");
            assert!(alignment.skew_error_ppm < 150.0, "{alignment:?}");
            assert!((clock.seconds_per_tick() * 1e6 * (1.0 + 100e-6) - 1.0).abs() < 150e-6);
            assert_eq!(alignment.exchanges, 300);
        }
        assert!(worst < 200e-6, "off by {worst} s");
        assert!(stated < 400e-6, "states {stated} s");
    }

    #[test]
    fn a_long_epoch_keeps_its_beginning() {
        let (mut device, mut clock) = device(1, -50e-6, 1e-3);
        for step in 0..6000 {
            clock.observe(device.exchange(f64::from(step) * 0.1)).unwrap();
        }
        for at in [1.0, 300.0, 599.0] {
            let there = clock.to_device(at).unwrap();
            assert!((there.time - device.ticks(at)).abs() / 1e6 <= there.error_s);
            assert!(there.error_s < 1e-3, "{there:?}");
        }
    }

    #[test]
    fn a_clock_that_jumps_either_way_is_refused() {
        for jump in [-5e3, 5e3] {
            let (mut device, mut clock) = device(2, 20e-6, 1e-3);
            for step in 0..50 {
                clock.observe(device.exchange(f64::from(step) * 0.05)).unwrap();
            }
            device.base += jump;
            let error = clock.observe(device.exchange(2.5)).unwrap_err();
            assert!(matches!(error, LinkError::ClockJumped { .. }), "{error}");
        }
    }

    #[test]
    fn a_rate_is_as_the_device_says_until_it_is_known_better() {
        let (mut device, mut clock) = device(4, 30e-6, 1e-3);
        (0..20).for_each(|step| clock.observe(device.exchange(f64::from(step) * 0.005)).unwrap());
        assert!((clock.seconds_per_tick() - 1e-6).abs() < 1e-18, "a tenth of a second tells nothing");
        (0..60).for_each(|step| clock.observe(device.exchange(1.0 + f64::from(step) * 0.5)).unwrap());
        assert!((clock.seconds_per_tick() * 1e6 - 1.0 / (1.0 + 30e-6)).abs() < 20e-6);
        // A clock that says 12 MHz and has 12.5 is found out at once.
        let (mut wrong, mut clock) = self::device(5, 0.04, 1e-4);
        (0..20).for_each(|step| clock.observe(wrong.exchange(f64::from(step) * 0.01)).unwrap());
        assert!((clock.seconds_per_tick() * 1e6 - 1.0 / 1.04).abs() < 1e-3);
    }

    #[test]
    fn a_rate_that_changes_as_the_board_warms_is_no_jump_and_stays_within_the_stated_error() {
        let (mut device, mut clock) = device(6, 0.0, 1e-3);
        // 10 parts per million more after two minutes, a little at a time.
        let mut shift = 0.0;
        for step in 0..1200 {
            let host = f64::from(step) * 0.1;
            shift += 1e-5 * host / 120.0 * 0.1 * 1e6;
            device.base = 1e10 + shift;
            clock.observe(device.exchange(host)).unwrap();
        }
        let there = clock.to_device(119.9).unwrap();
        assert!((there.time - device.ticks(119.9)).abs() / 1e6 <= there.error_s, "{there:?}");
    }

    #[test]
    fn nothing_is_told_before_there_is_enough_to_tell() {
        let (mut device, mut clock) = device(3, 0.0, 1e-3);
        assert!(clock.to_device(0.0).is_none() && clock.alignment().is_none());
        assert!((clock.seconds_per_tick() - 1e-6).abs() < 1e-18);
        (0..5).for_each(|step| clock.observe(device.exchange(f64::from(step))).unwrap());
        assert!(clock.to_device(2.0).is_some());
    }

    #[test]
    fn ticks_go_on_over_the_wrap_and_may_come_a_little_late() {
        let mut ticks = Ticks::default();
        let first = ticks.extend(u32::MAX - 9);
        assert_eq!(ticks.extend(10) - first, 20);
        assert_eq!(ticks.extend(u32::MAX - 4) - first, 5);
        assert_eq!(ticks.extend(10 + (1 << 31) - 1) - first, 20 + (1 << 31) - 1);
    }
}
