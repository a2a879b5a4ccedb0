//! One JSON line per image.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use crate::executor::Outcome;

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
    /// Whether another machine did part of the work.
    pub offloaded: bool,
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
        (place, exits, 0.0..100.0_f64, any::<bool>()).prop_map(|(place, exits, latency_s, offloaded)| {
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
                offloaded,
            }
        })
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
