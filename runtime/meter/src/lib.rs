//! Energy: joules over a window, with what they cover, how finely they resolve, and what makes them doubtful.
//!
//! A meter never knows what runs while it measures; energy per image is attributed by whoever does. What is not
//! measured is absent and says why; it is never zero. Domains that overlap are never added.

mod description;
mod error;
mod flag;
mod none;
pub mod probe;
pub mod protocol;
mod reading;
mod recorder;
mod sampler;
pub mod source;
pub mod state;
pub mod statistics;
mod total;
mod units;

pub use description::{Description, Quantity, Rail};
pub use error::{MeterError, NotMeasured};
pub use flag::Flag;
pub use none::NoMeter;
pub use reading::{Cost, Glance, Overhead, RailReading, Reading};
pub use recorder::Recorder;
pub use sampler::{Sampler, Sampling};
pub use total::{TotalError, TotalRule};
pub use units::{Joules, Watts};

/// Measures energy over windows of time.
pub trait Meter {
    /// What the meter covers: its rails, what their total is, how fast and how finely it tells.
    fn description(&self) -> &Description;

    /// Measures what measuring itself costs. Takes seconds; no window may be open.
    ///
    /// # Errors
    /// [`MeterError`] when the source cannot be read, or a window is open.
    fn calibrate(&mut self) -> Result<Overhead, MeterError>;

    /// Opens a window; an open one is dropped.
    ///
    /// # Errors
    /// [`MeterError`] when the source cannot be read.
    fn start(&mut self) -> Result<(), MeterError>;

    /// Closes the window.
    ///
    /// # Errors
    /// [`MeterError`] when the source cannot be read, or no window is open. A rail that gave nothing is no error: its
    /// energy is absent with the reason.
    fn stop(&mut self) -> Result<Reading, MeterError>;

    /// The power of every rail now, in the order of the description. A counter, and a device that samples by itself, tell the mean
    /// since the glance before: a counter's first glance has none, and glances closer than its new values show steps.
    ///
    /// # Errors
    /// [`MeterError`] when the source cannot be read.
    fn glance(&mut self) -> Result<Vec<Glance>, MeterError>;
}
