//! `offramp board sim`: a meter that is not there.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use offramp_firmware_host::sim::{Board, Faults, Simulator, Waveform};
use offramp_runtime::meter::Joules;
use serde_json::json;

use crate::status::Status;
use crate::{interrupt, output, quantities};

/// Play a power meter on a pseudo-terminal, with a power that is known and faults on request
///
/// Prints the terminal's path and runs until it is interrupted; then says how much energy there really was.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  offramp board sim --waveform square:2,8,0.01,0.3 --link /tmp/meter &\n  \
                        offramp board meter /tmp/meter --seconds 5\n  \
                        offramp board sim --drop 0.001 --skew-ppm 100 --jitter-ms 2 --unplug-every 10 --link /tmp/meter"
)]
pub struct Sim {
    /// Its power in watts: constant:W, ramp:LOW,HIGH,PERIOD, square:LOW,HIGH,PERIOD,DUTY or bursts:IDLE,PEAK
    #[arg(long, value_name = "SHAPE", default_value = "constant:5")]
    waveform: Shape,
    /// Samples per second unless the host asks for another number
    #[arg(long, value_name = "HZ", default_value = "1000", value_parser = quantities::sampling)]
    rate: f64,
    /// Measure this voltage and a current, instead of power
    #[arg(long, value_name = "V", value_parser = volts)]
    volts: Option<f64>,
    /// Speed of the line; as fast as it goes without
    #[arg(long, value_name = "BAUD", value_parser = clap::value_parser!(u32).range(300..))]
    baud: Option<u32>,
    /// Its serial number
    #[arg(long, value_name = "TEXT", default_value = "SIM-1", value_parser = serial)]
    serial: String,
    /// Chance of a byte to be lost
    #[arg(long, value_name = "P", default_value = "0", value_parser = quantities::fraction)]
    drop: f64,
    /// Chance of a byte to have a bit flipped
    #[arg(long, value_name = "P", default_value = "0", value_parser = quantities::fraction)]
    flip: f64,
    /// Chance of a byte to come twice
    #[arg(long, value_name = "P", default_value = "0", value_parser = quantities::fraction)]
    duplicate: f64,
    /// Bytes are late by up to this, each way
    #[arg(long, value_name = "MS", value_parser = quantities::milliseconds)]
    jitter_ms: Option<Duration>,
    /// How much faster its clock runs than it says
    #[arg(long, value_name = "PPM", default_value = "0", allow_negative_numbers = true, value_parser = skew)]
    skew_ppm: f64,
    /// Bytes per second that it reads
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    reads_per_s: Option<u32>,
    /// Unplug it so often, for a second
    #[arg(long, value_name = "S", value_parser = quantities::seconds)]
    unplug_every: Option<Duration>,
    /// Reset it so often
    #[arg(long, value_name = "S", value_parser = quantities::seconds)]
    reset_every: Option<Duration>,
    /// A link to the terminal, which stays when it is plugged in again
    #[arg(long, value_name = "PATH")]
    link: Option<PathBuf>,
    /// Keys everything random
    #[arg(long, value_name = "N", default_value = "1")]
    seed: u64,
    /// End after so many seconds
    #[arg(long, value_name = "S", value_parser = quantities::seconds)]
    seconds: Option<Duration>,
    /// Print JSON objects, one a line: when it is there, and at its end
    #[arg(long)]
    json: bool,
}

fn volts(text: &str) -> Result<f64, String> {
    let volts = text.parse().ok().filter(|volts| (0.1..=1000.0).contains(volts));
    volts.ok_or_else(|| "expected volts, 0.1 to 1000".to_owned())
}

fn skew(text: &str) -> Result<f64, String> {
    let skew = text.parse().ok().filter(|skew: &f64| skew.abs() <= 50_000.0);
    skew.ok_or_else(|| "expected parts in a million, -50000 to 50000".to_owned())
}

fn serial(text: &str) -> Result<String, String> {
    let most = 32;
    if text.len() <= most { Ok(text.to_owned()) } else { Err(format!("expected at most {most} bytes")) }
}

/// How long it stays unplugged.
const AWAY: Duration = Duration::from_secs(1);

/// A waveform on the command line.
#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Plain(Waveform),
    Bursts { idle_w: f64, peak_w: f64 },
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "expected constant:W, ramp:LOW,HIGH,PERIOD, square:LOW,HIGH,PERIOD,DUTY or bursts:IDLE,PEAK; watts, seconds, 0 or more"
                .to_owned()
        };
        let (kind, numbers) = text.split_once(':').ok_or_else(wrong)?;
        let numbers = numbers.split(',').map(|number| number.trim().parse::<f64>().ok());
        let numbers: Vec<f64> = numbers.collect::<Option<_>>().ok_or_else(wrong)?;
        if numbers.iter().any(|number| !(0.0..=1e6).contains(number)) {
            return Err(wrong());
        }
        Ok(match (kind, numbers.as_slice()) {
            ("constant", &[watts]) => Self::Plain(Waveform::Constant(watts)),
            ("ramp", &[low_w, high_w, period_s]) if period_s > 0.0 => {
                Self::Plain(Waveform::Ramp { low_w, high_w, period_s })
            }
            ("square", &[low_w, high_w, period_s, duty]) if period_s > 0.0 && duty <= 1.0 => {
                Self::Plain(Waveform::Square { low_w, high_w, period_s, duty })
            }
            ("bursts", &[idle_w, peak_w]) if idle_w <= peak_w => Self::Bursts { idle_w, peak_w },
            _ => return Err(wrong()),
        })
    }
}

impl Sim {
    pub fn run(self) -> anyhow::Result<Status> {
        let board = self.board();
        let where_to =
            self.link.as_ref().map_or("a pseudo-terminal".to_owned(), |link| link.display().to_string());
        let simulator =
            Simulator::start(board, None).with_context(|| format!("cannot play a board on {where_to}"))?;
        let begin = Instant::now();
        let (end, ended) = channel();
        interrupt::instead(move || {
            // Whoever waited has gone.
            let _gone = end.send(());
        });
        if self.json {
            output::json_line(&json!({"listening": simulator.path()}))?;
        } else {
            output::text(simulator.path().display())?;
        }
        let mut unplugged: Option<Instant> = None;
        let (mut plugged, mut reset) = (begin, begin);
        loop {
            let over = self.seconds.is_some_and(|end| begin.elapsed() >= end);
            if over || ended.recv_timeout(Duration::from_millis(20)) != Err(RecvTimeoutError::Timeout) {
                break;
            }
            if unplugged.is_some_and(|since| since.elapsed() >= AWAY) {
                simulator.plug();
                (unplugged, plugged) = (None, Instant::now());
            }
            if unplugged.is_none() && self.unplug_every.is_some_and(|every| plugged.elapsed() >= every) {
                simulator.unplug();
                unplugged = Some(Instant::now());
            }
            if unplugged.is_none() && self.reset_every.is_some_and(|every| reset.elapsed() >= every) {
                simulator.reset();
                reset = Instant::now();
            }
        }
        let now = Instant::now();
        let (energy, seconds) = (simulator.energy_between(begin, now), (now - begin).as_secs_f64());
        if self.json {
            output::json_line(&json!({"energy_j": energy, "seconds": seconds}))?;
        } else {
            output::note(format!("{} in {seconds:.3} s", Joules(energy)));
        }
        Ok(Status::Done)
    }

    fn board(&self) -> Board {
        let millihz = (self.rate * 1e3).round().clamp(1.0, f64::from(u32::MAX)) as u32;
        let usual = Board::default();
        Board {
            waveform: match &self.waveform {
                Shape::Plain(waveform) => waveform.clone(),
                // Long enough that nobody sees it come again.
                Shape::Bursts { idle_w, peak_w } => Waveform::bursts(*idle_w, *peak_w, 600.0, self.seed),
            },
            rate_millihz: millihz,
            most_millihz: usual.most_millihz.max(millihz),
            volts: self.volts,
            baud: self.baud,
            serial: self.serial.clone(),
            faults: Faults {
                drop: self.drop,
                flip: self.flip,
                duplicate: self.duplicate,
                jitter: self.jitter_ms.unwrap_or_default(),
                skew_ppm: self.skew_ppm,
                reads_per_s: self.reads_per_s,
            },
            seed: self.seed,
            link: self.link.clone(),
            ..usual
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_read_as_they_are_written_and_nonsense_is_refused() {
        assert_eq!("constant:5".parse(), Ok(Shape::Plain(Waveform::Constant(5.0))));
        assert_eq!("bursts:1,4".parse(), Ok(Shape::Bursts { idle_w: 1.0, peak_w: 4.0 }));
        assert!("square:2, 8,0.01,0.5".parse::<Shape>().is_ok() && "ramp:1,2,3".parse::<Shape>().is_ok());
        for wrong in [
            "",
            "constant",
            "constant:",
            "constant:-1",
            "constant:inf",
            "ramp:1,2,0",
            "square:1,2,1,2",
            "bursts:4,1",
            "sine:1",
        ] {
            assert!(wrong.parse::<Shape>().is_err(), "{wrong}");
        }
    }
}
