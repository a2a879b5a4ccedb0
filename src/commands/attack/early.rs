//! The pieces of the Early Attack in which its paper, its code and the improved mode differ.

use clap::{Args, ValueEnum};
use offramp_study::attack::{Distance, EarlyStart, Keep};
use offramp_study::loss::{EarlyExits, Rivals};
use offramp_study::method::Method;

use crate::quantities;

/// Pieces of the Early Attack; those left out are as in its mode.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Early Attack, piece by piece (left out: as in --mode)")]
pub struct EarlyFlags {
    /// Where the search starts
    #[arg(long, value_enum)]
    start: Option<StartKind>,
    /// How the distance from the image is taken
    #[arg(long, value_enum)]
    distance: Option<DistanceKind>,
    /// Exits that L2 of the loss sums over
    #[arg(long, value_enum)]
    loss_exits: Option<LossExits>,
    /// Labels that L1 of the loss runs over: all, or those among the first N classes
    #[arg(long, value_name = "all|N", value_parser = rivals)]
    rivals: Option<Rivals>,
    /// Which iterate is the result, the last one where none succeeds: first success, first success after N iterations, or
    /// the success nearest to the image in l2
    #[arg(long, value_name = "first|first-after=N|nearest", value_parser = str::parse::<Keep>)]
    keep: Option<Keep>,
    /// The network sees every iterate as 8 bits store it
    #[arg(long, value_name = "on|off", value_parser = switch)]
    rounding: Option<bool>,
    /// Adam's learning rate
    #[arg(long, value_name = "R", value_parser = quantities::ratio)]
    learning_rate: Option<f32>,
}

/// Starts.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum StartKind {
    /// Bright noise that has nothing of the image
    Noise,
    /// The image
    Image,
}

/// Distances.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum DistanceKind {
    /// Squared l2 of pictures normalised as in the published code
    SquaredNormalised,
    /// Squared l2 on [0, 1]
    Squared,
    /// L2 on [0, 1]
    Norm,
}

/// Exits of the loss.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum LossExits {
    /// All but the final one
    Early,
    /// The final one too
    All,
}

fn rivals(text: &str) -> Result<Rivals, &'static str> {
    if text == "all" {
        return Ok(Rivals::All);
    }
    let classes = quantities::count(text).map_err(|_| "expected all, or a whole number, 1 or more")?;
    Ok(Rivals::First(classes.get()))
}

fn switch(text: &str) -> Result<bool, &'static str> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("expected on or off"),
    }
}

impl EarlyFlags {
    /// `method` with these pieces.
    pub fn put_on(&self, method: Method) -> Method {
        let start = self.start.map(|start| match start {
            StartKind::Noise => EarlyStart::Noise,
            StartKind::Image => EarlyStart::Image,
        });
        let distance = self.distance.map(|distance| match distance {
            DistanceKind::SquaredNormalised => Distance::SquaredNormalised,
            DistanceKind::Squared => Distance::Squared,
            DistanceKind::Norm => Distance::Norm,
        });
        let loss_exits = self.loss_exits.map(|exits| match exits {
            LossExits::Early => EarlyExits::Early,
            LossExits::All => EarlyExits::All,
        });
        let Self { rivals, keep, rounding, learning_rate, .. } = *self;
        Method { start, distance, loss_exits, rivals, keep, rounding, learning_rate, ..method }
    }
}
