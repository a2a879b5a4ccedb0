//! Axes: where values lie, which of them have ticks, and what stands at those.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use crate::findings::Axis;

/// Magnitudes that an axis shows, with room for its ends.
const HUGE: f64 = 1e300;

/// A linear or logarithmic axis with its ticks.
#[derive(Clone, Debug)]
pub struct Scale {
    ends: [f64; 2],
    logarithmic: bool,
    ticks: Vec<f64>,
    labels: Vec<String>,
}

/// Beyond the data: nothing, or room around bars, or the ground on which bars and areas stand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Room {
    /// Half the width of a group of bars.
    pub beside: f64,
    /// Whether zero is shown.
    pub ground: bool,
    /// Whether data shall not touch the ends.
    pub margin: bool,
}

impl Scale {
    /// The axis for `values`, with at most `ticks` ticks; categories have one each.
    pub fn new(axis: &Axis, values: impl Iterator<Item = f64>, room: Room, ticks: usize) -> Self {
        if let Some(categories) = &axis.categories {
            let count = categories.len().max(1);
            return Self {
                ends: [-0.5, count as f64 - 0.5],
                logarithmic: false,
                ticks: (0..categories.len()).map(|index| index as f64).collect(),
                labels: categories.clone(),
            };
        }
        let shown = |value: &f64| shown(*value, axis.logarithmic);
        let given = axis.ends.filter(|ends| ends.iter().all(shown) && ends[0] < ends[1]);
        let ends = given.unwrap_or_else(|| ends_of(values.filter(shown), axis.logarithmic, room));
        let (ticks, labels) = if axis.logarithmic { decades(ends, ticks) } else { steps(ends, ticks) };
        Self { ends, logarithmic: axis.logarithmic, ticks, labels }
    }

    /// The axis with at most `most` of its ticks.
    pub fn thinned(mut self, most: usize) -> Self {
        let stride = self.ticks.len().div_ceil(most.max(1)).max(1);
        self.ticks = self.ticks.into_iter().step_by(stride).collect();
        self.labels = self.labels.into_iter().step_by(stride).collect();
        self
    }

    /// What stands at the ticks.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Whether `value` has a place on the axis or beyond its ends.
    pub fn places(&self, value: f64) -> bool {
        shown(value, self.logarithmic)
    }

    /// Where bars stand: zero, or the end nearest to it.
    pub fn ground(&self) -> f64 {
        if self.logarithmic { self.ends[0] } else { 0_f64.clamp(self.ends[0], self.ends[1]) }
    }

    /// Where `value` lies between the ends, 0 to 1.
    pub fn share(&self, value: f64) -> f64 {
        let [low, high] = self.ends;
        if self.logarithmic {
            (value.ln() - low.ln()) / (high.ln() - low.ln())
        } else {
            (value - low) / (high - low)
        }
    }
}

/// Whether an axis has a place for `value`: what lies beyond would leave no room for ends around it.
fn shown(value: f64, logarithmic: bool) -> bool {
    value.abs() <= HUGE && (!logarithmic || value >= 1.0 / HUGE)
}

fn ends_of(values: impl Iterator<Item = f64>, logarithmic: bool, room: Room) -> [f64; 2] {
    let [mut low, mut high] = values
        .fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], value| [low.min(value), high.max(value)]);
    if low > high {
        return if logarithmic { [1.0, 10.0] } else { [0.0, 1.0] };
    }
    if logarithmic {
        return if high / low < 1.5 { [low / 2.0, high * 2.0] } else { [low / 1.15, high * 1.15] };
    }
    if room.ground {
        low = low.min(0.0);
        high = high.max(0.0);
    }
    low -= room.beside;
    high += room.beside;
    let magnitude = low.abs().max(high.abs());
    if high - low <= magnitude * 1e-9 {
        let half = if magnitude > 0.0 { magnitude * 0.1 } else { 0.5 };
        return [low - half, high + half];
    }
    let margin = if room.margin { (high - low) * 0.05 } else { 0.0 };
    let below = if room.ground && low == 0.0 { 0.0 } else { margin };
    let above = if room.ground && high == 0.0 { 0.0 } else { margin };
    [low - below, high + above]
}

/// Multiples of 1, 2 or 5 times a power of ten.
fn steps([low, high]: [f64; 2], most: usize) -> (Vec<f64>, Vec<String>) {
    let rough = (high - low) / most.max(1) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough * (1.0 - 1e-9))
        .unwrap_or(power * 10.0);
    let slack = step * 1e-6;
    let first = ((low - slack) / step).ceil();
    let ticks: Vec<f64> = (0..=most)
        .map(|index| (first + index as f64) * step)
        .take_while(|tick| *tick <= high + slack)
        // Not -0.
        .map(|tick| if tick.abs() < slack { 0.0 } else { tick })
        .collect();
    let largest = low.abs().max(high.abs());
    let labels = ticks.iter().map(|tick| spoken(*tick, step, largest)).collect();
    (ticks, labels)
}

/// Powers of ten, with 2 and 5 between them where there is room.
fn decades([low, high]: [f64; 2], most: usize) -> (Vec<f64>, Vec<String>) {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let within = |tick: &f64| (low * (1.0 - 1e-9)..=high * (1.0 + 1e-9)).contains(tick);
    let dense = |factors: &[f64]| -> Vec<f64> {
        (first..=last)
            .flat_map(|power| factors.iter().map(move |factor| factor * 10_f64.powi(power)))
            .filter(within)
            .collect()
    };
    let mut ticks = dense(&[1.0, 2.0, 5.0]);
    if ticks.len() > most {
        ticks = dense(&[1.0]);
    }
    let stride = ticks.len().div_ceil(most.max(1)).max(1);
    let ticks: Vec<f64> = ticks.into_iter().step_by(stride).collect();
    let labels = ticks.iter().map(|tick| spoken(*tick, *tick, *tick)).collect();
    (ticks, labels)
}

/// `value` to the digits that a step of `step` needs, with the prefix that suits an axis up to `largest`.
fn spoken(value: f64, step: f64, largest: f64) -> String {
    const PREFIXES: [(f64, f64, &str); 7] = [
        (1e15, 1e15, "P"),
        (1e12, 1e12, "T"),
        (1e9, 1e9, "G"),
        (1e6, 1e6, "M"),
        (1e5, 1e3, "k"),
        (1e-4, 1.0, ""),
        (1e-6, 1e-6, "µ"),
    ];
    if value == 0.0 {
        return "0".into();
    }
    let found = PREFIXES.iter().find(|(from, ..)| largest >= *from).filter(|_| largest < 1e18);
    let Some((_, unit, prefix)) = found else {
        return format!("{value:.1e}").replace('-', "\u{2212}");
    };
    let digits = (-((step / unit).abs().log10() + 1e-9).floor()).clamp(0.0, 9.0) as usize;
    let number = crate::report::number::fixed(value / unit, digits);
    if prefix.is_empty() { number } else { format!("{number}\u{202f}{prefix}") }
}

impl Ranged for Scale {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        // Far enough beyond the ends for a line to leave in its direction, and within what pixels can say.
        let share = self.share(*value).clamp(-1e4, 1e4);
        (f64::from(limit.0) + share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.ends[0]..self.ends[1]
    }
}

impl ValueFormatter<f64> for Scale {
    fn format_ext(&self, value: &f64) -> String {
        let at = self.ticks.iter().position(|tick| tick == value);
        at.and_then(|at| self.labels.get(at)).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(logarithmic: bool) -> Axis {
        Axis { label: String::new(), ends: None, categories: None, logarithmic }
    }

    #[test]
    fn ticks_are_round_and_within_the_ends() {
        let scale = Scale::new(&axis(false), [0.013, 0.971].into_iter(), Room::default(), 6);
        assert_eq!(scale.labels(), ["0.2", "0.4", "0.6", "0.8"]);
        let scale = Scale::new(&axis(false), [-1e7, 4e6].into_iter(), Room::default(), 4);
        assert_eq!(scale.labels(), ["\u{2212}10\u{202f}M", "\u{2212}5\u{202f}M", "0"]);
    }

    #[test]
    fn one_value_gets_an_axis_around_it() {
        for value in [0.0, 5.0, -1e12, 1e-9] {
            let scale = Scale::new(&axis(false), [value].into_iter(), Room::default(), 6);
            assert!(scale.ends[0] < value && value < scale.ends[1], "{value}: {:?}", scale.ends);
            assert!(!scale.ticks.is_empty() && scale.ticks.len() <= 7, "{value}: {:?}", scale.ticks);
        }
    }

    #[test]
    fn an_axis_of_magnitudes_at_the_ends_of_what_numbers_hold_has_few_ticks() {
        for values in [[5e-324, 1e-300], [1.0, f64::MAX], [f64::MIN, f64::MAX], [1e300, -1e300]] {
            for logarithmic in [false, true] {
                let scale = Scale::new(&axis(logarithmic), values.into_iter(), Room::default(), 6);
                assert!(scale.ticks.len() <= 7, "{values:?}: {:?}", scale.ticks);
                assert!(scale.ends.iter().all(|end| end.is_finite()), "{values:?}: {:?}", scale.ends);
            }
        }
    }

    #[test]
    fn decades_of_a_logarithmic_axis_lie_apart_by_ten() {
        let scale = Scale::new(&axis(true), [0.001, 40.0].into_iter(), Room::default(), 6);
        assert_eq!(scale.labels(), ["0.001", "0.01", "0.1", "1", "10"]);
        assert!(!scale.places(0.0));
    }
}
