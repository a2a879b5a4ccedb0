//! The protocol of a measurement: warm-up, idle, windows in turns, idle; then what an image costs, and how sure that is.
//!
//! Knows neither networks nor images beyond their number: a [`Load`] runs for some time and says what it did.

mod budget;
mod exits;
mod nonnegative;
mod plan;
mod session;
mod summary;

use std::error::Error;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::MeterError;

pub use budget::ErrorBudget;
pub use exits::{Coefficient, ExitFit, FitError, HeldOut, Mix};
pub use plan::Plan;
pub use session::{Event, Idle, Rejection, Session, Window, measure};
pub use summary::{Comparison, Summary, Verdict};

/// Tells the time and lets it pass.
pub trait Clock {
    /// Time since some moment, which stays the same.
    fn now(&self) -> Duration;

    /// Does nothing for `time`.
    fn sleep(&self, time: Duration);
}

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    epoch: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { epoch: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// Something that takes energy while it works.
pub trait Load {
    /// What it is called in reports.
    fn name(&self) -> &str;

    /// Works for at least `time`, images to their end.
    ///
    /// # Errors
    /// Whatever keeps it from working.
    fn run(&mut self, time: Duration) -> Result<Work, Box<dyn Error + Send + Sync>>;
}

/// What a load did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Work {
    /// Images that were answered.
    pub images: u64,
    /// How many of them stopped at each exit, the earliest first; empty where there are none.
    pub exits: Vec<u64>,
}

/// A measurement that did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The meter failed.
    #[error("the meter failed in {during}")]
    Meter {
        /// What was being measured.
        during: String,
        /// Why.
        source: MeterError,
    },
    /// The load failed.
    #[error("the load {name:?} failed")]
    Load {
        /// Which.
        name: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// There is nothing to measure.
    #[error("a measurement of no loads")]
    NoLoad,
}
