//! Lines of a device, and what they say.

/// Bytes of a line that are kept; the results of a thousand classes fit.
pub const MAX_LINE: usize = 16_384;

/// Takes bytes apart into lines. Bytes that are no text are replaced; what is beyond [`MAX_LINE`] is cut off.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    open: Vec<u8>,
    cut: u64,
}

impl Lines {
    /// The lines that `bytes` complete, without their ends.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            let room = MAX_LINE - self.open.len();
            self.cut += text.len().saturating_sub(room) as u64;
            self.open.extend_from_slice(&text[..text.len().min(room)]);
            if ended {
                let line = std::mem::take(&mut self.open);
                let line = line.strip_suffix(b"\r").unwrap_or(&line);
                lines.push(String::from_utf8_lossy(line).into_owned());
            }
        }
        lines
    }

    /// Bytes that were cut off.
    #[must_use]
    pub fn cut(&self) -> u64 {
        self.cut
    }

    /// Forgets an unfinished line.
    pub fn restart(&mut self) {
        self.open.clear();
    }
}

/// What a line of a device says.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// The command is done.
    Ready,
    /// Name of the device's vendor.
    Name(String),
    /// Version of the firmware's benchmark.
    Profile(String),
    /// The model, `ic01`.
    Model(String),
    /// The device's clock, in microseconds.
    Lap(u64),
    /// An output per class.
    Results(Vec<f32>),
    /// Where the last inference stopped. A line of ours.
    Exit(u32),
    /// How many inferences stopped at each exit. A line of ours.
    ExitCounts(Vec<u64>),
    /// How sure the answer is. A line of ours.
    Confidence(f32),
    /// Something went wrong.
    Error(String),
    /// Anything else.
    Other,
}

impl Reply {
    /// Reads a line; what is not understood is [`Reply::Other`].
    #[must_use]
    pub fn read(line: &str) -> Self {
        let text = line.trim();
        let within = |prefix: &str| text.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(']'));
        let read = || {
            if text == "m-ready" {
                return Some(Self::Ready);
            }
            if let Some(lap) = text.strip_prefix("m-lap-us-") {
                return lap.parse().ok().map(Self::Lap);
            }
            if let Some(name) = within("m-name-dut-[") {
                return Some(Self::Name(name.to_owned()));
            }
            if let Some(profile) = within("m-profile-[") {
                return Some(Self::Profile(profile.to_owned()));
            }
            if let Some(model) = within("m-model-[") {
                return Some(Self::Model(model.to_owned()));
            }
            if let Some(results) = within("m-results-[") {
                return numbers(results).filter(|values| finite(values)).map(Self::Results);
            }
            if let Some(exit) = within("m-exit-[") {
                return exit.parse().ok().map(Self::Exit);
            }
            if let Some(counts) = within("m-exit-counts-[") {
                return numbers(counts).map(Self::ExitCounts);
            }
            if let Some(confidence) = within("m-confidence-[") {
                return confidence.parse().ok().filter(|value: &f32| value.is_finite()).map(Self::Confidence);
            }
            within("e-[").map(|error| Self::Error(error.to_owned()))
        };
        read().unwrap_or(Self::Other)
    }
}

fn numbers<T: std::str::FromStr>(text: &str) -> Option<Vec<T>> {
    text.split(',').map(|number| number.trim().parse().ok()).collect()
}

fn finite(values: &[f32]) -> bool {
    values.iter().all(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        let mut lines = Lines::default();
        assert!(lines.feed(b"m-re").is_empty());
        assert_eq!(lines.feed(b"ady\r\nm-lap-us-5\n\r\nm-x"), ["m-ready", "m-lap-us-5", ""]);
        lines.restart();
        assert_eq!(lines.feed(b"\xff\xfea\n"), ["\u{fffd}\u{fffd}a"]);
        assert!(lines.feed(&vec![b'x'; MAX_LINE + 10]).is_empty());
        assert_eq!((lines.feed(b"y\n")[0].len(), lines.cut()), (MAX_LINE, 11));
    }

    #[test]
    fn replies_are_read_as_the_runner_reads_them() {
        for (line, reply) in [
            ("m-ready", Reply::Ready),
            ("m-name-dut-[ACME]", Reply::Name("ACME".to_owned())),
            (
                "m-profile-[ULPMark for tinyML Firmware V0.0.1]",
                Reply::Profile("ULPMark for tinyML Firmware V0.0.1".to_owned()),
            ),
            ("m-model-[ic01]", Reply::Model("ic01".to_owned())),
            ("m-lap-us-123456", Reply::Lap(123_456)),
            ("m-results-[0.000,0.125,0.875]", Reply::Results(vec![0.0, 0.125, 0.875])),
            ("m-exit-[2]", Reply::Exit(2)),
            ("m-exit-counts-[0,3,1]", Reply::ExitCounts(vec![0, 3, 1])),
            ("e-[Unknown command: x]", Reply::Error("Unknown command: x".to_owned())),
            ("m-results-[]", Reply::Other),
            ("m-results-[0.1,nan]", Reply::Other),
            ("m-results-[0.1", Reply::Other),
            ("m-lap-us-", Reply::Other),
            ("m-buffer-00-01", Reply::Other),
        ] {
            assert_eq!(Reply::read(line), reply, "{line}");
        }
    }
}
