//! Energy and power, so that one is not taken for the other.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Energy.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Joules(pub f64);

/// Power.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Watts(pub f64);

impl fmt::Display for Joules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        scaled(f, self.0, "J")
    }
}

impl fmt::Display for Watts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        scaled(f, self.0, "W")
    }
}

impl Joules {
    /// With half of an interval around it: in one unit, and no digits that the interval makes meaningless.
    pub fn within(self, half: Self) -> String {
        let size = self.0.abs().max(half.0);
        let (scale, unit) = match size {
            size if size >= 1.0 || size == 0.0 => (1.0, "J"),
            size if size >= 1e-3 => (1e3, "mJ"),
            _ => (1e6, "uJ"),
        };
        let (value, half) = (self.0 * scale, half.0 * scale);
        // Two digits of the half.
        let decimals = if half > 0.0 { (1.0 - half.log10().floor()).clamp(0.0, 6.0) as usize } else { 3 };
        format!("{value:.decimals$} +- {half:.decimals$} {unit}")
    }
}

/// Three decimals of the unit that leaves them a meaning.
fn scaled(f: &mut fmt::Formatter<'_>, value: f64, unit: &str) -> fmt::Result {
    match value.abs() {
        size if size >= 1.0 || size == 0.0 => write!(f, "{value:.3} {unit}"),
        size if size >= 1e-3 => write!(f, "{:.3} m{unit}", value * 1e3),
        size if size < 5e-10 => write!(f, "0.000 u{unit}"),
        _ => write!(f, "{:.3} u{unit}", value * 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_keep_their_digits() {
        let shown = [Joules(12.3456).to_string(), Watts(0.0123).to_string(), Joules(-4e-6).to_string()];
        assert_eq!(shown, ["12.346 J", "12.300 mW", "-4.000 uJ"]);
    }

    #[test]
    fn a_value_and_its_interval_have_one_unit_and_as_many_digits_as_they_are_worth() {
        let within = |value, half| Joules(value).within(Joules(half));
        assert_eq!(within(0.012_345_6, 0.000_234), "12.35 +- 0.23 mJ");
        assert_eq!(within(1.234_56, 12.3), "1 +- 12 J");
        assert_eq!(within(3e-6, 4e-3), "0.0 +- 4.0 mJ");
        assert_eq!(within(-2e-6, 0.0), "-2.000 +- 0.000 uJ");
    }
}
