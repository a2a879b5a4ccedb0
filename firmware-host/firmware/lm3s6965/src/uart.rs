//! UART0, an ARM PL011 on pins PA0 and PA1: received by interrupt, sent by whoever has time.

use core::cell::RefCell;

use cortex_m::interrupt::{self, Mutex};
use cortex_m::peripheral::NVIC;
use heapless::Deque;

use crate::clock;
use crate::registers::Register;

/// Bits per second.
pub(crate) const BAUD: u32 = 460_800;
/// Its number in the vector table.
pub(crate) const INTERRUPT: u16 = 5;

/// Bytes that wait for the main loop; the host never has so many under way.
const ROOM: usize = 256;

// SAFETY: UART0's registers, LM3S6965 data sheet, section "UART", and the clock gates and pins in front of it.
const DATA: Register = unsafe { Register::at(0x4000_C000) };
// SAFETY: as above.
const FLAGS: Register = unsafe { Register::at(0x4000_C018) };
// SAFETY: as above.
const DIVISOR: Register = unsafe { Register::at(0x4000_C024) };
// SAFETY: as above.
const FRACTION: Register = unsafe { Register::at(0x4000_C028) };
// SAFETY: as above.
const LINE: Register = unsafe { Register::at(0x4000_C02C) };
// SAFETY: as above.
const CONTROL: Register = unsafe { Register::at(0x4000_C030) };
// SAFETY: as above.
const LEVELS: Register = unsafe { Register::at(0x4000_C034) };
// SAFETY: as above.
const MASK: Register = unsafe { Register::at(0x4000_C038) };
// SAFETY: as above.
const CLEAR: Register = unsafe { Register::at(0x4000_C044) };
// SAFETY: the gates of the UARTs' and the pins' clocks.
const UART_CLOCKS: Register = unsafe { Register::at(0x400F_E104) };
// SAFETY: as above.
const PIN_CLOCKS: Register = unsafe { Register::at(0x400F_E108) };
// SAFETY: port A: alternate functions, and digital pins.
const PIN_FUNCTION: Register = unsafe { Register::at(0x4000_4420) };
// SAFETY: as above.
const PIN_DIGITAL: Register = unsafe { Register::at(0x4000_451C) };

const RECEIVE_EMPTY: u32 = 1 << 4;
const SEND_FULL: u32 = 1 << 5;
const RECEIVED: u32 = 1 << 4;
const RECEIVE_TIMEOUT: u32 = 1 << 6;

/// A byte and when it was taken.
static ARRIVED: Mutex<RefCell<Deque<(u8, u32), ROOM>>> = Mutex::new(RefCell::new(Deque::new()));

pub(crate) fn begin() {
    UART_CLOCKS.set(1);
    PIN_CLOCKS.set(1);
    // The gates take a few cycles.
    cortex_m::asm::delay(8);
    PIN_FUNCTION.set(0b11);
    PIN_DIGITAL.set(0b11);
    CONTROL.write(0);
    // In 64ths, rounded.
    let divisor = (clock::TICK_HZ * 4 + BAUD / 2) / BAUD;
    DIVISOR.write(divisor >> 6);
    FRACTION.write(divisor & 63);
    // 8 bits, no parity, with FIFOs; an interrupt at 2 bytes, or after 32 silent bits.
    LINE.write(0x70);
    LEVELS.write(0);
    MASK.write(RECEIVED | RECEIVE_TIMEOUT);
    CONTROL.write(0x301);
    // SAFETY: the handler is in place, and nothing masks interrupts by priority.
    unsafe { NVIC::unmask(Line) };
}

/// The UART's interrupt, for the controller.
#[derive(Clone, Copy)]
struct Line;

// SAFETY: the number is that of the vector table, and it is always the same.
unsafe impl cortex_m::interrupt::InterruptNumber for Line {
    fn number(self) -> u16 {
        INTERRUPT
    }
}

/// Takes what has come. A byte that finds no room is lost: its frame's checksum tells.
pub(crate) fn interrupted() {
    CLEAR.write(RECEIVED | RECEIVE_TIMEOUT);
    let at = clock::now();
    interrupt::free(|section| {
        let mut arrived = ARRIVED.borrow(section).borrow_mut();
        while FLAGS.read() & RECEIVE_EMPTY == 0 {
            let _ = arrived.push_back((DATA.read() as u8, at));
        }
    });
}

/// The oldest byte that has come, and when.
pub(crate) fn receive() -> Option<(u8, u32)> {
    interrupt::free(|section| ARRIVED.borrow(section).borrow_mut().pop_front())
}

/// Whether a byte can be sent at once.
pub(crate) fn has_room() -> bool {
    FLAGS.read() & SEND_FULL == 0
}

/// Sends a byte; there is room for it.
pub(crate) fn send(byte: u8) {
    DATA.write(u32::from(byte));
}
