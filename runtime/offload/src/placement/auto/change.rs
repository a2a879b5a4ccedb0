//! Whether times are still what they were.

/// What is within this of what was expected, in standard deviations, speaks against a change.
const SLACK: f64 = 0.75;
/// How much must have come together. One surprise does not, two in a row do.
const LIMIT: f64 = 5.0;
/// From here on the next answer is awaited with suspicion.
const SUSPICIOUS: f64 = 1.5;
/// A surprise counts no more than so many standard deviations.
const MOST: f64 = 4.0;

/// A two-sided cumulative sum of surprises.
///
/// Source: Page 1954, "Continuous inspection schemes".
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ChangeDetector {
    longer: f64,
    shorter: f64,
}

impl ChangeDetector {
    /// Takes a surprise in standard deviations, longer positive, and says whether times have changed; then it begins anew.
    pub(super) fn is_change(&mut self, surprise: f64) -> bool {
        let surprise = surprise.clamp(-MOST, MOST);
        self.longer = (self.longer + surprise - SLACK).max(0.0);
        self.shorter = (self.shorter - surprise - SLACK).max(0.0);
        let changed = self.longer > LIMIT || self.shorter > LIMIT;
        if changed {
            *self = Self::default();
        }
        changed
    }

    /// Whether the latest surprise, or those before it, should be followed up soon.
    pub(super) fn is_suspicious(&self) -> bool {
        self.longer.max(self.shorter) > SUSPICIOUS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_surprise_is_followed_up_and_two_are_a_change() {
        for sign in [1.0, -1.0] {
            let mut detector = ChangeDetector::default();
            assert!(!detector.is_change(sign * 100.0) && detector.is_suspicious());
            assert!(detector.is_change(sign * 100.0) && !detector.is_suspicious());
        }
    }

    #[test]
    fn a_surprise_is_forgotten_when_all_goes_on_as_before() {
        let mut detector = ChangeDetector::default();
        for _ in 0..100 {
            assert!(!detector.is_change(100.0));
            for _ in 0..5 {
                assert!(!detector.is_change(0.0));
            }
        }
    }

    #[test]
    fn a_small_lasting_change_is_found_in_time() {
        let mut detector = ChangeDetector::default();
        let found = (1..20).find(|_| detector.is_change(1.5));
        assert_eq!(found, Some(7));
    }
}
