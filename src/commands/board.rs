//! `offramp board`: microcontrollers on a serial line.

mod device;
mod kit;
mod list;
mod meter;
mod monitor;
mod network;
mod sim;
mod tiny;

use clap::Subcommand;

use crate::status::Status;

/// Work with boards on a serial line: meters, boards that run a network, a simulated one
#[derive(Subcommand)]
pub enum Board {
    List(list::List),
    Monitor(monitor::Monitor),
    Meter(meter::Meter),
    Tiny(tiny::Tiny),
    Device(device::Device),
    Sim(sim::Sim),
    Kit(kit::Kit),
}

impl Board {
    pub fn run(self) -> anyhow::Result<Status> {
        match self {
            Self::List(command) => command.run(),
            Self::Monitor(command) => command.run(),
            Self::Meter(command) => command.run(),
            Self::Tiny(command) => command.run(),
            Self::Device(command) => command.run(),
            Self::Sim(command) => command.run(),
            Self::Kit(command) => command.run(),
        }
    }
}

/// What PORT may be, for `--help`.
const PORT: &str = "\
A serial port, one of
  /dev/ttyACM0           a path, of a device or of a link to one (/dev/serial/by-id/..)
  0483:5740              a USB device by vendor and product, in hexadecimal
  0483:5740:SERIAL       the same by its serial number too; it is found again under any name
  serial=SERIAL          any device with that serial number
  auto                   the only USB port there is
@BAUD behind it is its speed, 460800 without; a device on USB does not care";
