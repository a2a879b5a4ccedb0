//! Which frames are missing, and which came twice.

/// Follows the sequence numbers of one direction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequence {
    expected: Option<u16>,
    missing: u64,
    replayed: u64,
}

/// How a frame stands to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The first frame, or the one after the last.
    Next,
    /// So many frames before this one never came.
    After(u16),
    /// It came before, or it is older than one that did: it must not be acted on.
    Replayed,
}

impl Sequence {
    /// Records a frame's number. Numbers wrap; a number in the half behind the last is a replay.
    pub fn observe(&mut self, number: u16) -> Arrival {
        let ahead = self.expected.map_or(0, |expected| number.wrapping_sub(expected));
        if ahead >= 0x8000 {
            self.replayed += 1;
            return Arrival::Replayed;
        }
        self.expected = Some(number.wrapping_add(1));
        self.missing += u64::from(ahead);
        if ahead == 0 { Arrival::Next } else { Arrival::After(ahead) }
    }

    /// Forgets the last number, as after a reset of the other end. Counts stay.
    pub fn restart(&mut self) {
        self.expected = None;
    }

    /// Frames that never came.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// Frames that came again.
    #[must_use]
    pub fn replayed(&self) -> u64 {
        self.replayed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_counted_and_replays_refused_across_the_wrap() {
        let mut sequence = Sequence::default();
        assert_eq!(sequence.observe(65_534), Arrival::Next);
        assert_eq!(sequence.observe(65_535), Arrival::Next);
        assert_eq!(sequence.observe(2), Arrival::After(2));
        assert_eq!(sequence.observe(2), Arrival::Replayed);
        assert_eq!(sequence.observe(65_535), Arrival::Replayed);
        assert_eq!(sequence.observe(3), Arrival::Next);
        assert_eq!((sequence.missing(), sequence.replayed()), (2, 2));
        sequence.restart();
        assert_eq!(sequence.observe(0), Arrival::Next);
    }
}
