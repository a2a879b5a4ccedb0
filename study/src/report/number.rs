//! Numbers as people read them.

use crate::findings::Format;

/// What one unit of a column's numbers is shown as, and how many digits follow the point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shown {
    /// Factor from base units.
    pub factor: f64,
    /// Digits after the point.
    pub digits: usize,
    /// The unit, for the column's head.
    pub unit: Option<&'static str>,
}

impl Shown {
    /// How numbers of `format` are shown whose largest magnitude is `largest`.
    pub fn new(format: Format, largest: f64) -> Self {
        match format {
            Format::Text | Format::Count => Self { factor: 1.0, digits: 0, unit: None },
            Format::Percent => Self { factor: 100.0, digits: 1, unit: Some("%") },
            Format::Decimals(digits) => Self { factor: 1.0, digits: usize::from(digits).min(12), unit: None },
            Format::Seconds => Self { factor: 1e3, digits: significant(largest * 1e3), unit: Some("ms") },
            Format::Joules => Self { factor: 1e3, digits: significant(largest * 1e3), unit: Some("mJ") },
        }
    }

    /// `value` as text.
    pub fn text(self, value: f64) -> String {
        fixed(value * self.factor, self.digits)
    }

    /// The interval beside `value`: `± half` where it is symmetric as shown, else `[low, high]`.
    pub fn interval(self, value: f64, [low, high]: [f64; 2]) -> String {
        let [below, above] = [
            fixed((value - low) * self.factor, self.digits),
            fixed((high - value) * self.factor, self.digits),
        ];
        if below == above {
            format!("±\u{202f}{above}")
        } else {
            format!("[{}, {}]", self.text(low), self.text(high))
        }
    }
}

/// Digits after the point that give the largest number of a column four digits.
fn significant(largest: f64) -> usize {
    if largest > 0.0 { (3.0 - largest.log10().floor()).clamp(0.0, 6.0) as usize } else { 2 }
}

/// `value` with `digits` after the point, a real minus sign and narrow spaces between thousands.
pub fn fixed(value: f64, digits: usize) -> String {
    let text = format!("{:.digits$}", value.abs());
    let negative = value < 0.0 && text.chars().any(|c| ('1'..='9').contains(&c));
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), ""), |(whole, rest)| (whole, rest));
    let mut shown = String::from(if negative { "\u{2212}" } else { "" });
    for (index, digit) in whole.chars().enumerate() {
        let left = whole.len() - index;
        if index > 0 && left % 3 == 0 && whole.len() > 4 {
            shown.push('\u{202f}');
        }
        shown.push(digit);
    }
    if !rest.is_empty() {
        shown.push('.');
        shown.push_str(rest);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_thousands_a_minus_and_no_negative_zero() {
        assert_eq!(fixed(1_234_567.0, 0), "1\u{202f}234\u{202f}567");
        assert_eq!(fixed(1234.0, 0), "1234");
        assert_eq!(fixed(-0.25, 2), "\u{2212}0.25");
        assert_eq!(fixed(-0.0001, 2), "0.00");
    }

    #[test]
    fn an_interval_is_plus_minus_only_where_it_is_symmetric() {
        let percent = Shown::new(Format::Percent, 1.0);
        assert_eq!(percent.interval(0.9, [0.88, 0.92]), "±\u{202f}2.0");
        assert_eq!(percent.interval(0.9, [0.85, 0.92]), "[85.0, 92.0]");
    }

    #[test]
    fn seconds_are_milliseconds_with_four_digits() {
        assert_eq!(Shown::new(Format::Seconds, 0.012).text(0.012_345), "12.35");
        assert_eq!(Shown::new(Format::Seconds, 0.000_2).text(0.000_2), "0.2000");
    }
}
