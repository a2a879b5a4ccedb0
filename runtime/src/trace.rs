//! One JSON line per image.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use crate::executor::Outcome;
use crate::remote::{By, Offloaded};

/// What is written of one image. Readers skip keys that they do not know.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TraceLine {
    /// Zero-based index of the image in its data.
    pub image: usize,
    /// Its label, `None` where unknown.
    pub label: Option<usize>,
    /// The label returned.
    pub predicted: usize,
    /// The exit where computing stopped.
    pub exit: usize,
    /// The exit whose label was returned.
    pub answer_exit: usize,
    /// Confidence of the answering exit.
    pub confidence: f32,
    /// Confidence of every exit computed.
    pub confidences: Vec<f32>,
    /// From the preprocessed image in host memory to the label.
    pub latency_s: f64,
    /// Time of every segment that ran.
    pub segments_s: Vec<f64>,
    /// Whether another machine's answer was taken.
    pub offloaded: bool,
    /// How the part after a cut was done; absent for an image that was not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offload: Option<OffloadTrace>,
}

/// What is written of an image that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OffloadTrace {
    /// The cut where it was sent: the segment that would have run next.
    pub cut: usize,
    /// Bytes of its values.
    pub sent_bytes: usize,
    /// From the values being sent to the answer that was taken.
    pub waited_s: f64,
    /// Whose answer was taken.
    pub by: By,
}

impl From<Offloaded> for OffloadTrace {
    fn from(offloaded: Offloaded) -> Self {
        let Offloaded { cut, bytes: sent_bytes, waited, by } = offloaded;
        Self { cut, sent_bytes, waited_s: waited.as_secs_f64(), by }
    }
}

/// Writes traces.
pub struct TraceWriter<W> {
    out: W,
    // Kept between lines, so that a line allocates nothing.
    line: TraceLine,
}

impl<W: Write> TraceWriter<W> {
    /// A writer of lines to `out`, which should be buffered.
    pub fn new(out: W) -> Self {
        Self { out, line: TraceLine::default() }
    }

    /// Writes one line.
    ///
    /// # Errors
    /// When `out` cannot be written to.
    pub fn write(&mut self, outcome: &Outcome<'_>, label: Option<usize>) -> io::Result<()> {
        let line = &mut self.line;
        (line.image, line.label, line.predicted) = (outcome.image, label, outcome.predicted);
        (line.exit, line.answer_exit) = (outcome.exit, outcome.answer_exit);
        (line.confidence, line.latency_s) = (outcome.confidence.get(), outcome.latency.as_secs_f64());
        line.confidences.clear();
        line.confidences.extend(outcome.confidences().iter().map(|confidence| confidence.get()));
        line.segments_s.clear();
        line.segments_s.extend(outcome.segments().iter().map(std::time::Duration::as_secs_f64));
        line.offload = outcome.offload.map(OffloadTrace::from);
        line.offloaded = line.offload.is_some_and(|offload| offload.by == By::Peer);
        serde_json::to_writer(&mut self.out, line)?;
        self.out.write_all(b"\n")
    }

    /// Flushes and gives `out` back.
    ///
    /// # Errors
    /// When `out` cannot be written to.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines() -> impl Strategy<Value = TraceLine> {
        let place = (any::<u32>(), prop::option::of(0..1000_usize), 0..1000_usize, 0..8_usize, 0..8_usize);
        let exits = prop::collection::vec((0.0..=1.0_f32, 0.0..10.0_f64), 1..8);
        let by = prop::sample::select(vec![By::Peer, By::Device, By::Degraded]);
        let sent = (0..8_usize, any::<u32>(), 0.0..10.0_f64, by).prop_map(|(cut, bytes, waited_s, by)| {
            OffloadTrace { cut, sent_bytes: bytes as usize, waited_s, by }
        });
        (place, exits, 0.0..100.0_f64, prop::option::of(sent)).prop_map(
            |(place, exits, latency_s, offload)| {
                let (image, label, predicted, exit, answer_exit) = place;
                let (confidences, segments_s): (Vec<_>, Vec<_>) = exits.into_iter().unzip();
                let (image, confidence) = (image as usize, confidences[0]);
                TraceLine {
                    image,
                    label,
                    predicted,
                    exit,
                    answer_exit,
                    confidence,
                    confidences,
                    latency_s,
                    segments_s,
                    offloaded: offload.is_some_and(|offload| offload.by == By::Peer),
                    offload,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn a_line_survives_writing_and_reading(line in lines()) {
            let text = serde_json::to_string(&line).unwrap();
            prop_assert!(!text.contains('\n'));
            prop_assert_eq!(serde_json::from_str::<TraceLine>(&text).unwrap(), line);
        }
    }

    #[test]
    fn keys_of_a_later_writer_are_skipped() {
        let mut value = serde_json::to_value(TraceLine::default()).unwrap();
        value["server_s"] = 0.5.into();
        assert_eq!(serde_json::from_value::<TraceLine>(value).unwrap(), TraceLine::default());
    }
}
