//! Meters that print one sample per line, fields separated by commas, semicolons, tabs or spaces.
//!
//! A header, or the user, says what the fields are. Such lines carry no numbers that would tell what is missing and no
//! checksum: what cannot be read is counted, and a pause much longer than usual is a gap. Windows are placed by when
//! lines arrive, so their ends are off by the line's delay, which nothing tells.

mod epoch;
mod meter;

use std::str::FromStr;

use crate::tiny::Lines;

pub use self::meter::CsvMeter;

/// What a field is, and what a unit of it is in seconds, volts, amperes or watts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Column {
    /// Time of the device.
    Time(f64),
    /// Voltage.
    Volts(f64),
    /// Current.
    Amperes(f64),
    /// Power.
    Watts(f64),
    /// Something else.
    Other,
}

/// What the fields of a line are.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    columns: Vec<Column>,
}

/// A header that says no power.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{header:?} has neither a field of watts nor one of volts and one of amperes, as in time_us,V,mA")]
pub struct LayoutError {
    /// The header.
    pub header: String,
}

/// One sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Device time, where the lines have one.
    pub time_s: Option<f64>,
    /// Power.
    pub watts: f64,
}

/// Lines that gave no sample, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RejectedLines {
    /// Before anything said what the fields are.
    pub before_header: u64,
    /// Not as many fields as there are columns.
    pub fields: u64,
    /// A field that is no finite number.
    pub number: u64,
}

impl FromStr for Layout {
    type Err = LayoutError;

    /// Reads names of fields, each with its unit at the end: `time_us,bus voltage (V),I_mA`. A time without a unit is
    /// passed by.
    fn from_str(header: &str) -> Result<Self, LayoutError> {
        let columns: Vec<_> = fields(header).map(column).collect();
        let has = |wanted: fn(&Column) -> bool| columns.iter().any(wanted);
        let watts = has(|column| matches!(column, Column::Watts(_)));
        let product = has(|column| matches!(column, Column::Volts(_)))
            && has(|column| matches!(column, Column::Amperes(_)));
        if watts || product { Ok(Self { columns }) } else { Err(LayoutError { header: header.to_owned() }) }
    }
}

fn fields(line: &str) -> impl Iterator<Item = &str> {
    let line = line.trim();
    let separator = [',', ';', '\t'].into_iter().find(|separator| line.contains(*separator)).unwrap_or(' ');
    line.split(separator).map(str::trim).filter(move |field| separator != ' ' || !field.is_empty())
}

fn column(name: &str) -> Column {
    let lower = name.to_lowercase();
    let words: Vec<_> =
        lower.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let is_time = words.iter().any(|word| word.contains("time"));
    match words.last().copied().unwrap_or_default() {
        "s" | "sec" | "seconds" if is_time || words.len() == 1 => Column::Time(1.0),
        "ms" => Column::Time(1e-3),
        "us" | "µs" => Column::Time(1e-6),
        "v" | "volt" | "volts" | "voltage" => Column::Volts(1.0),
        "mv" => Column::Volts(1e-3),
        "uv" => Column::Volts(1e-6),
        "a" | "amp" | "amps" | "amperes" | "current" => Column::Amperes(1.0),
        "ma" => Column::Amperes(1e-3),
        "ua" => Column::Amperes(1e-6),
        "w" | "watt" | "watts" | "power" => Column::Watts(1.0),
        "mw" => Column::Watts(1e-3),
        "uw" => Column::Watts(1e-6),
        _ => Column::Other,
    }
}

impl Layout {
    /// What the fields are.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn read(&self, line: &str, rejected: &mut RejectedLines) -> Option<Row> {
        let values: Vec<_> = fields(line).collect();
        if values.len() != self.columns.len() {
            rejected.fields += 1;
            return None;
        }
        let (mut time_s, mut volts, mut amperes, mut watts) = (None, None, None, None);
        for (column, text) in self.columns.iter().zip(values) {
            let (slot, unit) = match column {
                Column::Time(unit) => (&mut time_s, unit),
                Column::Volts(unit) => (&mut volts, unit),
                Column::Amperes(unit) => (&mut amperes, unit),
                Column::Watts(unit) => (&mut watts, unit),
                Column::Other => continue,
            };
            let Some(number) =
                text.parse::<f64>().ok().map(|number| number * unit).filter(|number| number.is_finite())
            else {
                rejected.number += 1;
                return None;
            };
            slot.get_or_insert(number);
        }
        let watts = watts.or_else(|| Some(volts? * amperes?)).filter(|watts| watts.is_finite());
        rejected.number += u64::from(watts.is_none());
        Some(Row { time_s, watts: watts? })
    }
}

/// Takes bytes apart into samples.
#[derive(Clone, Debug, Default)]
pub struct Parser {
    lines: Lines,
    layout: Option<Layout>,
    rejected: RejectedLines,
}

impl Parser {
    /// A parser of lines as `layout` has them, or as the first header says.
    #[must_use]
    pub fn new(layout: Option<Layout>) -> Self {
        Self { layout, ..Self::default() }
    }

    /// The samples of the lines that `bytes` complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Row> {
        let lines = self.lines.feed(bytes);
        lines.iter().filter_map(|line| self.line(line)).collect()
    }

    fn line(&mut self, line: &str) -> Option<Row> {
        if line.trim().is_empty() {
            return None;
        }
        // A device that was reset prints its header again.
        let header = line.starts_with(|character: char| character.is_alphabetic());
        match (&self.layout, header.then(|| line.parse().ok()).flatten()) {
            (_, Some(layout)) => self.layout = Some(layout),
            (None, None) => self.rejected.before_header += 1,
            (Some(layout), None) => return layout.read(line, &mut self.rejected),
        }
        None
    }

    /// Lines that gave no sample.
    #[must_use]
    pub fn rejected(&self) -> RejectedLines {
        self.rejected
    }

    /// What the fields are, once it is known.
    #[must_use]
    pub fn layout(&self) -> Option<&Layout> {
        self.layout.as_ref()
    }

    /// Forgets an unfinished line.
    pub fn restart(&mut self) {
        self.lines.restart();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_say_what_fields_are() {
        let columns = |header: &str| header.parse::<Layout>().map(|layout| layout.columns);
        use Column::{Amperes, Other, Time, Volts, Watts};
        assert_eq!(columns("Timestamp,V,A,W").unwrap(), [Other, Volts(1.0), Amperes(1.0), Watts(1.0)]);
        assert_eq!(
            columns("time_us; bus voltage (mV); I_mA").unwrap(),
            [Time(1e-6), Volts(1e-3), Amperes(1e-3)]
        );
        assert_eq!(columns("t_ms power").unwrap(), [Time(1e-3), Watts(1.0)]);
        assert!(columns("time_s,V").is_err());
        insta::assert_snapshot!(
            "a b".parse::<Layout>().unwrap_err(),
            @r#""a b" has neither a field of watts nor one of volts and one of amperes, as in time_us,V,mA"#
        );
    }

    #[test]
    fn samples_come_from_whole_lines_and_the_rest_is_counted() {
        let mut parser = Parser::default();
        assert!(parser.feed(b"boot 1.2\n12,3\n\ntime_ms,V,mA\r\n").is_empty());
        let rows = parser.feed(b"10,5.0,200\n11,5.0\n12,5.0,x\n13,5.0,nan\n14,5");
        assert_eq!(rows, [Row { time_s: Some(0.01), watts: 1.0 }]);
        assert_eq!(parser.feed(b".0,400\r\n").len(), 1);
        assert_eq!(parser.rejected(), RejectedLines { before_header: 2, fields: 1, number: 2 });
        let mut told = Parser::new(Some("mW".parse().unwrap()));
        assert_eq!(told.feed(b"1500\n"), [Row { time_s: None, watts: 1.5 }]);
    }

    #[test]
    fn a_header_that_comes_again_is_no_sample() {
        let mut parser = Parser::default();
        assert_eq!(parser.feed(b"W\n1\nW\n2\n").len(), 2);
        assert_eq!(parser.rejected(), RejectedLines::default());
    }
}
