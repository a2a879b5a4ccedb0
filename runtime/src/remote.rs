//! The executor's only view of other machines.
//!
//! Before a segment runs, images that have not stopped may be completed elsewhere: what crosses the cut is sent, and the
//! logits of every exit from there on come back. The policy then decides on them as it would here, so where work is done
//! changes neither `exit` nor `predicted`. Who answers, over what, and whether that pays, is the implementation's.

use std::time::{Duration, Instant};

use crate::backend::Value;

/// Another machine that may complete images.
pub trait Remote {
    /// Whether to send the images that have come to a cut; asked at every cut that images reach, 0 included.
    fn place(&mut self, cut: Cut<'_>) -> Placement;

    /// Begins to complete the images of `cut`: `values` cross it, in the order of the tail's inputs, in the form that is
    /// sent, readable by the host. The answer is of no use after `deadline`. Does not wait for the peer.
    ///
    /// `None` when nothing is sent; the implementation keeps the reason for its own report.
    fn complete(&mut self, cut: Cut<'_>, values: &[Value], deadline: Instant) -> Option<Box<dyn Pending>>;

    /// Is told what became of every image of a batch when the batch is done, in the order of the images.
    fn answered(&mut self, answered: Answered);
}

/// Images before a segment.
#[derive(Clone, Copy, Debug)]
pub struct Cut<'a> {
    /// The segment that runs next; 0 when nothing has run.
    pub segment: usize,
    /// How many images there are.
    pub images: usize,
    /// How long each segment from this one on is expected to take here, for these images; zero where it has never run.
    pub ahead: &'a [Duration],
    /// When the images' latency began to count.
    pub since: Instant,
}

/// Where images are completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// The next segment runs here.
    Local,
    /// What crosses the cut is sent.
    Offload,
}

/// Images on their way; dropping it cancels them.
pub trait Pending {
    /// The answer, waited for until `until`; with a time that has passed, whether it is there already.
    fn wait(&mut self, until: Instant) -> Waited;
}

/// What waiting came to.
#[derive(Debug)]
pub enum Waited {
    /// The peer's answer.
    Answer(Completion),
    /// There will be none; the implementation keeps the reason for its own report.
    Failed,
    /// None yet.
    NotYet,
}

/// A peer's answer, of the right size and finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// float32, shape `[exits from the cut on, images, classes]`.
    pub logits: Vec<f32>,
}

/// What became of an image that might have been offloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The image's number in its data.
    pub image: usize,
    /// The exit where computing stopped, wherever that was.
    pub exit: usize,
    /// How the part after the cut was done; `None` for an image that was never sent.
    pub offload: Option<Offloaded>,
}

/// How an image that was sent came to its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offloaded {
    /// The cut where it was sent.
    pub cut: usize,
    /// Bytes of its values.
    pub bytes: usize,
    /// From the values being sent to the answer that was taken.
    pub waited: Duration,
    /// Whose answer was taken.
    pub by: By,
}

/// Whose answer was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The peer's.
    Peer,
    /// The device ran the rest itself.
    Device,
    /// There was no time, or no way, to run the rest: the most confident of the exits that had been computed.
    Degraded,
}
