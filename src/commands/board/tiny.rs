//! `offramp board tiny`: MLPerf Tiny's modes.

use std::time::Duration;

use clap::{Args, ValueEnum};
use offramp_firmware_host::tiny::{self, Host, HostSettings, Plan};
use offramp_firmware_host::{Edges, Port, Recorder, Settings};
use offramp_models::dataset::{self, Chw, DataRef, OpenOptions, Picture, Samples};
use serde_json::{Value, json};

use super::PORT;
use crate::input::DATA;
use crate::ports::PortFlag;
use crate::status::{Status, hint, usage};
use crate::{output, quantities};

/// Drive a device that speaks MLPerf Tiny's protocol: throughput, accuracy or energy
///
/// Pictures go as uint8, row by row, channels last, which is what the benchmark's image classification takes; their size must be the
/// device's.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  offramp board tiny /dev/ttyACM0@115200 --mode performance --input test.npz\n  \
                        offramp board tiny /dev/ttyACM0@115200 --mode energy --input test.npz --meter /dev/ttyACM1"
)]
pub struct Tiny {
    /// The device's port (--help tells what it may be)
    #[arg(value_name = "PORT[@BAUD]", long_help = PORT)]
    port: PortFlag,
    /// What is measured
    #[arg(long, value_enum)]
    mode: Mode,
    /// Pictures: FILE.npz, FOLDER, cifar10:DIR, cifar100:DIR, tiny-imagenet:DIR or shapes:SPLIT (--help tells more)
    #[arg(long, value_name = "DATA", long_help = DATA)]
    input: DataRef,
    /// Take only the first N pictures
    #[arg(long, value_name = "N", value_parser = quantities::count)]
    limit: Option<std::num::NonZeroUsize>,
    /// For energy: a meter that speaks docs/wire.md and sees the device's wire
    #[arg(long, value_name = "PORT[@BAUD]")]
    meter: Option<PortFlag>,
    /// Windows, of which the median counts
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u16).range(1..=1000))]
    windows: u16,
    /// Seconds of a window at least
    #[arg(long, value_name = "S", default_value = "10", value_parser = quantities::seconds)]
    least: Duration,
    /// The device is behind an interface board
    #[arg(long)]
    through_interface: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The benchmark's modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Median inferences per second
    Performance,
    /// Share of pictures whose largest output is their label
    Accuracy,
    /// Median microjoules per inference, between the device's pulses
    Energy,
}

impl Tiny {
    pub fn run(self) -> anyhow::Result<Status> {
        let recorder = match (self.mode, &self.meter) {
            (Mode::Energy, None) => {
                return Err(usage(
                    "--mode energy needs a meter",
                    "say --meter PORT, whose wire the device pulses",
                ));
            }
            (Mode::Energy, Some(meter)) => {
                let settings = Settings { edges: Edges::Line, ..Settings::default() };
                Some(Recorder::open(meter.connect(), settings)?)
            }
            _ => None,
        };
        let images = self.images()?;
        let settings = HostSettings { through_interface: self.through_interface, ..HostSettings::default() };
        let settings = if self.through_interface {
            HostSettings { bytes_per_command: 26, ..settings }
        } else {
            settings
        };
        let port = self.port.open(Duration::from_millis(20))?;
        let mut host = Host::open(port, settings)?;
        let identity = host.identity().clone();
        output::note(format!("device: {}, model {}, {}", identity.name, identity.model, identity.profile));
        let bar = output::spinner("driving the device");
        let found = self.drive(&mut host, &images, recorder.as_ref());
        bar.finish_and_clear();
        let found = found?;
        if self.json {
            output::json(&json!({"schema_version": 1, "device": identity, "result": found}))?;
        } else {
            output::text(self.tell(&found))?;
        }
        Ok(Status::Done)
    }

    fn drive(
        &self,
        host: &mut Host<Port>,
        images: &[(Vec<u8>, Option<usize>)],
        recorder: Option<&Recorder>,
    ) -> anyhow::Result<Value> {
        let plan = Plan { windows: self.windows.into(), least: self.least, ..Plan::default() };
        let pictures =
            || images.iter().take(plan.windows).map(|(bytes, _)| bytes.clone()).collect::<Vec<_>>();
        Ok(match (self.mode, recorder) {
            (Mode::Energy, Some(mut recorder)) => {
                serde_json::to_value(tiny::energy(host, &pictures(), plan, &mut recorder)?)?
            }
            (Mode::Accuracy, _) => {
                let labelled = images.iter().map(|(bytes, label)| Some((bytes.clone(), (*label)?)));
                let labelled: Option<Vec<_>> = labelled.collect();
                let labelled = labelled.ok_or_else(|| {
                    hint(
                        anyhow::anyhow!("{} has pictures without labels", self.input),
                        "--mode accuracy needs them",
                    )
                })?;
                serde_json::to_value(tiny::accuracy(host, &labelled)?)?
            }
            _ => serde_json::to_value(tiny::performance(host, &pictures(), plan)?)?,
        })
    }

    fn images(&self) -> anyhow::Result<Vec<(Vec<u8>, Option<usize>)>> {
        let options = OpenOptions { class_names: None, limit: self.limit.map(std::num::NonZeroUsize::get) };
        let data = dataset::open(&self.input, &options)?;
        let image = |at| anyhow::Ok((channels_last(&data.image(at)?), data.label(at)));
        (0..data.len()).map(image).collect()
    }

    fn tell(&self, found: &Value) -> String {
        let list = |key: &str, digits: usize| {
            let numbers = found[key].as_array().map(Vec::as_slice).unwrap_or_default();
            let numbers = numbers.iter().filter_map(Value::as_f64);
            numbers.map(|number| format!("{number:.digits$}")).collect::<Vec<_>>().join(" ")
        };
        let exits = match found["exit_counts"].as_array() {
            Some(counts) => {
                format!("\nexits: {}", counts.iter().map(Value::to_string).collect::<Vec<_>>().join(" "))
            }
            None => String::new(),
        };
        match self.mode {
            Mode::Performance => {
                let short = if found["short"] == true { "; SHORTER WINDOWS than --least" } else { "" };
                let median = found["median"].as_f64().unwrap_or_default();
                format!("median {median:.3} inferences/s of {}{short}{exits}", list("throughputs", 3))
            }
            Mode::Accuracy => {
                let top1 = found["top1"].as_f64().unwrap_or_default() * 100.0;
                format!("top-1 {top1:.2} % ({} of {}){exits}", found["correct"], found["images"])
            }
            Mode::Energy => {
                let doubtful =
                    if found["doubtful"] == true { "; DOUBTFUL: short windows or gaps" } else { "" };
                let median = found["median_uj"].as_f64().unwrap_or_default();
                format!(
                    "median {median:.3} uJ per inference of {}{doubtful}{exits}",
                    list("per_inference_uj", 3)
                )
            }
        }
    }
}

/// A picture's bytes, row by row, channels last.
fn channels_last(picture: &Picture) -> Vec<u8> {
    let Chw { channels, height, width } = picture.shape();
    let plane = height * width;
    let byte = |at: usize| match picture.samples() {
        Samples::U8(samples) => samples.get(at).copied().unwrap_or_default(),
        Samples::F32(samples) => (samples.get(at).copied().unwrap_or_default() * 255.0).round() as u8,
    };
    (0..plane).flat_map(|at| (0..channels).map(move |channel| channel * plane + at)).map(byte).collect()
}
