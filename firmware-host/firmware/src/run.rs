//! One time of sampling, from start to stop.

use offramp_wire::{Batch, Channel, MAX_VALUES};

use crate::outbox::{Outbox, Reply};
use crate::sensor::{Begun, Sample};

/// Batches a second where the host leaves it to the device.
const BATCHES: u32 = 20;

/// What is known of a sampling that was begun.
#[derive(Debug)]
pub(crate) struct Run {
    /// What the host asked for.
    pub(crate) asked: (u32, u8),
    begun: Begun,
    batch: usize,
    scales: heapless::Vec<u32, { offramp_wire::MAX_CHANNELS }>,
    open: Option<Batch>,
    next: u32,
    last: u32,
    lost: u32,
    /// Whether the sensor's present trouble was told.
    pub(crate) complained: bool,
}

impl Run {
    pub(crate) fn new(asked: (u32, u8), begun: Begun, channels: &[Channel]) -> Self {
        let most = MAX_VALUES / channels.len().max(1);
        let wanted = match asked.1 {
            0 => (begun.rate_millihz / (1000 * BATCHES)) as usize,
            batch => usize::from(batch),
        };
        Self {
            asked,
            begun,
            batch: wanted.clamp(1, most),
            scales: channels.iter().map(|channel| channel.scale_nano).collect(),
            open: None,
            next: 0,
            last: begun.first,
            lost: 0,
            complained: false,
        }
    }

    pub(crate) fn started(&self) -> Reply {
        Reply::Started { time: self.begun.first, rate_millihz: self.begun.rate_millihz }
    }

    pub(crate) fn take(&mut self, sample: &Sample, outbox: &mut Outbox) {
        if sample.skipped > 0 {
            // Samples of a batch follow each other.
            self.close(outbox);
            self.next = self.next.wrapping_add(sample.skipped);
            self.lose(sample.skipped, outbox);
        }
        if self.open.is_none() {
            self.open = Batch::new(sample.time, self.next, &self.scales).ok();
        }
        self.next = self.next.wrapping_add(1);
        self.last = sample.time;
        let Some(batch) = &mut self.open else { return };
        if batch.push(sample.time.wrapping_sub(batch.time), &sample.values).is_err() {
            self.lose(1, outbox);
        } else if batch.len() >= self.batch {
            self.close(outbox);
        }
    }

    /// Hands over what is there, and says how it ended.
    pub(crate) fn stop(mut self, outbox: &mut Outbox) {
        self.close(outbox);
        outbox.stopped = Some(Reply::Stopped { time: self.last, samples: self.next, lost: self.lost });
    }

    fn close(&mut self, outbox: &mut Outbox) {
        if let Some(batch) = self.open.take().filter(|batch| !batch.is_empty())
            && let Err(batch) = outbox.batches.push_back(batch)
        {
            self.lose(batch.len() as u32, outbox);
        }
    }

    fn lose(&mut self, count: u32, outbox: &mut Outbox) {
        self.lost = self.lost.wrapping_add(count);
        outbox.overrun = Some(self.lost);
    }
}
