//! What outlives a reset: a number for every boot, and what ended the boot before.
//!
//! The last 32 bytes of RAM are nobody's. After power-up they hold noise, after a reset what they held before.

use cortex_m::peripheral::SCB;

use crate::registers::Register;

// SAFETY: memory.x keeps the last 32 bytes of RAM from the linker.
const NOISE: Register = unsafe { Register::at(0x2000_FFE0) };
// SAFETY: as above.
const COUNT: Register = unsafe { Register::at(0x2000_FFE4) };
// SAFETY: as above.
const ENDED: Register = unsafe { Register::at(0x2000_FFE8) };
// SAFETY: as above.
const WHERE: Register = unsafe { Register::at(0x2000_FFEC) };

/// What can end a boot. The values are nothing that noise is likely to be.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Ended {
    /// A panic; where: the line of its source.
    Panic = 0x9a51_c001,
    /// A fault of the core; where: the instruction.
    Fault = 0x9a51_c002,
    /// An interrupt that nobody handles; where: its number.
    Interrupt = 0x9a51_c003,
}

impl Ended {
    /// For people.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Panic => "reset: panic at this source line",
            Self::Fault => "reset: hard fault at this address",
            Self::Interrupt => "reset: unknown interrupt",
        }
    }
}

/// A number that the boot before did not have, nor, but for one in 2^32, any other.
pub(crate) fn number() -> u32 {
    COUNT.write(COUNT.read().wrapping_add(1));
    NOISE.read().wrapping_add(COUNT.read())
}

/// What ended the boot before, if it was not a button or the supply; told once.
pub(crate) fn ended() -> Option<(Ended, u32)> {
    let code = ENDED.read();
    let ended =
        [Ended::Panic, Ended::Fault, Ended::Interrupt].into_iter().find(|ended| *ended as u32 == code);
    ENDED.write(0);
    ended.map(|ended| (ended, WHERE.read()))
}

/// Boots anew, and says why then: the UART may be in the middle of a frame now.
pub(crate) fn again(ended: Ended, at: u32) -> ! {
    ENDED.write(ended as u32);
    WHERE.write(at);
    SCB::sys_reset()
}
