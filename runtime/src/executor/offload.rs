//! Images that leave the device between two segments, and come back as logits.

use std::time::{Duration, Instant};

use super::pace::Pace;
use crate::backend::{Bound, RunError, Runner, Value};
use crate::pipeline::Feed;
use crate::remote::{By, Completion, Cut, Offloaded, Pending, Placement, Remote, Waited};

/// How images are offloaded.
pub struct Offload<'a> {
    /// Who completes them.
    pub remote: &'a mut dyn Remote,
    /// What is sent at each cut, by the segment that would run next; cuts without one are not asked about.
    pub departures: &'a [Option<Departure>],
    /// How long after an image's latency began to count its answer must be there.
    pub deadline: Duration,
    /// Whether the device completes what the peer does not.
    pub completion: LocalCompletion,
}

/// Whether the device completes images that were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalCompletion {
    /// It begins just in time for the deadline, and the first answer is taken.
    InTime,
    /// Never: without the peer's answer, the best exit so far is.
    Never,
}

/// What is sent at a cut.
pub struct Departure {
    /// The values that cross, in the order of the tail's inputs.
    pub feeds: Vec<Feed>,
    /// The graph that turns them into the form that is sent; `None` where they are sent as they are.
    pub wire: Option<Box<dyn Runner>>,
}

/// Kept free before the deadline: deciding, and a thread that wakes late. Completing here begins twice as early, so that
/// waking late does not cost the answer. Of a short deadline no more than an eighth: the rest is for the images.
const MARGIN: Duration = Duration::from_millis(2);

/// Images of a batch that were sent.
pub(super) struct Away {
    cut: usize,
    bytes: usize,
    sent: Instant,
    deadline: Instant,
    /// Kept free before it.
    margin: Duration,
    pending: Option<Box<dyn Pending>>,
    completion: LocalCompletion,
    /// float32, shape `[exits from the cut on, images, classes]`, when the peer has answered.
    logits: Option<Vec<f32>>,
    /// The row in `logits` of every image that has no answer yet.
    rows: Vec<usize>,
    /// Images in `logits`.
    images: usize,
    /// Elements of `logits`.
    elements: usize,
}

/// What comes next for images that were sent.
pub(super) enum Turn {
    /// The peer's logits are there.
    Peer,
    /// The next segment runs here.
    Local,
    /// There is no time to run it.
    Degrade,
}

impl Offload<'_> {
    /// Sends the images of `cut` if the remote wants them; `None` when they stay.
    pub(super) fn depart<'v>(
        &mut self,
        cut: Cut<'_>,
        wired: &mut Vec<Option<Box<dyn Bound>>>,
        value: impl Fn(Feed) -> Option<&'v Value>,
    ) -> Result<Option<Away>, RunError> {
        let Some(Some(departure)) = self.departures.get(cut.segment) else { return Ok(None) };
        if self.remote.place(cut) == Placement::Local {
            return Ok(None);
        }
        let values: Vec<Value> = departure.feeds.iter().filter_map(|feed| value(*feed).cloned()).collect();
        let deadline = cut.since + self.deadline;
        let sent = Instant::now();
        let (pending, bytes) = match &departure.wire {
            None => (self.remote.complete(cut, &values, deadline), bytes(&values)),
            Some(wire) => {
                wired.resize_with(wired.len().max(cut.segment + 1), || None);
                let slot = &mut wired[cut.segment];
                let bound = match slot {
                    Some(bound) => bound,
                    None => slot.insert(wire.bind(&values, cut.images)?),
                };
                bound.run()?;
                (self.remote.complete(cut, bound.outputs(), deadline), bytes(bound.outputs()))
            }
        };
        Ok(pending.map(|pending| Away {
            cut: cut.segment,
            bytes,
            sent,
            deadline,
            margin: MARGIN.min(self.deadline / 8),
            pending: Some(pending),
            completion: self.completion,
            logits: None,
            rows: (0..cut.images).collect(),
            images: cut.images,
            elements: 0,
        }))
    }
}

fn bytes(values: &[Value]) -> usize {
    values.iter().map(|value| value.shape().iter().product::<usize>() * value.dtype().size()).sum()
}

impl Away {
    /// The segment before which they were sent.
    pub(super) fn cut(&self) -> usize {
        self.cut
    }

    /// What comes next before `segment` would run on `images`, waiting for the peer as long as the device can still be in
    /// time. An answer of another size than `elements` logits for each image is none.
    pub(super) fn turn(&mut self, segment: usize, pace: &Pace, images: usize, elements: usize) -> Turn {
        self.elements = elements * self.images;
        // An exit that has been computed may serve.
        let answered = segment > 0;
        let last = self.deadline.checked_sub(self.margin).unwrap_or(self.sent);
        if self.completion == LocalCompletion::Never && answered {
            return if self.peer(last) { Turn::Peer } else { Turn::Degrade };
        }
        let start = match pace.late(segment.., images) {
            Some(late) => last.checked_sub(late + self.margin).unwrap_or(self.sent),
            // Nobody knows how long that takes: half of the time is the device's.
            None => self.sent + last.saturating_duration_since(self.sent) / 2,
        };
        if self.peer(start) {
            return Turn::Peer;
        }
        let end = Instant::now() + pace.mean(segment, images);
        if answered && end > last {
            return if self.peer(last) { Turn::Peer } else { Turn::Degrade };
        }
        Turn::Local
    }

    /// Whether the peer's answer is there by `until`.
    fn peer(&mut self, until: Instant) -> bool {
        let Some(pending) = &mut self.pending else { return self.logits.is_some() };
        match pending.wait(until) {
            Waited::Answer(Completion { logits }) if logits.len() == self.elements => {
                self.logits = Some(logits)
            }
            Waited::Answer(_) | Waited::Failed => {}
            Waited::NotYet => return false,
        }
        self.pending = None;
        self.logits.is_some()
    }

    /// The peer's logits at `exit` for the image in `row` of those that have no answer yet.
    pub(super) fn logits(&self, exit: usize, row: usize, classes: usize) -> Option<&[f32]> {
        let logits = self.logits.as_ref()?;
        let at = (exit.checked_sub(self.cut)? * self.images + *self.rows.get(row)?) * classes;
        logits.get(at..at + classes)
    }

    /// Forgets images that have their answer: these rows go on.
    pub(super) fn keep(&mut self, staying: &[usize]) {
        let rows = staying.iter().filter_map(|row| self.rows.get(*row)).copied();
        self.rows = rows.collect();
    }

    /// How an image that is answered now came to its answer.
    pub(super) fn offloaded(&self, by: By) -> Offloaded {
        let bytes = self.bytes / self.images.max(1);
        Offloaded { cut: self.cut, bytes, waited: self.sent.elapsed(), by }
    }
}
