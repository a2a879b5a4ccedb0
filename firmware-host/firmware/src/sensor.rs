//! What a meter samples.

use heapless::Vec;
use offramp_wire::{Channel, MAX_CHANNELS};

/// Gives samples at a rate of its own.
pub trait Sensor {
    /// What it samples, in the order of a sample's values.
    fn channels(&self) -> Vec<Channel, MAX_CHANNELS>;

    /// Samples per 1000 s unless told otherwise.
    fn rate_millihz(&self) -> u32;

    /// Begins to sample at `rate_millihz` samples per 1000 s, or at the nearest rate above that it can.
    ///
    /// # Errors
    /// [`SensorError::Range`] where that is too many, and what goes wrong on a bus.
    fn begin(&mut self, rate_millihz: u32, now: u32) -> Result<Begun, SensorError>;

    /// The next sample, if one is ready at `now` ticks. Called again and again while it samples.
    ///
    /// # Errors
    /// Whatever keeps a sample from being read. The sensor goes on: the sample counts as skipped.
    fn poll(&mut self, now: u32) -> Result<Option<Sample>, SensorError>;
}

/// How sampling began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Ticks in the middle of the first conversion.
    pub first: u32,
    /// Samples per 1000 s, as they will be.
    pub rate_millihz: u32,
}

/// One sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Ticks in the middle of its conversion.
    pub time: u32,
    /// Samples between the one before and this one that nobody could read.
    pub skipped: u32,
    /// Counts, a value per channel.
    pub values: Vec<i32, MAX_CHANNELS>,
}

/// What keeps a sensor from sampling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SensorError {
    /// The rate is too high.
    #[error("at most {most_millihz} samples per 1000 s")]
    Range {
        /// The most that it can, in samples per 1000 s.
        most_millihz: u32,
    },
    /// The bus says no.
    #[error("no answer on the bus")]
    Bus(embedded_hal::i2c::ErrorKind),
    /// Something else is at the address.
    #[error("no INA226 at its address")]
    Stranger {
        /// What it says of itself.
        found: u16,
    },
    /// More current than the shunt is made for: the reading is not true.
    #[error("shunt voltage out of range")]
    Clipped,
}

impl SensorError {
    /// The number that an error frame carries: 1 bus, 2 arbitration lost, 3 no acknowledgement, 4 overrun, 5 another bus
    /// error, 6 out of range; 0x10000 and above is a stranger's identity.
    #[must_use]
    pub fn code(&self) -> u32 {
        use embedded_hal::i2c::ErrorKind;
        match self {
            Self::Range { most_millihz } => *most_millihz,
            Self::Bus(ErrorKind::Bus) => 1,
            Self::Bus(ErrorKind::ArbitrationLoss) => 2,
            Self::Bus(ErrorKind::NoAcknowledge(_)) => 3,
            Self::Bus(ErrorKind::Overrun) => 4,
            Self::Bus(_) => 5,
            Self::Clipped => 6,
            Self::Stranger { found } => 0x1_0000 | u32::from(*found),
        }
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> &'static str {
        match self {
            Self::Range { .. } => "rate too high",
            Self::Bus(_) => "sensor does not answer",
            Self::Stranger { .. } => "no INA226 at its address",
            Self::Clipped => "shunt voltage out of range",
        }
    }
}
