//! `offramp inspect`: exits, costs and cuts of a network, without writing anything.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use offramp_exporter::inspect::{self, Inspection};
use offramp_exporter::plan::PlanOptions;
use offramp_graph::macs::Counting;
use offramp_models::Exit;
use offramp_models::tensor::Shape;
use serde_json::json;

use super::split::{NetworkFlags, explain};
use crate::backends::BackendFlags;
use crate::output;
use crate::status::Status;

/// Say which exits a network has, what each costs, what crosses the cuts, and what cannot run here.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  offramp inspect network.onnx\n  offramp inspect network.onnx --counting sdn --json"
)]
pub struct Inspect {
    /// The network: ONNX, one output per exit
    #[arg(value_name = "MODEL.onnx")]
    model: PathBuf,
    /// How arithmetic is counted: multiply-adds, or as the Shallow-Deep Networks profiler does
    #[arg(long, value_enum, default_value_t = CountingKind::Macs)]
    counting: CountingKind,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    network: NetworkFlags,
    #[command(flatten)]
    backend: BackendFlags,
}

/// How arithmetic is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum CountingKind {
    /// One per multiply-add; grouped convolutions correctly
    Macs,
    /// Multiplications and additions as the published profiler counts them
    Sdn,
}

impl Inspect {
    pub fn run(self) -> anyhow::Result<Status> {
        let counting = match self.counting {
            CountingKind::Macs => Counting::Macs,
            CountingKind::Sdn => Counting::Sdn,
        };
        let options = PlanOptions { counting, ..self.network.options() };
        let candidates = self.backend.candidates(None)?;
        let spinner = output::spinner("inspecting");
        let inspection = inspect::inspect(&self.model, &options, &candidates.backends());
        spinner.finish_and_clear();
        let inspection = inspection.map_err(explain)?;
        if self.json {
            let mut object = json!({"schema_version": 1});
            if let (Some(object), serde_json::Value::Object(rest)) =
                (object.as_object_mut(), serde_json::to_value(&inspection)?)
            {
                object.extend(rest);
            }
            output::json(&object)?;
        } else {
            let counted = match self.counting {
                CountingKind::Macs => "MACs",
                CountingKind::Sdn => "SDN ops",
            };
            output::text(tell(&inspection, counted))?;
        }
        Ok(Status::Done)
    }
}

/// What was found; `counted` names the unit of its arithmetic.
fn tell(found: &Inspection, counted: &str) -> String {
    let mut text = String::new();
    let opsets: Vec<_> = found
        .opsets
        .iter()
        .map(|(domain, version)| format!("{}{version}", if domain.is_empty() { "opset " } else { domain }))
        .collect();
    let _ = writeln!(text, "{}: {}, SHA-256 {}", found.source.file, opsets.join(", "), found.source.sha256);
    let input = &found.input;
    let layout = if input.layout == offramp_models::Layout::Nchw { "NCHW" } else { "NHWC" };
    let (name, shape) = (&input.name, Shape(&input.shape));
    let _ =
        writeln!(text, "input \"{name}\" {} {shape} {layout}, {} classes", input.dtype, found.classes.count);
    let crossing = |exit: usize| found.cuts.get(exit).map_or(0, |cut| cut.bytes);
    let _ = writeln!(text, "{}", exit_table(&found.exits, counted, crossing));
    for cut in &found.cuts {
        let tensors: Vec<_> = cut.tensors.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "cut after {}: {}", cut.after, tensors.join(", "));
    }
    for note in &found.notes {
        let _ = writeln!(text, "note: {note}");
    }
    for row in &found.unsupported {
        let (backend, segment, why) = (&row.backend, row.segment, &row.why);
        let _ =
            writeln!(text, "unsupported: segment {segment} on {} {}: {why}", backend.name, backend.provider);
    }
    text.trim_end().to_owned()
}

/// Exits with cost, in units of `counted`, parameters and the bytes per image that cross the cut behind each.
pub fn exit_table(exits: &[Exit], counted: &str, crossing: impl Fn(usize) -> u64) -> String {
    let mut text = format!(
        "{:>4}  {:<24} {:>12} {:>8} {:>10} {:>12}",
        "exit", "name", counted, "share", "params", "cut bytes"
    );
    for exit in exits {
        let (index, name) = (exit.index, &exit.name);
        let (macs, share, params) = (exit.macs, exit.macs_fraction, exit.params);
        let _ = write!(
            text,
            "\n{index:>4}  {name:<24} {macs:>12} {share:>8.3} {params:>10} {:>12}",
            crossing(index)
        );
    }
    text
}
