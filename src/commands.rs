//! The subcommands, one file each: parse, call one library function, print.

#[cfg(feature = "full")]
mod attack;
mod bench;
mod board;
mod calibrate;
mod completions;
#[cfg(feature = "full")]
mod corrupt;
mod data;
#[cfg(feature = "full")]
mod demo;
mod doctor;
#[cfg(feature = "full")]
mod export;
#[cfg(feature = "full")]
mod inspect;
mod meter;
mod prepare;
#[cfg(feature = "full")]
mod report;
mod run;
mod serve;
#[cfg(feature = "full")]
mod split;
#[cfg(feature = "full")]
mod study;
#[cfg(feature = "full")]
mod verify;

use clap::Subcommand;

use crate::status::Status;

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    #[cfg(feature = "full")]
    Inspect(inspect::Inspect),
    #[cfg(feature = "full")]
    Split(split::Split),
    #[cfg(feature = "full")]
    Verify(verify::Verify),
    #[cfg(feature = "full")]
    #[command(subcommand)]
    Export(export::Export),
    Prepare(prepare::Prepare),
    Run(run::Run),
    Serve(serve::Serve),
    Calibrate(calibrate::Calibrate),
    Bench(bench::Bench),
    #[cfg(feature = "full")]
    Attack(attack::Attack),
    #[cfg(feature = "full")]
    Corrupt(corrupt::Corrupt),
    #[cfg(feature = "full")]
    Study(study::Study),
    #[cfg(feature = "full")]
    Report(report::Report),
    #[command(subcommand)]
    Data(data::Data),
    #[command(subcommand)]
    Meter(meter::Meters),
    #[command(subcommand)]
    Board(board::Board),
    Doctor(doctor::Doctor),
    #[cfg(feature = "full")]
    Demo(demo::Demo),
    Completions(completions::Completions),
}

impl Command {
    /// Runs the subcommand.
    ///
    /// # Errors
    /// Whatever stopped it; [`crate::status::explain`] tells it.
    pub fn run(self) -> anyhow::Result<Status> {
        match self {
            #[cfg(feature = "full")]
            Self::Inspect(command) => command.run(),
            #[cfg(feature = "full")]
            Self::Split(command) => command.run(),
            #[cfg(feature = "full")]
            Self::Verify(command) => command.run(),
            #[cfg(feature = "full")]
            Self::Export(command) => command.run(),
            Self::Prepare(command) => command.run(),
            Self::Run(command) => command.run(),
            Self::Serve(command) => command.run(),
            Self::Calibrate(command) => command.run(),
            Self::Bench(command) => command.run(),
            #[cfg(feature = "full")]
            Self::Attack(command) => command.run(),
            #[cfg(feature = "full")]
            Self::Corrupt(command) => command.run(),
            #[cfg(feature = "full")]
            Self::Study(command) => command.run(),
            #[cfg(feature = "full")]
            Self::Report(command) => command.run(),
            Self::Data(command) => command.run(),
            Self::Meter(command) => command.run(),
            Self::Board(command) => command.run(),
            Self::Doctor(command) => command.run(),
            #[cfg(feature = "full")]
            Self::Demo(command) => command.run(),
            Self::Completions(command) => command.run(),
        }
    }
}
