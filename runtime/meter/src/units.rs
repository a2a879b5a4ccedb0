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
}
