//! Device time: SysTick, which runs from reload value to reload value and is never set in between.

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::interrupt;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{SCB, SYST};
use cortex_m_rt::exception;
use offramp_firmware::{COUNTER_MAX, extend};

/// The core's clock, as the boot leaves it: 200 MHz divided by 16.
pub(crate) const TICK_HZ: u32 = 12_500_000;

static WRAPS: AtomicU32 = AtomicU32::new(0);

pub(crate) fn begin(mut counter: SYST) {
    counter.set_clock_source(SystClkSource::Core);
    counter.set_reload(COUNTER_MAX);
    counter.clear_current();
    counter.enable_counter();
    counter.enable_interrupt();
}

/// Ticks since the start, modulo 2^32: 343 s.
pub(crate) fn now() -> u32 {
    interrupt::free(|_| {
        let wraps = WRAPS.load(Ordering::Relaxed);
        let current = SYST::get_current();
        if SCB::is_pendst_pending() {
            extend(wraps, SYST::get_current(), true)
        } else {
            extend(wraps, current, false)
        }
    })
}

#[exception]
fn SysTick() {
    WRAPS.fetch_add(1, Ordering::Relaxed);
}
