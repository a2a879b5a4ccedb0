//! Energy meters as flags name them.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use offramp_firmware_host::csv::{CsvMeter, Layout, LayoutError};
use offramp_firmware_host::{Recorder, SerialMeter, Settings};
use offramp_runtime::meter::source::{self, Found, Host, Kind, PassedOver};
use offramp_runtime::meter::{Description, Meter, NotMeasured, Sampler, Sampling};

use crate::ports::PortFlag;
use crate::status::{hint, usage};
use crate::{output, quantities};

/// What measures energy.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Energy")]
pub struct MeterFlags {
    /// Energy meter: auto, none, ina, hwmon, rapl, nvml, serial:PORT or csv:PORT [default: auto, for bench none]
    ///
    /// auto takes the best on-board source and says why not the others. ina: shunt monitors of Jetson boards; hwmon: power and energy files of the
    /// kernel; rapl: counters of x86 processors; nvml: NVIDIA's library. serial: a meter that speaks docs/wire.md, csv: one that prints
    /// lines; PORT as for `offramp board`, with @BAUD for its speed; csv:PORT#FIELD,.. names the fields of lines, - those that do not count.
    #[arg(long, value_name = "M")]
    pub meter: Option<MeterChoice>,
    /// Look for on-board sources in this folder instead of /sys
    #[arg(long, value_name = "DIR", value_parser = quantities::folder)]
    sysfs_root: Option<PathBuf>,
    /// Take the sum of these rails for the total, instead of the board's rule; a serial meter of several rails has no other
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    rail: Vec<String>,
}

/// A meter that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum MeterChoice {
    /// The best on-board source, or none.
    Auto,
    /// No meter.
    None,
    /// One kind of on-board source.
    Source(Kind),
    /// A meter that speaks our wire.
    Serial(PortFlag),
    /// A meter that prints lines, and what their fields are unless a header says.
    Csv(PortFlag, Option<Layout>),
}

impl FromStr for MeterChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(port) = text.strip_prefix("serial:") {
            return port.parse().map(Self::Serial);
        }
        if let Some(port) = text.strip_prefix("csv:") {
            let (port, layout) =
                port.rsplit_once('#').map_or((port, None), |(port, layout)| (port, Some(layout)));
            let layout = layout.map(|layout| layout.parse().map_err(|error: LayoutError| error.to_string()));
            return Ok(Self::Csv(port.parse()?, layout.transpose()?));
        }
        match text {
            "auto" => Ok(Self::Auto),
            "none" => Ok(Self::None),
            kind => kind.parse().map(Self::Source).map_err(|_| {
                "expected auto, none, ina, hwmon, rapl, nvml, serial:PORT or csv:PORT".to_owned()
            }),
        }
    }
}

impl fmt::Display for MeterChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::None => f.write_str("none"),
            Self::Source(kind) => write!(f, "{kind}"),
            Self::Serial(port) => write!(f, "serial:{port}"),
            Self::Csv(port, None) => write!(f, "csv:{port}"),
            Self::Csv(port, Some(layout)) => write!(f, "csv:{port}#{layout}"),
        }
    }
}

/// A meter, or why there is none. Whatever is asked for by name is there, or the command fails.
pub type Metering = Result<Box<dyn Meter>, NotMeasured>;

impl MeterFlags {
    /// The machine whose sources are looked at.
    pub fn host(&self) -> Host {
        self.sysfs_root.clone().map_or_else(Host::here, Host::at)
    }

    /// Opens the meter that was asked for, `unasked` where none was, and says on stderr what it covers.
    ///
    /// # Errors
    /// When a meter that was asked for by name cannot be used, or has no such rails.
    pub fn open(&self, unasked: &MeterChoice) -> anyhow::Result<Metering> {
        let choice = self.meter.as_ref().unwrap_or(unasked);
        let none_to_choose = |why: &NotMeasured| {
            let asked = self.rail.join(",");
            let error = anyhow::anyhow!("there are no rails to choose {asked} from: {}", why.why);
            if self.rail.is_empty() {
                Ok(())
            } else {
                Err(hint(error, "leave --rail out, or name a --meter that has them"))
            }
        };
        let found = match choice {
            MeterChoice::None => {
                let why = NotMeasured::energy("no meter was asked for");
                return none_to_choose(&why).map(|()| Err(why));
            }
            MeterChoice::Auto => match source::choose(&self.host()) {
                Ok(choice) => {
                    let taken = choice.found.description.total.as_ref().ok().map(|rule| &rule.domain);
                    let covers_the_same = |other: &PassedOver| matches!(&other.why, source::Reason::CoversOther { domain } if Some(domain) == taken);
                    let others = choice.passed_over.iter().filter(|other| is_news(other));
                    for other in others.filter(|other| !covers_the_same(other)) {
                        output::note(format!("meter: not {other}"));
                    }
                    choice.found
                }
                Err(passed_over) => {
                    let why = NotMeasured::energy(nothing(&passed_over));
                    return none_to_choose(&why).map(|()| Err(why));
                }
            },
            MeterChoice::Source(kind) => source::find(&self.host(), *kind)?,
            MeterChoice::Serial(port) => {
                let settings = Settings { rails: self.rail.clone(), ..Settings::default() };
                let meter = SerialMeter::new(Recorder::open(port.connect(), settings)?);
                return self.told(Box::new(meter)).map(Ok);
            }
            MeterChoice::Csv(..) if !self.rail.is_empty() => {
                return Err(usage(
                    "--rail does not go with a meter that prints lines",
                    "its lines are one rail",
                ));
            }
            MeterChoice::Csv(port, layout) => {
                return self.told(Box::new(CsvMeter::open(port.connect(), layout.clone())?)).map(Ok);
            }
        };
        let Found { mut description, probe } = found;
        if !self.rail.is_empty() {
            let names: Vec<&str> = self.rail.iter().map(String::as_str).collect();
            description.choose_total(&names)?;
        }
        let sampler = Sampler::new(Found { description, probe }, Sampling::default())?;
        self.told(Box::new(sampler)).map(Ok)
    }

    fn told(&self, meter: Box<dyn Meter>) -> anyhow::Result<Box<dyn Meter>> {
        output::note(format!("meter: {}", covers(meter.description())));
        Ok(meter)
    }
}

/// Sources that were not taken because they are not there are no news.
fn is_news(passed_over: &PassedOver) -> bool {
    !matches!(passed_over.why, source::Reason::Unusable(offramp_runtime::meter::MeterError::NotMeasured(_)))
}

/// Why `auto` found nothing; a right that is missing comes with what gives it.
fn nothing(passed_over: &[PassedOver]) -> String {
    let news: Vec<String> =
        passed_over.iter().filter(|other| is_news(other)).map(ToString::to_string).collect();
    match news.is_empty() {
        true => "this machine has no power sensor or energy counter that can be read; `offramp meter list` tells more".to_owned(),
        false => news.join("; "),
    }
}

/// What a meter covers, in a line.
pub fn covers(meter: &Description) -> String {
    let source = &meter.source;
    match &meter.total {
        Ok(rule) => format!("{source}, {} ({})", rule.domain, rule.source),
        Err(reason) => {
            let rails: Vec<&str> = meter.rails.iter().map(|rail| rail.name.as_str()).collect();
            format!("{source}, no total ({}); rails: {}", reason.why, rails.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meters_read_as_they_are_written() {
        for text in [
            "auto",
            "none",
            "ina",
            "hwmon",
            "rapl",
            "nvml",
            "serial:/dev/ttyACM0",
            "csv:/dev/ttyUSB1",
            "csv:/dev/ttyUSB1#-,W",
        ] {
            assert_eq!(text.parse::<MeterChoice>().unwrap().to_string(), text);
        }
        for wrong in ["", "INA", "serial:", "serial:ttyACM0", "csv:/dev/ttyUSB1#V", "usb"] {
            assert!(wrong.parse::<MeterChoice>().is_err(), "{wrong}");
        }
    }
}
