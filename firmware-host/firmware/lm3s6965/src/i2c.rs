//! I2C0 as master, on pins PB2 (clock) and PB3 (data).
//!
//! Source: LM3S6965 data sheet, section "Inter-Integrated Circuit (I2C) Interface".

use embedded_hal::i2c::{ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};

use crate::registers::Register;

// SAFETY: I2C0's master registers, and the clock gates and pins in front of it.
const ADDRESS: Register = unsafe { Register::at(0x4002_0000) };
// SAFETY: as above.
const CONTROL: Register = unsafe { Register::at(0x4002_0004) };
// SAFETY: as above.
const DATA: Register = unsafe { Register::at(0x4002_0008) };
// SAFETY: as above.
const PERIOD: Register = unsafe { Register::at(0x4002_000C) };
// SAFETY: as above.
const MODE: Register = unsafe { Register::at(0x4002_0020) };
// SAFETY: the gates of the I2C's and the pins' clocks.
const I2C_CLOCKS: Register = unsafe { Register::at(0x400F_E104) };
// SAFETY: as above.
const PIN_CLOCKS: Register = unsafe { Register::at(0x400F_E108) };
// SAFETY: port B: alternate functions, open drain, and digital pins.
const PIN_FUNCTION: Register = unsafe { Register::at(0x4000_5420) };
// SAFETY: as above.
const PIN_DRAIN: Register = unsafe { Register::at(0x4000_550C) };
// SAFETY: as above.
const PIN_DIGITAL: Register = unsafe { Register::at(0x4000_551C) };

/// Written to the control register.
const RUN: u32 = 1;
const START: u32 = 1 << 1;
const STOP: u32 = 1 << 2;
const ACKNOWLEDGE: u32 = 1 << 3;
/// Read from it.
const BUSY: u32 = 1;
const FAILED: u32 = 1 << 1;
const NO_ADDRESS: u32 = 1 << 2;
const NO_DATA: u32 = 1 << 3;
const LOST: u32 = 1 << 4;

/// Looks at the control register before a bus counts as stuck: several bytes' time.
const PATIENCE: u32 = 10_000;

/// The bus.
pub(crate) struct I2c0(());

impl I2c0 {
    /// Sets the bus up at 312.5 kHz: the step above, 625 kHz, is more than the INA226's fast mode.
    pub(crate) fn begin() -> Self {
        I2C_CLOCKS.set(1 << 12);
        PIN_CLOCKS.set(1 << 1);
        // The gates take a few cycles.
        cortex_m::asm::delay(8);
        PIN_FUNCTION.set(0b1100);
        PIN_DRAIN.set(0b1000);
        PIN_DIGITAL.set(0b1100);
        MODE.write(0x10);
        // 12.5 MHz / (20 * (1 + 1)).
        PERIOD.write(1);
        Self(())
    }

    fn step(&mut self, control: u32) -> Result<(), ErrorKind> {
        CONTROL.write(control);
        let mut patience = PATIENCE;
        let status = loop {
            let status = CONTROL.read();
            if status & BUSY == 0 {
                break status;
            }
            patience -= 1;
            if patience == 0 {
                return Err(ErrorKind::Bus);
            }
        };
        if status & FAILED == 0 {
            return Ok(());
        }
        if status & LOST != 0 {
            return Err(ErrorKind::ArbitrationLoss);
        }
        if control & STOP == 0 {
            CONTROL.write(STOP);
        }
        Err(ErrorKind::NoAcknowledge(match status & (NO_ADDRESS | NO_DATA) {
            NO_ADDRESS => NoAcknowledgeSource::Address,
            NO_DATA => NoAcknowledgeSource::Data,
            _ => NoAcknowledgeSource::Unknown,
        }))
    }
}

impl ErrorType for I2c0 {
    type Error = ErrorKind;
}

impl I2c for I2c0 {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
        let count = operations.len();
        for (number, operation) in operations.iter_mut().enumerate() {
            let end = if number + 1 == count { STOP } else { 0 };
            let length = match operation {
                Operation::Write(bytes) => bytes.len(),
                Operation::Read(bytes) => bytes.len(),
            };
            let around = |at: usize| {
                let first = if at == 0 { START } else { 0 };
                RUN | first | if at + 1 == length { end } else { 0 }
            };
            match operation {
                Operation::Write(bytes) => {
                    ADDRESS.write(u32::from(address) << 1);
                    for (at, byte) in bytes.iter().enumerate() {
                        DATA.write(u32::from(*byte));
                        self.step(around(at))?;
                    }
                }
                Operation::Read(bytes) => {
                    ADDRESS.write(u32::from(address) << 1 | 1);
                    for (at, byte) in bytes.iter_mut().enumerate() {
                        let more = if at + 1 < length { ACKNOWLEDGE } else { 0 };
                        self.step(around(at) | more)?;
                        *byte = DATA.read() as u8;
                    }
                }
            }
        }
        Ok(())
    }
}
