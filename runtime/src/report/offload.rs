//! What became of images that were sent to another machine.

use serde::{Deserialize, Serialize};

use crate::executor::Outcome;
use crate::remote::By;
use crate::statistics::Latency;

/// Images that left the device. What the device and the other machine cost are kept apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OffloadReport {
    /// Images for which a peer was asked, those among them that were given up before all of them was out.
    pub sent: usize,
    /// Images sent, by the segment that would have run next.
    pub cuts: Vec<usize>,
    /// Images whose answer was the peer's.
    pub by_peer: usize,
    /// Images sent whose answer the device computed itself.
    pub by_device: usize,
    /// Images whose answer is the best exit so far, because neither came in time.
    pub degraded: usize,
    /// Bytes of values sent.
    pub sent_bytes: u64,
    /// Of images sent, from then to the answer that was taken.
    pub waited_s: Option<Latency>,
    /// Of all images, mean seconds that segments ran on the device; null without images.
    pub device_s: Option<f64>,
}

/// Counts as outcomes come.
#[derive(Clone, Debug, Default)]
pub(super) struct Sent {
    cuts: Vec<usize>,
    by_peer: usize,
    by_device: usize,
    degraded: usize,
    bytes: u64,
    waited: Vec<f64>,
    device: f64,
}

impl Sent {
    pub(super) fn add(&mut self, outcome: &Outcome<'_>) {
        self.device += outcome.segments().iter().map(std::time::Duration::as_secs_f64).sum::<f64>();
        let Some(offload) = outcome.offload else { return };
        if self.cuts.len() <= offload.cut {
            self.cuts.resize(offload.cut + 1, 0);
        }
        self.cuts[offload.cut] += 1;
        match offload.by {
            By::Peer => self.by_peer += 1,
            By::Device => self.by_device += 1,
            By::Degraded => self.degraded += 1,
        }
        self.bytes += offload.bytes as u64;
        self.waited.push(offload.waited.as_secs_f64());
    }

    pub(super) fn report(mut self, images: usize) -> OffloadReport {
        OffloadReport {
            sent: self.waited.len(),
            cuts: self.cuts,
            by_peer: self.by_peer,
            by_device: self.by_device,
            degraded: self.degraded,
            sent_bytes: self.bytes,
            waited_s: Latency::of(&mut self.waited),
            device_s: (images > 0).then(|| self.device / images as f64),
        }
    }
}
