//! `offramp board meter`: the energy of a while, or of a command.

use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use offramp_firmware_host::csv::{CsvMeter, Layout};
use offramp_firmware_host::{EdgeSource, Edges, Measurement, Recorder, Settings};
use offramp_runtime::meter::{Joules, Meter as _, Reading, Watts};
use serde_json::json;

use super::PORT;
use crate::ports::PortFlag;
use crate::status::Status;
use crate::{interrupt, output, quantities};

/// Measure the energy of some seconds, or of a command, with a meter on a serial line
#[derive(Args)]
#[command(after_help = "Examples:\n  offramp board meter /dev/ttyACM0 --seconds 10\n  \
                        offramp board meter 0483:5740 -- ./my-benchmark --once\n  \
                        offramp board meter /dev/ttyACM0 --every 60 --json >> night.jsonl\n  \
                        offramp board meter /dev/ttyUSB0@115200 --csv time_ms,V,mA --seconds 5")]
pub struct Meter {
    /// The port (--help tells what it may be)
    #[arg(value_name = "PORT[@BAUD]", long_help = PORT)]
    port: PortFlag,
    /// How long [default: 10, with --every until it is interrupted]
    #[arg(long, value_name = "S", value_parser = quantities::seconds)]
    seconds: Option<Duration>,
    /// Tell the energy of every S seconds when they are over, one window after the other, a line each
    #[arg(long, value_name = "S", value_parser = quantities::interval, conflicts_with_all = ["csv", "command"])]
    every: Option<Duration>,
    /// The meter prints lines; their fields with their units, - for those that do not count, unless a header names them
    #[arg(long, value_name = "FIELD,..", num_args = 0..=1, allow_hyphen_values = true)]
    csv: Option<Option<Layout>>,
    /// What the ends of the window are taken from
    #[arg(long, value_enum, default_value = "best", conflicts_with = "csv")]
    edges: Ends,
    /// Measure the sum of these rails; needed where the device has several
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', conflicts_with = "csv")]
    rail: Vec<String>,
    /// Samples per second; the device's own number without
    #[arg(long, value_name = "HZ", value_parser = quantities::sampling, conflicts_with = "csv")]
    rate: Option<f64>,
    /// Print one JSON object; what COMMAND prints goes to stderr
    #[arg(long)]
    json: bool,
    /// Measure while this runs; its status is ours
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "seconds")]
    command: Vec<String>,
}

/// Ends of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Ends {
    /// The wire where it had edges, else marks or clocks, whichever is surer
    Best,
    /// Edges of a wire that the device sees
    Line,
    /// Marks over the serial line
    Serial,
    /// The aligned clocks
    Clock,
}

impl From<Ends> for Edges {
    fn from(ends: Ends) -> Self {
        match ends {
            Ends::Best => Self::Best,
            Ends::Line => Self::Line,
            Ends::Serial => Self::Serial,
            Ends::Clock => Self::Clock,
        }
    }
}

impl Meter {
    pub fn run(self) -> anyhow::Result<Status> {
        if let Some(layout) = &self.csv {
            let mut meter = CsvMeter::open(self.port.connect(), layout.clone())?;
            meter.start()?;
            let status = self.load()?;
            let reading = meter.stop()?;
            self.print_lines(&reading)?;
            return Ok(status);
        }
        let rate_millihz =
            self.rate.map_or(0, |hz| (hz * 1e3).round().clamp(1.0, f64::from(u32::MAX)) as u32);
        let (edges, rails) = (self.edges.into(), self.rail.clone());
        let settings = Settings { edges, rails, rate_millihz, ..Settings::default() };
        let recorder = Recorder::open(self.port.connect(), settings)?;
        if let Some(every) = self.every {
            return self.windows(&recorder, every);
        }
        let window = recorder.begin();
        let status = self.load()?;
        let found = recorder.end(window)?;
        self.print(&found)?;
        Ok(status)
    }

    /// One window after the other. What was printed stays, whatever becomes of this process.
    fn windows(&self, recorder: &Recorder, every: Duration) -> anyhow::Result<Status> {
        let (interrupt, interrupted) = channel();
        interrupt::instead(move || {
            // Whoever waited has gone.
            let _gone = interrupt.send(());
        });
        let begin = Instant::now();
        let (mut window, mut due) = (recorder.begin(), every);
        loop {
            let over = self.seconds.is_some_and(|end| due >= end);
            let until = self.seconds.map_or(due, |end| due.min(end)).saturating_sub(begin.elapsed());
            let stopped = interrupted.recv_timeout(until) != Err(RecvTimeoutError::Timeout);
            let t_s = begin.elapsed().as_secs_f64();
            let (found, next) = recorder.next(window);
            // One that waited for a device that has left takes the time of those behind it.
            window = next;
            let passed = begin.elapsed().saturating_sub(due).as_nanos() / every.as_nanos().max(1) + 1;
            due = due.saturating_add(every.saturating_mul(u32::try_from(passed).unwrap_or(u32::MAX)));
            if self.json {
                let why = found.as_ref().err().map(ToString::to_string);
                output::json_line(&json!({"t_s": t_s, "measured": found.ok(), "why": why}))?;
            } else {
                output::text(match found {
                    Ok(found) if !found.is_whole() => format!(
                        "{t_s:9.3} s  {} in {:.6} s, {} gaps, {:.6} s without samples",
                        Joules(found.energy_j),
                        found.window_s,
                        found.gaps,
                        found.missing_s
                    ),
                    Ok(found) => {
                        format!("{t_s:9.3} s  {} in {:.6} s", Joules(found.energy_j), found.window_s)
                    }
                    Err(error) => format!("{t_s:9.3} s  not measured: {error}"),
                })?;
            }
            if over || stopped {
                return Ok(Status::Done);
            }
        }
    }

    /// What is measured. An interruption ends it early, and what was measured until then is told.
    fn load(&self) -> anyhow::Result<Status> {
        let (interrupt, interrupted) = channel();
        interrupt::instead(move || {
            // Whoever waited has gone.
            let _gone = interrupt.send(());
        });
        let Some((program, arguments)) = self.command.split_first() else {
            let bar = output::spinner("measuring");
            let length = self.seconds.unwrap_or(Duration::from_secs(10));
            let ended = interrupted.recv_timeout(length);
            bar.finish_and_clear();
            if ended.is_ok() {
                output::note("note: interrupted; what was measured until then follows");
            }
            return Ok(Status::Done);
        };
        let mut command = Command::new(program);
        command.args(arguments);
        if self.json {
            command.stdout(Stdio::from(std::io::stderr()));
        }
        let status = command.status().with_context(|| format!("cannot run {program}"))?;
        if !status.success() {
            output::note(format!(
                "note: {program} ended with {status}; its energy was measured all the same"
            ));
        }
        Ok(if status.success() { Status::Done } else { Status::Failed })
    }

    fn print(&self, found: &Measurement) -> anyhow::Result<()> {
        let power = found.energy_j / (found.window_s - found.missing_s).max(f64::MIN_POSITIVE);
        if self.json {
            return output::json(&json!({"schema_version": 1, "measured": found, "mean_w": power}));
        }
        let ends = match found.edges {
            EdgeSource::Line => "edges of the wire",
            EdgeSource::Serial => "marks over the line",
            EdgeSource::Clock => "the aligned clocks",
        };
        let mut lines = vec![
            format!("{} in {:.6} s, mean {}", Joules(found.energy_j), found.window_s, Watts(power)),
            format!(
                "ends by {ends}, within {:.1} us, {}; a step of the sensor is {}; {} samples",
                found.edge_error_s * 1e6,
                Joules(found.edge_error_j),
                Joules(found.step_j),
                found.samples
            ),
        ];
        if !found.is_whole() {
            lines.push(format!(
                "{} gaps, {:.6} s without samples, not in the energy; the device's clock began {} times",
                found.gaps, found.missing_s, found.epochs
            ));
        }
        if let Some(clock) = found.alignment {
            lines.push(format!(
                "clocks: {:+.2} ppm (+- {:.2}), residual {:.1} us, worst {:.1} us, {} exchanges",
                clock.skew_ppm,
                clock.skew_error_ppm,
                clock.residual_s * 1e6,
                clock.worst_residual_s * 1e6,
                clock.exchanges
            ));
        }
        output::text(lines.join("\n"))
    }

    fn print_lines(&self, found: &Reading) -> anyhow::Result<()> {
        if self.json {
            return output::json(&json!({"schema_version": 1, "measured": found}));
        }
        let energy = match &found.energy {
            Ok(energy) => format!(
                "{energy}, mean {}",
                Watts(energy.0 / found.window.as_secs_f64().max(f64::MIN_POSITIVE))
            ),
            Err(reason) => reason.to_string(),
        };
        let mut lines =
            vec![format!("{energy}; {:.3} s, {} samples", found.window.as_secs_f64(), found.samples)];
        lines.extend(found.flags.iter().map(ToString::to_string));
        output::text(lines.join("\n"))
    }
}
