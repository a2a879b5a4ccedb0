//! Meters that print one sample per line, fields separated by commas, semicolons, tabs or spaces.
//!
//! A header, or the user, says what the fields are. Such lines carry no numbers that would tell what is missing and no
//! checksum: what cannot be read is counted, and a pause much longer than usual is a gap. Windows are placed by when
//! lines arrive, so their ends are off by the line's delay, which nothing tells.

mod epoch;
mod meter;

use std::fmt;
use std::str::FromStr;

use crate::series::MOST_W;
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

/// What the fields of a line are. Shown as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    header: String,
    columns: Vec<Column>,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.header)
    }
}

/// A header that does not say what the power is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// There is none.
    #[error(
        "{header:?} has neither a field of watts nor one of volts and one of amperes, as in time_us,V,mA"
    )]
    NoPower {
        /// The header.
        header: String,
    },
    /// There are several, of which one may lie within another.
    #[error("{header:?} has several fields of {what}: name the fields, and - for those that do not count")]
    Several {
        /// The header.
        header: String,
        /// Watts, volts or amperes.
        what: &'static str,
    },
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

impl RejectedLines {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.before_header + self.fields + self.number
    }
}

impl FromStr for Layout {
    type Err = LayoutError;

    /// Reads names of fields, each with its unit at the end: `time_us,bus voltage (V),I_mA`. A time without a unit is
    /// passed by. A field of watts is the power, else that of volts times that of amperes; two of a kind are refused.
    fn from_str(header: &str) -> Result<Self, LayoutError> {
        let columns: Vec<_> = fields(header).map(column).collect();
        let count = |wanted: fn(&Column) -> bool| columns.iter().filter(|column| wanted(column)).count();
        let watts = count(|column| matches!(column, Column::Watts(_)));
        let volts = count(|column| matches!(column, Column::Volts(_)));
        let amperes = count(|column| matches!(column, Column::Amperes(_)));
        let header = || header.to_owned();
        let several = |what| Err(LayoutError::Several { header: header(), what });
        match (watts, volts, amperes) {
            (1, ..) | (0, 1, 1) => Ok(Self { header: header(), columns }),
            (2.., ..) => several("watts"),
            (0, 0, _) | (0, _, 0) => Err(LayoutError::NoPower { header: header() }),
            (0, 2.., _) => several("volts"),
            (0, ..) => several("amperes"),
        }
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
                text.parse::<f64>().ok().map(|number| number * unit).filter(|number| number.abs() <= MOST)
            else {
                rejected.number += 1;
                return None;
            };
            slot.get_or_insert(number);
        }
        let watts = watts.or_else(|| Some(volts? * amperes?)).filter(|watts| watts.abs() <= MOST_W);
        rejected.number += u64::from(watts.is_none());
        Some(Row { time_s, watts: watts? })
    }
}

/// No field means more: not a power, and not a time, which counts from 1970 at the earliest.
const MOST: f64 = 1e12;

/// Takes bytes apart into samples.
#[derive(Clone, Debug, Default)]
pub struct Parser {
    lines: Lines,
    layout: Option<Layout>,
    /// Somebody knows better than headers.
    told: bool,
    refused: Option<LayoutError>,
    rejected: RejectedLines,
}

impl Parser {
    /// A parser of lines as `layout` has them, or as the first header says.
    #[must_use]
    pub fn new(layout: Option<Layout>) -> Self {
        Self { told: layout.is_some(), layout, ..Self::default() }
    }

    /// Why the last header that was refused could not be used.
    #[must_use]
    pub fn refused(&self) -> Option<&LayoutError> {
        self.refused.as_ref()
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
        // A device that was reset prints its header again. Noise has letters too, and is no text.
        let is_text =
            !line.contains(|one: char| one.is_control() && one != '\t' || one == char::REPLACEMENT_CHARACTER);
        let header = is_text && line.starts_with(|character: char| character.is_alphabetic());
        let header: Option<Result<Layout, LayoutError>> = header.then(|| line.parse());
        match (&self.layout, header) {
            (None, Some(Ok(layout))) => self.layout = Some(layout),
            (None, refused) => {
                self.rejected.before_header += 1;
                self.refused = refused.and_then(Result::err).or(self.refused.take());
            }
            // What a user said holds, whatever the header; and a device does not change its mind.
            (Some(_), Some(Ok(_))) if self.told => {}
            (Some(layout), Some(Ok(again))) if layout.columns == again.columns => {}
            (Some(layout), _) => return layout.read(line, &mut self.rejected),
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
        assert_eq!(columns("shunt_mV,W,bus_V").unwrap()[1], Watts(1.0), "watts need no volts");
        for (header, what) in
            [("cpu_W,board_W", "watts"), ("shunt_mV,bus_V,mA", "volts"), ("V,cpu_A,board_A", "amperes")]
        {
            let several = LayoutError::Several { header: header.to_owned(), what };
            assert_eq!(header.parse::<Layout>(), Err(several));
        }
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
    fn a_later_header_changes_nothing() {
        let mut told = Parser::new(Some("V,mA".parse().unwrap()));
        assert_eq!(told.feed(b"time_s,W\n5,1000\nlog: 3 A\n5,1000\n").len(), 2);
        let mut read = Parser::default();
        assert_eq!(read.feed(b"V,mA\n5,1000\nmA,V\n5,1000\n")[1].watts, 5.0);
        assert_eq!(read.rejected().total(), 1);
    }

    #[test]
    fn power_that_cannot_be_is_no_sample() {
        let mut parser = Parser::new(Some("W".parse().unwrap()));
        assert!(Parser::new(Some("time_s,W".parse().unwrap())).feed(b"1e300,5\n-1e300,5\n").is_empty());
        assert!(parser.feed(b"1e39\n1e300\n-1e5\ninf\nnan\n10001\n").is_empty());
        assert_eq!(parser.rejected().number, 6);
    }

    #[test]
    fn noise_is_no_header() {
        let mut parser = Parser::default();
        assert!(parser.feed(b"x\xff\xfe W\nq\x01,W\n5\n5,5\n").is_empty());
        assert_eq!(parser.rejected().before_header, 4);
        assert!(parser.layout().is_none());
    }

    #[test]
    fn a_header_that_comes_again_is_no_sample() {
        let mut parser = Parser::default();
        assert_eq!(parser.feed(b"W\n1\nW\n2\n").len(), 2);
        assert_eq!(parser.rejected(), RejectedLines::default());
    }
}
