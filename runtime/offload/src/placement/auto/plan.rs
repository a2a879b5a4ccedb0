//! What is expected from a cut on, whichever way images go.

/// Seconds expected from a cut to the answer, for the images that have come to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Outlook {
    /// When they are sent here.
    pub(super) send: f64,
    /// When the next segment runs here, and the better way is taken at every cut after it.
    pub(super) stay: f64,
}

impl Outlook {
    /// The better of both.
    pub(super) fn best(&self) -> f64 {
        self.send.min(self.stay)
    }

    /// Sending over staying: below 1 it pays.
    fn ratio(&self) -> f64 {
        self.send / self.stay.max(f64::MIN_POSITIVE)
    }
}

/// The outlooks from a cut on, that of the cut first; kept and filled again, so that asking allocates nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    /// As expected.
    pub(super) sober: Vec<Outlook>,
    /// As may be hoped.
    pub(super) hope: Vec<Outlook>,
    /// As if nothing could be sent.
    pub(super) alone: Vec<Outlook>,
}

impl Plan {
    /// Whether sending is expected to pay here or at a later cut.
    pub(super) fn sends_at_all(&self) -> bool {
        self.sober.iter().any(|outlook| outlook.send < outlook.stay)
    }

    /// Seconds that it would cost not to send at any later cut.
    pub(super) fn worth_of_sending_later(&self) -> f64 {
        let stay = |outlooks: &[Outlook]| outlooks.first().map_or(0.0, |here| here.stay);
        stay(&self.alone) - stay(&self.sober)
    }

    /// How many times as long as staying sending would take, at the cut where it is nearest to paying, in hope.
    pub(super) fn distance(&self) -> f64 {
        self.hope.iter().map(Outlook::ratio).fold(f64::INFINITY, f64::min)
    }

    /// Whether sending is nearer to paying here than at all later cuts where it does not pay anyway: in hope, and where that
    /// makes no difference, as expected.
    pub(super) fn is_nearest_here(&self) -> bool {
        let mut cuts = self.sober.iter().zip(&self.hope).map(|(sober, hope)| (hope.ratio(), sober.ratio()));
        let Some(here) = cuts.next() else { return false };
        cuts.filter(|(_, sober)| *sober >= 1.0).all(|other| here <= other)
    }
}

/// Fills `into` with the outlook at every cut from `first` on, by backward induction. `ahead` has the seconds of every segment
/// from there on, `going_on` for every exit the share of images that go on behind it, and `send` gives, for a cut and the
/// seconds of staying there, those of sending.
pub(super) fn look_ahead(
    first: usize,
    ahead: &[f64],
    going_on: &[f64],
    send: impl Fn(usize, f64) -> f64,
    into: &mut Vec<Outlook>,
) {
    into.clear();
    let mut behind = 0.0;
    for (at, segment) in ahead.iter().enumerate().rev() {
        // Nobody goes on behind the final exit.
        let share =
            if at + 1 == ahead.len() { 0.0 } else { going_on.get(first + at).copied().unwrap_or(1.0) };
        let stay = segment + share * behind;
        let outlook = Outlook { send: send(first + at, stay), stay };
        behind = outlook.best();
        into.push(outlook);
    }
    into.reverse();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlooks(first: usize, ahead: &[f64], going_on: &[f64], send: &[f64]) -> Vec<Outlook> {
        let mut into = Vec::new();
        look_ahead(first, ahead, going_on, |cut, _| send[cut], &mut into);
        into
    }

    #[test]
    fn staying_costs_the_segments_that_images_are_expected_to_reach() {
        let never = [f64::INFINITY; 3];
        let found = outlooks(0, &[4.0, 2.0, 1.0], &[0.5, 0.25, 1.0], &never);
        assert_eq!(found.iter().map(|outlook| outlook.stay).collect::<Vec<_>>(), [5.125, 2.25, 1.0]);
        assert_eq!(outlooks(1, &[2.0, 1.0], &[0.5, 0.25, 1.0], &never)[0].stay, 2.25);
    }

    #[test]
    fn staying_looks_forward_to_a_better_cut() {
        let found = outlooks(0, &[1.0, 8.0, 8.0], &[0.5, 1.0, 1.0], &[6.0, 2.0, 9.0]);
        assert_eq!(found[0], Outlook { send: 6.0, stay: 2.0 });
        assert_eq!(found[1], Outlook { send: 2.0, stay: 16.0 });
    }

    #[test]
    fn the_nearest_cut_is_the_most_hopeful_and_then_the_soberest() {
        let outlook = |send, stay| Outlook { send, stay };
        let plan = |hope: [Outlook; 2]| Plan {
            sober: vec![outlook(9.0, 3.0), outlook(4.0, 2.0)],
            hope: hope.to_vec(),
            alone: Vec::new(),
        };
        assert!(plan([outlook(1.0, 3.0), outlook(2.0, 2.0)]).is_nearest_here());
        assert!(!plan([outlook(0.0, 3.0), outlook(0.0, 2.0)]).is_nearest_here());
        assert!(!plan([outlook(3.0, 3.0), outlook(1.0, 2.0)]).is_nearest_here());
        let paying =
            Plan { sober: vec![outlook(9.0, 3.0), outlook(1.0, 2.0)], ..plan([outlook(0.0, 3.0); 2]) };
        assert!(paying.is_nearest_here(), "where sending pays it is known");
    }
}
