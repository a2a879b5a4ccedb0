//! How long everything takes, and how often.

use std::time::Duration;

use serde::Serialize;

use crate::Description;

/// The least time to settle, and that for a filter of which nothing is known: the slowest known one takes 17 s to forget, the
/// common ones less than one.
const LEAST: Duration = Duration::from_secs(2);
const UNKNOWN: Duration = Duration::from_secs(5);

/// How a measurement goes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// How long each load runs before anything is measured.
    #[serde(rename = "warm_up_s", serialize_with = "crate::reading::seconds")]
    pub warm_up: Duration,
    /// How long what is measured goes on before its window opens, so that the sensor's filter has forgotten what was before.
    #[serde(rename = "settle_s", serialize_with = "crate::reading::seconds")]
    pub settle: Duration,
    /// Length of the idle windows before and after.
    #[serde(rename = "idle_s", serialize_with = "crate::reading::seconds")]
    pub idle: Duration,
    /// Length of a window.
    #[serde(rename = "window_s", serialize_with = "crate::reading::seconds")]
    pub window: Duration,
    /// Windows of each load.
    pub windows: u32,
    /// Whether the meter's own cost is measured first.
    pub calibrate: bool,
    /// What the rule asks of a window; a shorter one is flagged.
    #[serde(rename = "needed_window_s", serialize_with = "crate::reading::seconds")]
    pub needed_window: Duration,
}

impl Plan {
    /// By the rule for a meter: windows of the longest of 10 s, 20 time constants and 200 new values, ten of them; to settle, 5
    /// time constants, and 2 s at least for what the board itself still does of the load before, 5 s where a sensor does not
    /// tell how long it averages.
    pub fn by_rule(meter: &Description) -> Self {
        let filter = meter.time_constant().unwrap_or_default().saturating_mul(5);
        let settle = filter.max(if meter.averages_unknown() { UNKNOWN } else { LEAST });
        let window = meter.needed_window();
        Self {
            warm_up: settle,
            settle,
            idle: window,
            window,
            windows: 10,
            calibrate: true,
            needed_window: window,
        }
    }

    /// Other windows than the rule asks for, idle ones too; shorter ones are flagged. What precedes a window takes no longer than
    /// it.
    #[must_use]
    pub fn with_window(mut self, window: Duration) -> Self {
        (self.window, self.idle) = (window, window);
        (self.settle, self.warm_up) = (self.settle.min(window), self.warm_up.min(window));
        self
    }

    /// Another number of windows.
    #[must_use]
    pub fn with_windows(mut self, windows: u32) -> Self {
        self.windows = windows.max(1);
        self
    }

    /// About how long `loads` of them will take, calibration aside.
    pub fn duration(&self, loads: usize) -> Duration {
        let loads = u32::try_from(loads).unwrap_or(u32::MAX);
        let windows = self.window.saturating_add(self.settle).saturating_mul(self.windows);
        let each = self.warm_up.saturating_add(windows);
        let idle = self.idle.saturating_add(self.settle).saturating_mul(2);
        each.saturating_mul(loads).saturating_add(idle)
    }

    /// Which load has its turn when: A B B A, with three A B C C B A.
    pub(super) fn turns(&self, loads: usize) -> Vec<usize> {
        let round = |turn: u32| -> Vec<usize> {
            if turn.is_multiple_of(2) { (0..loads).collect() } else { (0..loads).rev().collect() }
        };
        (0..self.windows).flat_map(round).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NotMeasured, Quantity, Rail};

    fn meter(time_constant: Duration, update: Duration) -> Description {
        let mut description = Description::empty("test", NotMeasured::energy(""));
        description.rails = vec![Rail {
            time_constant: Some(time_constant),
            update: Some(update),
            ..Rail::new("in", "", Quantity::Power)
        }];
        description
    }

    #[test]
    fn windows_are_as_long_as_filter_and_values_need() {
        let needs = |tau, update| {
            Plan::by_rule(&meter(Duration::from_millis(tau), Duration::from_millis(update)))
                .window
                .as_secs_f64()
        };
        assert_eq!([needs(6, 6), needs(3379, 6), needs(0, 100)], [10.0, 67.58, 20.0]);
    }

    #[test]
    fn what_was_before_a_window_is_given_time_to_be_forgotten() {
        let settles = |description: &Description| Plan::by_rule(description).settle.as_secs_f64();
        let known = |tau| settles(&meter(Duration::from_millis(tau), Duration::ZERO));
        assert_eq!([known(0), known(100), known(3379)], [2.0, 2.0, 16.895]);
        let mut silent = meter(Duration::ZERO, Duration::ZERO);
        silent.rails[0].time_constant = None;
        assert_eq!(settles(&silent), 5.0);
        let short = Plan::by_rule(&silent).with_window(Duration::from_secs(1));
        assert_eq!((short.settle, short.warm_up), (short.window, short.window));
    }

    #[test]
    fn loads_take_turns_there_and_back() {
        let plan = Plan::by_rule(&meter(Duration::ZERO, Duration::ZERO)).with_windows(4);
        assert_eq!(plan.turns(2), [0, 1, 1, 0, 0, 1, 1, 0]);
        assert_eq!(plan.turns(3)[..6], [0, 1, 2, 2, 1, 0]);
        assert_eq!(plan.with_windows(0).windows, 1);
    }
}
