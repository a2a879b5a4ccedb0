//! `offramp`: split, run and measure early-exit neural networks.
//!
//! `main` parses, calls one command and turns its end into a status: 0 done, 1 failed, 2 usage,
//! 3 a requested check did not hold.

mod backends;
mod commands;
mod energy;
mod input;
mod interrupt;
mod logs;
mod meters;
mod offload;
mod output;
mod policies;
mod ports;
mod prepared;
mod provenance;
mod quantities;
mod results;
mod status;
mod trace;
mod workload;

use std::process::ExitCode;

use clap::Parser;

use crate::commands::Command;
use crate::status::Status;

/// Split a trained early-exit network at its exits, run it on a device, and measure it.
#[derive(Parser)]
#[command(name = "offramp", version, propagate_version = true, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    // Before any thread exists and before ONNX Runtime loads: a field tool must not phone home.
    // SAFETY: nothing has run yet, so no other thread can touch the environment.
    backends::permit(unsafe { offramp_runtime::backend::ort::silence_telemetry() });
    let arguments = Arguments::parse();
    if let Err(error) = interrupt::listen() {
        output::note(format!(
            "note: signals are not listened to, an interruption may leave partial files: {error}"
        ));
    }
    match arguments.command.run() {
        Ok(status) => status.into(),
        Err(error) => status::explain(&error).into(),
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}
