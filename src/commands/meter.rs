//! `offramp meter`: what measures energy here.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use offramp_firmware_host::list_ports;
use offramp_models::Causes;
use offramp_runtime::meter::source::{self, Kind};
use offramp_runtime::meter::{Description, Glance, Meter, MeterError, Quantity, Rail, Sampler, Sampling};
use serde_json::{Value, json};

use crate::meters::{MeterChoice, MeterFlags, covers};
use crate::status::{Status, hint};
use crate::{output, quantities};

/// See what measures energy on this machine
#[derive(Subcommand)]
pub enum Meters {
    List(List),
    Watch(Watch),
}

impl Meters {
    pub fn run(self) -> anyhow::Result<Status> {
        match self {
            Self::List(list) => list.run(),
            Self::Watch(watch) => watch.run(),
        }
    }
}

/// List energy sources, what each covers, and why the others cannot be used
#[derive(Args)]
#[command(after_help = "Examples:\n  offramp meter list\n  offramp meter list --sysfs-root board/sys --json")]
pub struct List {
    /// Look for on-board sources in this folder instead of /sys
    #[arg(long, value_name = "DIR", value_parser = quantities::folder)]
    sysfs_root: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl List {
    fn run(self) -> anyhow::Result<Status> {
        let host = self.sysfs_root.map_or_else(source::Host::here, source::Host::at);
        let sources = sources(&host);
        let ports = list_ports(false).unwrap_or_default();
        if self.json {
            let auto = sources.iter().find(|source| source["auto"] == true).map(|source| &source["source"]);
            output::json(&json!({
                "schema_version": 1, "sources": sources, "auto": auto, "ports": ports,
            }))?;
            return Ok(Status::Done);
        }
        let mut lines: Vec<String> = sources.iter().map(tell).collect();
        for port in ports {
            let name = port.by_id.as_ref().unwrap_or(&port.path).display();
            let product = port.product.as_deref().unwrap_or("a USB device");
            lines.push(format!(
                "serial:{name}  {product}; `offramp board monitor` tells whether it is a meter"
            ));
        }
        output::text(lines.join("\n"))?;
        Ok(Status::Done)
    }
}

/// Every kind of on-board source of `host`: what it covers and its power now, or why it cannot be used.
pub fn sources(host: &source::Host) -> Vec<Value> {
    let auto = source::choose(host).ok().map(|choice| choice.kind);
    let one = |(kind, found): (Kind, Result<source::Found, MeterError>)| match found {
        Ok(found) => match glance(found) {
            Ok((description, glances)) => {
                json!({"source": kind, "usable": true, "auto": auto == Some(kind), "meter": description, "now": glances})
            }
            Err(error) => refused(kind, &error),
        },
        Err(error) => refused(kind, &error),
    };
    source::list(host).into_iter().map(one).collect()
}

fn refused(kind: Kind, error: &MeterError) -> Value {
    let why = match error {
        MeterError::NotMeasured(reason) => reason.why.clone(),
        other => Causes(other).to_string(),
    };
    json!({"source": kind, "usable": false, "auto": false, "why": why, "remedy": error.remedy()})
}

/// The power of every rail now; counters tell theirs from two looks.
fn glance(found: source::Found) -> Result<(Description, Vec<Glance>), MeterError> {
    let counts = found.description.rails.iter().any(|rail| rail.quantity == Quantity::Counter);
    let mut sampler = Sampler::new(found, Sampling::default())?;
    let mut glances = sampler.glance()?;
    if counts {
        std::thread::sleep(Duration::from_millis(250));
        glances = sampler.glance()?;
    }
    Ok((sampler.description().clone(), glances))
}

/// One source for people, rail by rail.
pub fn tell(source: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = word(&source["source"]);
    if source["usable"] != true {
        let remedy = source["remedy"].as_str().map_or_else(String::new, |remedy| format!("; {remedy}"));
        return format!("{name:<6} {}{remedy}", word(&source["why"]));
    }
    let meter = &source["meter"];
    let auto = if source["auto"] == true { ", taken by auto" } else { "" };
    let mut text = match meter["total"]["domain"].as_str() {
        Some(domain) => format!("{name:<6} {domain} ({}){auto}", word(&meter["total"]["source"])),
        None => format!("{name:<6} no total: {}{auto}", word(&meter["total"]["why"])),
    };
    let rails = meter["rails"].as_array().map(Vec::as_slice).unwrap_or_default();
    let now = source["now"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (rail, now) in rails.iter().zip(now) {
        let power = match now["power_w"].as_f64() {
            Some(watts) => format!("{watts:.3} W"),
            None => "no power now".to_owned(),
        };
        let within = rail["within"].as_str().map_or_else(String::new, |whole| format!(", within {whole}"));
        text += &format!("\n       {:<24} {power:>12}{within}", word(&rail["name"]));
    }
    text
}

/// Show the power of every rail, again and again
#[derive(Args)]
#[command(
    after_help = "Examples:\n  offramp meter watch\n  offramp meter watch --meter serial:/dev/ttyACM0 --seconds 10 --json"
)]
pub struct Watch {
    /// Milliseconds between lines
    #[arg(long, value_name = "MS", default_value = "500", value_parser = quantities::milliseconds)]
    every: Duration,
    /// End after so many seconds
    #[arg(long, value_name = "S", value_parser = quantities::seconds)]
    seconds: Option<Duration>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    meter: MeterFlags,
}

impl Watch {
    fn run(self) -> anyhow::Result<Status> {
        let mut meter = self
            .meter
            .open(&MeterChoice::Auto)?
            .map_err(|reason| hint(anyhow::Error::new(reason), "`offramp meter list` tells what there is"))?;
        let (started, mut shown) = (Instant::now(), 0);
        // A counter's first look gives nothing.
        let _first = meter.glance()?;
        loop {
            std::thread::sleep(self.every);
            let glances = meter.glance()?;
            let at = started.elapsed();
            if self.json {
                output::json_line(&json!({"t_s": at.as_secs_f64(), "rails": glances}))?;
            } else {
                shown = self.show(meter.description(), at, &glances, shown)?;
            }
            if self.seconds.is_some_and(|end| at >= end) {
                return Ok(Status::Done);
            }
        }
    }

    /// Shows one look, over the `shown` lines of the one before where a person looks on; how many lines it took.
    fn show(
        &self,
        meter: &Description,
        at: Duration,
        glances: &[Glance],
        shown: usize,
    ) -> anyhow::Result<usize> {
        let power = |glance: &Glance| match &glance.power {
            Ok(watts) => format!("{:.3} W", watts.0),
            Err(_) => "-".to_owned(),
        };
        if !io::stdout().is_terminal() {
            let rails = glances.iter().map(|glance| format!("{} {}", glance.name, power(glance)));
            let line = format!("{:.2} s  {}", at.as_secs_f64(), rails.collect::<Vec<_>>().join("  "));
            return output::text(line).map(|()| 0);
        }
        let bar = |rail: &Rail, glance: &Glance| {
            let watts = glance.power.as_ref().map_or(0.0, |watts| watts.0.max(0.0));
            let most = glances
                .iter()
                .filter_map(|other| other.power.as_ref().ok())
                .fold(1.0, |most: f64, w| most.max(w.0));
            let length = (watts / most * 40.0).round() as usize;
            let counted = meter.total.as_ref().is_ok_and(|rule| rule.rails.contains(&rail.name));
            format!(
                "{}{:<24} {:>10}  {}",
                if counted { '*' } else { ' ' },
                rail.name,
                power(glance),
                "#".repeat(length)
            )
        };
        let mut lines = vec![format!("{:.1} s  {}", at.as_secs_f64(), covers(meter))];
        lines.extend(meter.rails.iter().zip(glances).map(|(rail, glance)| bar(rail, glance)));
        // Up and clear to the end of the screen.
        let back = if shown > 0 { format!("\u{1b}[{shown}A\u{1b}[J") } else { String::new() };
        write!(io::stdout(), "{back}")?;
        output::text(lines.join("\n"))?;
        Ok(lines.len())
    }
}
