//! The meter on an LM3S6965: the board that QEMU has (`-M lm3s6965evb`).
#![no_std]
#![no_main]

mod boot;
mod clock;
#[cfg(not(feature = "synthetic"))]
mod i2c;
mod registers;
mod uart;

use cortex_m_rt::{ExceptionFrame, entry, exception};
use offramp_firmware::{Identity, Meter};

use crate::boot::Ended;

/// Samples per 1000 s that the core has time for.
#[cfg(feature = "synthetic")]
const MOST_MILLIHZ: u32 = 10_000_000;

#[entry]
fn main() -> ! {
    if let Some(core) = cortex_m::Peripherals::take() {
        clock::begin(core.SYST);
    }
    uart::begin();
    let text = |text: &str| text.try_into().unwrap_or_default();
    let identity = Identity {
        name: text("offramp meter on LM3S6965"),
        serial: text(option_env!("OFFRAMP_SERIAL").unwrap_or("1")),
        boot: boot::number(),
        tick_hz: clock::TICK_HZ,
    };
    let mut meter = Meter::new(identity, sensor());
    if let Some((ended, at)) = boot::ended() {
        meter.confess(at, ended.text());
    }
    loop {
        while let Some((byte, at)) = uart::receive() {
            meter.receive(byte, at);
        }
        meter.sample(clock::now());
        while uart::has_room()
            && let Some(byte) = meter.next_byte(clock::now())
        {
            uart::send(byte);
        }
    }
}

#[cfg(feature = "synthetic")]
fn sensor() -> offramp_firmware::Synthetic {
    offramp_firmware::Synthetic::new(clock::TICK_HZ, MOST_MILLIHZ)
}

/// An INA226 on I2C0 with 10 mOhm. At 312 kHz reading a sample takes 460 us of bits.
#[cfg(not(feature = "synthetic"))]
fn sensor() -> offramp_firmware::Ina226<i2c::I2c0> {
    let shunt = offramp_firmware::Shunt { micro_ohm: 10_000 };
    offramp_firmware::Ina226::new(i2c::I2c0::begin(), 0x40, shunt, clock::TICK_HZ, 700)
}

#[panic_handler]
fn panicked(info: &core::panic::PanicInfo<'_>) -> ! {
    boot::again(Ended::Panic, info.location().map_or(0, core::panic::Location::line))
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    boot::again(Ended::Fault, frame.pc())
}

/// Every interrupt without a name of its own, which are all of the chip's.
#[exception]
unsafe fn DefaultHandler(number: i16) {
    if number == uart::INTERRUPT.cast_signed() {
        uart::interrupted();
    } else {
        boot::again(Ended::Interrupt, number.cast_unsigned().into());
    }
}
