//! What makes a reading doubtful, as values.

use std::fmt;

use serde::Serialize;

/// With more than this share of its samples missing a window is flagged, and rejected by the protocol.
/// Source: EEMBC EnergyRunner, `emon-drop-thresh-pct=0.1`.
pub(crate) const LOST_SHARE: f64 = 0.001;

/// What makes a reading doubtful. Shown as its cause and what helps.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "flag", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Flag {
    /// The window is shorter than the rule for this sensor.
    ShortWindow {
        /// Its length.
        window_s: f64,
        /// What the rule asks for.
        needed_s: f64,
    },
    /// The source does not tell how long it averages.
    UnknownTimeConstant,
    /// A counter went round; the energy is right.
    Wrapped {
        /// The rail.
        rail: String,
        /// How often.
        times: u64,
    },
    /// More than one sample in a thousand is missing.
    Gaps {
        /// The rail.
        rail: String,
        /// Samples that are missing.
        lost: u64,
        /// Samples that were due.
        due: u64,
    },
    /// Samples were not taken in time.
    Late {
        /// Samples that were skipped.
        missed: u64,
        /// Samples that were due.
        due: u64,
    },
    /// One of the two idle windows does not count: whatever drifted is in the net energy.
    OneIdle,
    /// A counter began anew: the driver was loaded again, or the device reset.
    CounterReset {
        /// The rail.
        rail: String,
    },
    /// The source gave what cannot be; it was not used.
    Implausible {
        /// The rail.
        rail: String,
        /// How many values.
        values: u64,
    },
    /// The board slowed itself down.
    Throttled {
        /// The counter that went up.
        counter: String,
        /// By how much.
        events: u64,
    },
    /// The board's state is not what it was.
    StateChanged {
        /// What changed, from what, to what.
        change: String,
    },
}

impl Flag {
    /// What happened.
    pub fn cause(&self) -> String {
        match self {
            Self::ShortWindow { window_s, needed_s } => {
                let (window, needed) = (round(*window_s), round(*needed_s));
                format!("the window of {window} s is shorter than the {needed} s that this sensor needs")
            }
            Self::UnknownTimeConstant => "the sensor does not tell how long it averages".to_owned(),
            Self::Wrapped { rail, times } => format!("the counter of {rail} went round {times} times"),
            Self::Gaps { rail, lost, due } => format!("{rail} lost {lost} of {due} samples"),
            Self::Late { missed, due } => format!("{missed} of {due} samples were not taken in time"),
            Self::OneIdle => "only one idle window counts".to_owned(),
            Self::CounterReset { rail } => format!("the counter of {rail} began anew"),
            Self::Implausible { rail, values } => format!("{rail} gave {values} values that cannot be"),
            Self::Throttled { counter, events } => {
                format!("the board throttled: {counter} went up by {events}")
            }
            Self::StateChanged { change } => format!("the board changed while it was measured: {change}"),
        }
    }

    /// What helps.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::ShortWindow { .. } => "measure longer, or read it as a trend",
            Self::UnknownTimeConstant => "keep the load steady for seconds before and during a window",
            Self::Wrapped { .. } => "the wrap was counted, nothing is lost",
            Self::Gaps { .. } => "see which file or line fails, or sample less often",
            Self::Late { .. } => "leave a core to the sampler, or sample less often",
            Self::OneIdle => "what drifted since is in the net energy: measure again",
            Self::CounterReset { .. } => "measure again while no driver is loaded",
            Self::Implausible { .. } => "compare with another tool, and report the board",
            Self::Throttled { .. } => "cool the board, use a stronger supply or a lower power mode",
            Self::StateChanged { .. } => "pin clocks and power mode, and measure again",
        }
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.cause(), self.hint())
    }
}

/// As many digits as windows of one plan have in common.
fn round(seconds: f64) -> String {
    if seconds >= 1.0 { format!("{seconds:.1}") } else { format!("{seconds:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_says_its_cause_and_what_helps() {
        let rail = || "VDD_IN".to_owned();
        let flags = [
            Flag::ShortWindow { window_s: 2.0, needed_s: 68.0 },
            Flag::UnknownTimeConstant,
            Flag::Wrapped { rail: rail(), times: 1 },
            Flag::Gaps { rail: rail(), lost: 12, due: 1000 },
            Flag::Late { missed: 3, due: 1000 },
            Flag::CounterReset { rail: rail() },
            Flag::Implausible { rail: rail(), values: 4 },
            Flag::Throttled { counter: "oc1_event_cnt".to_owned(), events: 7 },
            Flag::StateChanged { change: "nvpmodel 0 -> 2".to_owned() },
        ];
        let shown: Vec<_> = flags.iter().map(Flag::to_string).collect();
        insta::assert_snapshot!(shown.join("\n"), @r"
        the window of 2.0 s is shorter than the 68.0 s that this sensor needs; measure longer, or read it as a trend
        the sensor does not tell how long it averages; keep the load steady for seconds before and during a window
        the counter of VDD_IN went round 1 times; the wrap was counted, nothing is lost
        VDD_IN lost 12 of 1000 samples; see which file or line fails, or sample less often
        3 of 1000 samples were not taken in time; leave a core to the sampler, or sample less often
        the counter of VDD_IN began anew; measure again while no driver is loaded
        VDD_IN gave 4 values that cannot be; compare with another tool, and report the board
        the board throttled: oc1_event_cnt went up by 7; cool the board, use a stronger supply or a lower power mode
        the board changed while it was measured: nvpmodel 0 -> 2; pin clocks and power mode, and measure again
        ");
    }
}
