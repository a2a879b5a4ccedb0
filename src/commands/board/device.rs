//! `offramp board device`: an early-exit network behind MLPerf Tiny's protocol.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use offramp_firmware_host::Stream;
use offramp_firmware_host::sim::Pty;
use offramp_firmware_host::tiny::{self, Mode};
use offramp_models::Bundle;
use offramp_runtime::policy::Fallback;
use serde_json::json;

use super::{PORT, network};
use crate::backends::BackendFlags;
use crate::policies::PolicyFlags;
use crate::ports::PortFlag;
use crate::prepared::{Device as Unshared, PreparedBundle};
use crate::status::{Status, usage};
use crate::{interrupt, output, quantities};

/// Put an early-exit network behind MLPerf Tiny's protocol, on a serial port or a pseudo-terminal
///
/// It answers `infer` with the scores of the exit where each image stopped, and three lines more: exit, exits so far, confidence. Images are
/// uint8, row by row, channels last.
#[derive(Args)]
#[command(after_help = "Examples:\n  offramp board device network.bundle --threshold 0.8\n  \
                        offramp board device network.bundle --port /dev/ttyGS0@115200")]
pub struct Device {
    /// The bundle, a folder that `split` wrote
    bundle: PathBuf,
    /// The serial port; a pseudo-terminal of its own without
    #[arg(long, value_name = "PORT[@BAUD]", long_help = PORT)]
    port: Option<PortFlag>,
    /// What the device is called
    #[arg(long, value_name = "NAME", default_value = "offramp")]
    name: String,
    /// End after so many seconds
    #[arg(long, value_name = "S", value_parser = quantities::seconds)]
    seconds: Option<Duration>,
    /// Print one JSON object on one line when it listens
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    policy: PolicyFlags,
    #[command(flatten)]
    backend: BackendFlags,
}

impl Device {
    pub fn run(self) -> anyhow::Result<Status> {
        let bundle = Bundle::open(&self.bundle)?;
        let chosen = self.policy.choose(&bundle)?;
        if chosen.file.policy.fallback == Fallback::MostConfident {
            let advice = "leave --fallback out";
            return Err(usage("a device answers with the scores of the exit where an image stops", advice));
        }
        let prepared = PreparedBundle::open(bundle, &self.backend, None, Unshared::default())?;
        let name = &prepared.bundle.manifest().name;
        let (asking, answering) = network::pair(name, &prepared.pipeline, chosen.policy.as_ref())?;
        let (mut line, path): (Box<dyn Stream>, PathBuf) = match &self.port {
            Some(port) => {
                let port = port.open(Duration::from_millis(20))?;
                let path = port.path().to_owned();
                (Box::new(port), path)
            }
            None => {
                let line = Pty::open()?;
                let path = line.path().to_owned();
                (Box::new(line), path)
            }
        };
        let ended = Arc::new(AtomicBool::new(false));
        let by_signal = Arc::clone(&ended);
        interrupt::instead(move || by_signal.store(true, Ordering::Release));
        if self.json {
            output::json_line(&json!({"listening": path}))?;
        } else {
            output::text(path.display())?;
        }
        let mut device = tiny::Device::new(asking, &self.name, Mode::Performance);
        let of_line = Arc::clone(&ended);
        let serving = std::thread::Builder::new().name("line".to_owned()).spawn(move || {
            let served = device.serve(&mut line, &of_line);
            of_line.store(true, Ordering::Release);
            served
        })?;
        let begin = std::time::Instant::now();
        answering.answer(|| {
            if self.seconds.is_some_and(|end| begin.elapsed() >= end) {
                ended.store(true, Ordering::Release);
            }
            ended.load(Ordering::Acquire)
        });
        match serving.join() {
            Ok(served) => served?,
            Err(_) => anyhow::bail!("the line's thread broke down"),
        }
        Ok(Status::Done)
    }
}
