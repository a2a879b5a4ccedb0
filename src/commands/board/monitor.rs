//! `offramp board monitor`: what a device says.

use std::io::Read as _;
use std::time::{Duration, Instant};

use clap::Args;
use offramp_firmware_host::{Recorder, Settings, Status as At};
use serde_json::json;

use super::PORT;
use crate::ports::PortFlag;
use crate::status::Status;
use crate::{output, quantities};

/// Show what a meter says of itself, and once a second how its samples come
#[derive(Args)]
#[command(
    after_help = "Examples:\n  offramp board monitor /dev/ttyACM0\n  offramp board monitor /dev/ttyUSB0@115200 --lines"
)]
pub struct Monitor {
    /// The port (--help tells what it may be)
    #[arg(value_name = "PORT[@BAUD]", long_help = PORT)]
    port: PortFlag,
    /// Show the sum of these rails; needed where the device has several
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', conflicts_with = "lines")]
    rail: Vec<String>,
    /// Show lines of text as they come, of a device that speaks another language
    #[arg(long)]
    lines: bool,
    /// End after so many seconds
    #[arg(long, value_name = "S", value_parser = quantities::seconds)]
    seconds: Option<Duration>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

impl Monitor {
    pub fn run(self) -> anyhow::Result<Status> {
        if self.lines { self.text() } else { self.meter() }
    }

    fn meter(&self) -> anyhow::Result<Status> {
        let settings = Settings { rails: self.rail.clone(), ..Settings::default() };
        let recorder = Recorder::open(self.port.connect(), settings)?;
        if let Some(hello) = recorder.hello() {
            let channels: Vec<_> = hello.channels.iter().map(|channel| channel.label.to_string()).collect();
            let (name, serial) = (hello.name.to_string(), hello.serial.to_string());
            if self.json {
                output::json_line(&json!({
                    "hello": {"name": name, "serial": serial, "tick_hz": hello.tick_hz, "channels": channels,
                              "rate_hz": f64::from(hello.rate_millihz) / 1e3},
                }))?;
            } else {
                output::text(format!(
                    "{name} {serial}: {}, {} Hz, ticks of {:.3} us",
                    channels.join(" "),
                    f64::from(hello.rate_millihz) / 1e3,
                    1e6 / f64::from(hello.tick_hz.max(1))
                ))?;
            }
        }
        let begin = Instant::now();
        let mut before = recorder.samples();
        let mut shown = Instant::now();
        loop {
            let left = self.seconds.map(|end| end.saturating_sub(begin.elapsed()));
            std::thread::sleep(left.map_or(Duration::from_secs(1), |left| left.min(Duration::from_secs(1))));
            let mean = recorder.mean_w().ok();
            let (now, counts, at) = (recorder.samples(), recorder.counts(), recorder.status());
            let rate = now.0.saturating_sub(before.0) as f64 / shown.elapsed().as_secs_f64();
            (before, shown) = (now, Instant::now());
            let alignment = recorder.alignment();
            let (watts, t_s) = (mean, begin.elapsed().as_secs_f64());
            let (recording, why) = match &at {
                At::Recording => (true, None),
                At::Waiting(why) | At::Failed(why) => (false, Some(why)),
            };
            if self.json {
                output::json_line(&json!({
                    "t_s": t_s, "recording": recording, "why": why, "samples_per_s": rate, "power_w": watts,
                    "samples": now.0, "lost": now.1, "overruns": recorder.overruns(), "corrupt": counts.rejected.total(),
                    "alignment": alignment,
                }))?;
            } else {
                let power = watts.map_or("-".to_owned(), |watts| format!("{watts:.4} W"));
                let clock = alignment.map_or("clock not aligned yet".to_owned(), |clock| {
                    format!("clock {:+.1} ppm, residual {:.0} us", clock.skew_ppm, clock.residual_s * 1e6)
                });
                let line = match why {
                    None => format!(
                        "{t_s:6.1} s  {power:>12}  {rate:8.1} samples/s  {} lost  {} corrupt  {clock}",
                        now.1,
                        counts.rejected.total()
                    ),
                    Some(why) => format!("{t_s:6.1} s  waiting: {why}"),
                };
                output::text(line)?;
            }
            if let At::Failed(why) = at {
                anyhow::bail!("{} has ended: {why}", self.port);
            }
            if left.is_some_and(|left| left <= Duration::from_secs(1)) {
                return Ok(Status::Done);
            }
        }
    }

    fn text(&self) -> anyhow::Result<Status> {
        let mut port = self.port.open(Duration::from_millis(100))?;
        let (begin, mut bytes, mut line) = (Instant::now(), [0; 512], Vec::new());
        loop {
            match port.read(&mut bytes) {
                Ok(0) => return Ok(Status::Done),
                Ok(count) => {
                    for byte in &bytes[..count] {
                        if *byte != b'\n' && line.len() < 4096 {
                            line.push(*byte);
                            continue;
                        }
                        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                        line.clear();
                        let t_s = begin.elapsed().as_secs_f64();
                        if self.json {
                            output::json_line(&json!({"t_s": t_s, "line": text}))?;
                        } else {
                            output::text(format!("{t_s:9.3} s  {text}"))?;
                        }
                    }
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock
                    ) => {}
                Err(error) => {
                    return Err(anyhow::Error::new(error).context(format!("cannot read from {}", self.port)));
                }
            }
            if self.seconds.is_some_and(|end| begin.elapsed() >= end) {
                return Ok(Status::Done);
            }
        }
    }
}
