//! Whether images leave the device, and before which segment.
//!
//! The [client](crate::client) asks a [`Place`] at every cut and tells it what came of requests and of images. A placement does no
//! I/O and reads no clock: times are given to it.

mod auto;
mod budget;
mod way;

use std::time::{Duration, Instant};

pub use auto::{Auto, Config, Curiosity};
pub use budget::{Budget, Budgeted, Rate};
use offramp_runtime::remote::{Answered, Cut, Placement};
pub use way::{NotAWay, Way};

/// Decides where images are completed.
pub trait Place: Send {
    /// Whether the images of `cut` are sent at `now`. `candidates` has one entry for every cut with a tail, by cut, that of
    /// `cut` among them; while it is not usable images stay, whatever is said.
    fn place(&mut self, cut: &Cut<'_>, candidates: &[Candidate], now: Instant) -> Placement;

    /// Whether a copy of images that stay is sent, only to learn what comes of the request; asked after [`Place::place`] has said
    /// that they stay. Nobody waits for the answer.
    fn probe(&mut self, cut: &Cut<'_>, candidates: &[Candidate], now: Instant) -> bool {
        let _ = (cut, candidates, now);
        false
    }

    /// Is told what came of a request, if it went to the peer that the next one would go to; a known question is one too.
    /// Requests are told of in the order in which they ended.
    fn observe(&mut self, observed: &Observed);

    /// Is told what became of every image of a batch when the batch is done, in the order of the images.
    fn answered(&mut self, answered: &Answered);
}

/// A cut at which images might be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The segment that would run next on the device; 0 sends the image.
    pub cut: usize,
    /// Bytes that cross it for one image, in the form that is sent.
    pub bytes: usize,
    /// Whether some peer would take it now.
    pub usable: bool,
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The cut whose images were sent.
    pub cut: usize,
    /// How many.
    pub images: usize,
    /// Bytes of the request's message.
    pub request_bytes: usize,
    /// When it was sent; of one that was made a second time, when that was.
    pub sent: Instant,
    /// How it ended.
    pub end: End,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With an answer that was believed.
    Answer {
        /// Bytes of the answer's message.
        bytes: usize,
        /// From sending to the whole answer.
        took: Duration,
        /// How much of it the peer says that it spent, queueing included; `None` from peers that do not say.
        server: Option<Duration>,
    },
    /// It was given up: the deadline passed, or another answer was taken. The peer would have needed longer.
    Unanswered {
        /// From sending to giving up.
        after: Duration,
    },
    /// The link or the peer failed.
    Failed {
        /// From sending to the failure.
        after: Duration,
    },
}

/// Always before the same segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// The segment that would run next on the device; 0 sends the image.
    pub cut: usize,
}

impl Place for Fixed {
    fn place(&mut self, cut: &Cut<'_>, _: &[Candidate], _: Instant) -> Placement {
        if cut.segment == self.cut { Placement::Offload } else { Placement::Local }
    }

    fn observe(&mut self, _: &Observed) {}

    fn answered(&mut self, _: &Answered) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_cut_sends_there_and_nowhere_else() {
        let mut fixed = Fixed { cut: 1 };
        let now = Instant::now();
        let mut at = |segment| fixed.place(&Cut { segment, images: 1, ahead: &[], since: now }, &[], now);
        assert_eq!([0, 1, 2].map(&mut at), [Placement::Local, Placement::Offload, Placement::Local]);
    }
}
