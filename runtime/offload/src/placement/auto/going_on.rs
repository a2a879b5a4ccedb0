//! How often images go on behind an exit.

/// Weight of an image against the estimate: what was long ago is forgotten after some forty images.
const GAIN: f64 = 1.0 / 40.0;
/// Assumed before anything is known.
const PRIOR: f64 = 0.7;

/// For every exit, the share of the images that come to it and go on.
#[derive(Clone, Debug, Default)]
pub(super) struct GoingOn {
    shares: Vec<f64>,
    /// Images seen at each exit.
    seen: Vec<f64>,
}

impl GoingOn {
    /// Notes that an image stopped at `exit`, wherever that was computed.
    pub(super) fn note(&mut self, exit: usize) {
        if self.shares.len() <= exit {
            self.shares.resize(exit + 1, PRIOR);
            self.seen.resize(exit + 1, 2.0);
        }
        for (at, (share, seen)) in self.shares.iter_mut().zip(&mut self.seen).enumerate().take(exit + 1) {
            *seen += 1.0;
            let went = if at < exit { 1.0 } else { 0.0 };
            // A mean at first, then one that forgets.
            *share += (went - *share) * GAIN.max(1.0 / *seen);
        }
    }

    /// By exit; exits behind the last are unknown, and taken as passed.
    pub(super) fn shares(&self) -> &[f64] {
        &self.shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_learned_from_where_images_stop() {
        let mut going_on = GoingOn::default();
        for image in 0..400 {
            going_on.note([0, 0, 1, 2][image % 4]);
        }
        for (share, expected) in going_on.shares().iter().zip([0.5, 0.5, 0.0]) {
            assert!((share - expected).abs() < 0.05, "{share} for {expected}");
        }
    }

    #[test]
    fn what_changed_is_believed_after_some_images() {
        let mut going_on = GoingOn::default();
        (0..400).for_each(|_| going_on.note(0));
        (0..80).for_each(|_| going_on.note(1));
        assert!(going_on.shares()[0] > 0.85, "{:?}", going_on.shares());
    }
}
