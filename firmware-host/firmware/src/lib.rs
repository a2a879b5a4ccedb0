//! A power meter on a microcontroller, but for the microcontroller.
//!
//! [`Meter`] takes bytes and times in and gives bytes out: it knows `docs/wire.md` and no hardware. A [`Sensor`] is an
//! [`Ina226`] on any embedded-hal I2C bus, or [`Synthetic`], whose energy is known. A board adds a clock and a UART;
//! `lm3s6965/` is one, `docs/firmware.md` tells how to write another.
//!
//! Nothing here allocates, blocks (but for the bus) or panics.
#![no_std]
#![forbid(unsafe_code)]

mod counter;
mod ina226;
mod meter;
mod outbox;
mod run;
mod sensor;
mod synthetic;

pub use counter::{COUNTER_MAX, extend};
pub use ina226::{Ina226, Shunt};
pub use meter::{Identity, Meter};
pub use sensor::{Begun, Sample, Sensor, SensorError};
pub use synthetic::{PERIOD_TICKS, Synthetic};
