//! Device time out of a 24-bit counter that counts down: a SysTick that is never reloaded in between.
//!
//! An interrupt per tick would lose ticks whenever it is late; an interrupt per wrap is late by nearly a wrap before
//! anything is lost.

/// The counter's reload value.
pub const COUNTER_MAX: u32 = (1 << 24) - 1;

/// Ticks since the start, modulo 2^32.
///
/// `wraps` were counted so far, `current` is the counter, `pending` whether a wrap is still to be counted. `pending`
/// is read after `current`, and where it holds, `current` is read once more: it is then behind the wrap.
#[must_use]
pub fn extend(wraps: u32, current: u32, pending: bool) -> u32 {
    let since = match current {
        // The wrap happens on arriving at 0; one that is not told yet is not counted yet.
        0 if !pending => COUNTER_MAX,
        current => 0_u32.wrapping_sub(current) & COUNTER_MAX,
    };
    (wraps.wrapping_add(u32::from(pending)) << 24) | since
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_over_a_wrap_however_late_it_is_counted() {
        let seen = [
            extend(0, COUNTER_MAX, false),
            extend(0, 2, false),
            extend(0, 1, false),
            extend(0, 0, false),
            extend(0, 0, true),
            extend(0, COUNTER_MAX, true),
            extend(1, COUNTER_MAX, false),
            extend(1, COUNTER_MAX - 1, false),
        ];
        assert_eq!(
            seen,
            [1, 0xff_fffe, 0xff_ffff, 0xff_ffff, 1 << 24, (1 << 24) + 1, (1 << 24) + 1, (1 << 24) + 2]
        );
        assert_eq!(extend(255, 1, false).wrapping_add(1), extend(255, 0, true));
    }
}
