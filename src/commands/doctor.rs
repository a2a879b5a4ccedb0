//! `offramp doctor`: what this machine can run, and why not more.

use clap::Args;
use offramp_models::Causes;
use offramp_runtime::backend::ort::{self, OrtBackend, Provider};
use offramp_runtime::backend::processor::Processor;
use offramp_runtime::backend::tract::TractBackend;
use offramp_runtime::backend::{Backend, GraphSource, Origin, RunnerOptions};
use offramp_runtime::meter::source;
use offramp_runtime::meter::state::BoardState;
use serde_json::{Value, json};

use super::meter;
use crate::backends::{self, BackendFlags};
use crate::status::Status;
use crate::{output, quantities};

/// Say which backends, providers and energy meters work on this machine, and why not more
#[derive(Args)]
#[command(
    after_help = "Example:\n  ORT_DYLIB_PATH=/opt/onnxruntime/lib/libonnxruntime.so offramp doctor --json"
)]
pub struct Doctor {
    /// Look for energy meters in this folder instead of /sys
    #[arg(long, value_name = "DIR", value_parser = quantities::folder)]
    sysfs_root: Option<std::path::PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    backend: BackendFlags,
}

/// One node: y = Relu(x), x float32 [1, 4]. ONNX IR version 8, opset 17.
const RELU: &[u8] = include_bytes!("doctor/relu.onnx");

impl Doctor {
    pub fn run(self) -> anyhow::Result<Status> {
        let places: Vec<String> =
            backends::places().iter().map(|place| place.display().to_string()).collect();
        let mut backends = Vec::new();
        let library = match self.backend.library() {
            Ok(library) => {
                let offered = library.providers();
                for provider in
                    [Provider::Cpu, Provider::Cuda, Provider::TensorRt { fp16: false, cache: None }]
                {
                    let name = format!("ort:{}", provider.name());
                    let row = if offered.iter().any(|offer| offer == provider.engine_name()) {
                        attempt(&name, &OrtBackend::new(library, provider))
                    } else {
                        json!({"backend": name, "works": false, "why": "not in this build of ONNX Runtime"})
                    };
                    backends.push(row);
                }
                json!({"path": library.path(), "version": library.version(), "providers": offered})
            }
            Err(error) => {
                let why = Causes(&error).to_string();
                backends.push(json!({"backend": "ort", "works": false, "why": why}));
                Value::Null
            }
        };
        backends.push(attempt("tract", &TractBackend::new()));
        let here = Processor::here();
        let host = self.sysfs_root.clone().map_or_else(source::Host::here, source::Host::at);
        let report = json!({
            "schema_version": 1,
            "offramp": env!("CARGO_PKG_VERSION"),
            "machine": {
                "os": std::env::consts::OS, "architecture": here.architecture, "cpu": here.brand,
                "features": here.features, "threads": here.threads,
            },
            "onnxruntime": library,
            "onnxruntime_needed": ort::needed_version(),
            "searched": places,
            "backends": backends,
            "energy": meter::sources(&host),
            "board": BoardState::read(&host),
            "sensors": source::inventory(&host).into_iter().map(|(path, text)| json!([path, text])).collect::<Vec<_>>(),
        });
        if self.json {
            output::json(&report)?
        } else {
            output::text(tell(&report))?;
            if report["onnxruntime"].is_null() {
                output::note(
                    "\nhint: set ORT_DYLIB_PATH to libonnxruntime.so, or run scripts/set-up in the checkout",
                );
            }
        }
        Ok(Status::Done)
    }
}

/// Runs one node: what loads may still not run.
fn attempt(name: &str, backend: &dyn Backend) -> Value {
    let source = GraphSource { label: "a probe of one node".to_owned(), origin: Origin::Bytes(RELU) };
    let options = RunnerOptions { host_outputs: vec!["y".to_owned()], ..RunnerOptions::default() };
    let tried = || -> Result<(), Box<dyn std::error::Error>> {
        let runner = backend.prepare(&source, &options)?;
        let input = runner.allocate(0, 1)?;
        runner.bind(&[input], 1)?.run()?;
        Ok(())
    };
    match tried() {
        Ok(()) => json!({"backend": name, "works": true, "version": backend.describe().version}),
        Err(error) => json!({"backend": name, "works": false, "why": Causes(error.as_ref()).to_string()}),
    }
}

fn tell(report: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| {
        let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
        items.iter().map(text).collect::<Vec<_>>()
    };
    let machine = &report["machine"];
    let mut lines = vec![
        format!("offramp      {}", text(&report["offramp"])),
        format!(
            "machine      {} {}, {}",
            text(&machine["os"]),
            text(&machine["architecture"]),
            text(&machine["cpu"])
        ),
        format!("threads      {}", machine["threads"]),
        format!("cpu features {}", list(&machine["features"]).join(" ")),
    ];
    match &report["onnxruntime"] {
        Value::Null => {
            let needed = text(&report["onnxruntime_needed"]);
            lines.push(format!("onnxruntime  none that serves ({needed} or newer does); looked in:"));
            lines.extend(list(&report["searched"]).iter().map(|place| format!("             {place}")));
        }
        library => {
            lines.push(format!("onnxruntime  {} at {}", text(&library["version"]), text(&library["path"])));
            lines.push(format!("providers    {}", list(&library["providers"]).join(", ")));
        }
    }
    for row in report["backends"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let verdict = match row["works"].as_bool() {
            Some(true) => format!("works ({})", text(&row["version"])),
            _ => format!("does not work: {}", text(&row["why"])),
        };
        lines.push(format!("{:<12} {verdict}", text(&row["backend"])));
    }
    let works = |name: &str| {
        let rows = report["backends"].as_array().map(Vec::as_slice).unwrap_or_default();
        rows.iter().any(|row| row["backend"] == name && row["works"] == true)
    };
    if let Some(first) = ["ort:cuda", "ort:cpu", "tract"].into_iter().find(|name| works(name)) {
        lines.push(format!("auto         takes {first}"));
    }
    lines.push("energy".to_owned());
    let sources = report["energy"].as_array().map(Vec::as_slice).unwrap_or_default();
    lines.extend(sources.iter().map(meter::tell));
    let known =
        sources.iter().any(|source| source["auto"] == true && source["meter"]["total"]["domain"].is_string());
    let sensors = report["sensors"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !known && !sensors.is_empty() {
        lines.push("no rule for a total of this board is known; please send in these lines with the board's name and release:".to_owned());
        lines.extend(sensors.iter().map(|sensor| format!("{}:{}", text(&sensor[0]), text(&sensor[1]))));
    }
    lines.join("\n")
}
