//! The host's end: a command, then lines until the device is ready.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::lines::{Lines, Reply};
use crate::link::{LinkError, write_all};
use crate::recorder::RecorderError;
use crate::stream::is_early;

/// Characters of a line that an error tells.
const TOLD: usize = 80;

/// How the host treats the device.
#[derive(Clone, Copy, Debug)]
pub struct HostSettings {
    /// How long a command may take.
    pub patience: Duration,
    /// How long inferences may take beyond what is expected of them.
    pub infer_patience: Duration,
    /// Image bytes per command: 31 to a device, 26 through an interface board, as MLCommons' runner does.
    pub bytes_per_command: usize,
    /// The device is behind an interface board, to which commands are sent as `dut COMMAND`.
    pub through_interface: bool,
}

impl Default for HostSettings {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(5),
            infer_patience: Duration::from_secs(30),
            bytes_per_command: 31,
            through_interface: false,
        }
    }
}

/// What goes wrong between host and device.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TinyError {
    /// The line.
    #[error("the line to the device failed")]
    Link(#[source] LinkError),
    /// No word that a command is done.
    #[error("no m-ready within {waited:.1?} after {command:?}; the last line was {last:?}")]
    Silent {
        /// The command.
        command: String,
        /// How long.
        waited: Duration,
        /// The last line that came.
        last: String,
    },
    /// The device said no.
    #[error("the device answers {command:?} with an error: {text}")]
    Refused {
        /// The command.
        command: String,
        /// The device's words.
        text: String,
    },
    /// A line that belongs to the answer is missing.
    #[error("the answer to {command:?} has no line {expected}")]
    Incomplete {
        /// The command.
        command: String,
        /// What is missing.
        expected: &'static str,
    },
    /// Times of the device that cannot be.
    #[error("the device says that {command:?} took {said:?}, this machine saw {seen:?} pass")]
    Clock {
        /// The command.
        command: String,
        /// What the device says.
        said: Duration,
        /// What passed here, the line included.
        seen: Duration,
    },
    /// Another number of outputs than labels need.
    #[error("the device gives {found} outputs, and an image has label {label}")]
    Outputs {
        /// Outputs.
        found: usize,
        /// A label.
        label: usize,
    },
    /// The meter has no energy of a window.
    #[error("the energy of a window was not measured")]
    Meter(#[source] RecorderError),
    /// There is nothing to measure.
    #[error("{what} must be at least {least}, got {found}")]
    Plan {
        /// What.
        what: &'static str,
        /// The least.
        least: usize,
        /// What was given.
        found: usize,
    },
}

/// What a device says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// Its vendor's name.
    pub name: String,
    /// Version of its benchmark.
    pub profile: String,
    /// Its model, `ic01`.
    pub model: String,
}

/// What came of one `infer`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TinyInference {
    /// From the first inference to the last, by the device's clock; `None` in energy mode.
    pub elapsed: Option<Duration>,
    /// The same by the host's clock, with what the line adds.
    pub seen: Duration,
    /// An output per class.
    pub results: Vec<f32>,
    /// Where the last inference stopped, where the device says so.
    pub exit: Option<u32>,
    /// How many inferences stopped at each exit, where the device says so.
    pub exit_counts: Option<Vec<u64>>,
    /// How sure the answer is, where the device says so.
    pub confidence: Option<f32>,
}

impl TinyInference {
    /// The class with the largest output; of equals the first.
    #[must_use]
    pub fn label(&self) -> Option<usize> {
        let largest = self.results.iter().copied().max_by(f32::total_cmp)?;
        self.results.iter().position(|result| *result == largest)
    }
}

/// Drives a device over a stream whose reads give up after a while, see [`Stream`](crate::Stream).
#[derive(Debug)]
pub struct Host<S> {
    stream: S,
    settings: HostSettings,
    lines: Lines,
    pending: VecDeque<(String, Instant)>,
    identity: Identity,
}

/// Microseconds between two laps. Devices with a counter of 32 bits go round every 71 minutes.
fn lap(first: u64, last: u64) -> u64 {
    const ROUND: u64 = 1 << 32;
    if last < first && first < ROUND { last + ROUND - first } else { last.wrapping_sub(first) }
}

impl<S: Read + Write> Host<S> {
    /// Waits until the line is quiet, then asks who is there, three times at most.
    ///
    /// # Errors
    /// [`TinyError::Silent`] where nobody answers, and [`TinyError::Link`].
    pub fn open(stream: S, settings: HostSettings) -> Result<Self, TinyError> {
        let (lines, pending, identity) = (Lines::default(), VecDeque::new(), Identity::default());
        let mut host = Self { stream, settings, lines, pending, identity };
        let mut tries = 0;
        loop {
            host.quieten()?;
            match host.command("name", Duration::from_secs(2)) {
                Ok(replies) => {
                    let name = replies.into_iter().find_map(|(reply, _)| match reply {
                        Reply::Name(name) => Some(name),
                        _ => None,
                    });
                    if let Some(name) = name {
                        host.identity.name = name;
                        break;
                    }
                    tries += 1;
                    if tries == 3 {
                        return Err(TinyError::Incomplete {
                            command: "name".to_owned(),
                            expected: "m-name-dut-[..]",
                        });
                    }
                }
                Err(TinyError::Silent { .. } | TinyError::Refused { .. }) if tries < 2 => tries += 1,
                Err(error) => return Err(error),
            }
        }
        for (reply, _) in host.command("profile", settings.patience)? {
            match reply {
                Reply::Profile(profile) => host.identity.profile = profile,
                Reply::Model(model) => host.identity.model = model,
                _ => {}
            }
        }
        Ok(host)
    }

    /// What the device says of itself.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Loads an image.
    ///
    /// # Errors
    /// [`TinyError`]; [`TinyError::Incomplete`] where the device does not say that it has all of it.
    pub fn load(&mut self, image: &[u8]) -> Result<(), TinyError> {
        let patience = self.settings.patience;
        self.command(&format!("db load {}", image.len()), patience)?;
        let mut lines = Vec::new();
        for part in image.chunks(self.settings.bytes_per_command.clamp(1, 38)) {
            let digits: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
            lines = self.talk(&format!("db {digits}"), patience)?;
        }
        if lines.iter().any(|(line, _)| line == "m-load-done") {
            Ok(())
        } else {
            Err(TinyError::Incomplete { command: "db".to_owned(), expected: "m-load-done" })
        }
    }

    /// Runs the loaded image `warmups` times, then `runs` times; `expected` is how long that may take.
    ///
    /// # Errors
    /// [`TinyError`]; [`TinyError::Incomplete`] where there are no results.
    pub fn infer(&mut self, runs: u32, warmups: u32, expected: Duration) -> Result<TinyInference, TinyError> {
        // Always with warm-ups: without, the reference makes ten.
        let command = format!("infer {runs} {warmups}");
        let asked = Instant::now();
        let lines = self.talk(&command, self.settings.infer_patience + expected * 2)?;
        let seen = asked.elapsed();
        let mut inference = TinyInference::default();
        let mut laps = Vec::new();
        let (mut begun, mut done) = (None, None);
        for (line, at) in &lines {
            match Reply::read(line) {
                Reply::Lap(lap) => laps.push(lap),
                Reply::Results(results) => inference.results = results,
                Reply::Exit(exit) => inference.exit = Some(exit),
                Reply::ExitCounts(counts) => inference.exit_counts = Some(counts),
                Reply::Confidence(confidence) => inference.confidence = Some(confidence),
                _ if line.starts_with("m-infer-start-") => begun = Some(*at),
                _ if line == "m-infer-done" => done = Some(*at),
                _ => {}
            }
        }
        if inference.results.is_empty() {
            return Err(TinyError::Incomplete { command, expected: "m-results-[..]" });
        }
        inference.elapsed = match laps[..] {
            [first, last] => Some(Duration::from_micros(lap(first, last))),
            _ => None,
        };
        // Its clock may run a twentieth faster than this one, and no more.
        if let Some(said) =
            inference.elapsed.filter(|said| said.as_secs_f64() > seen.as_secs_f64() * 1.05 + 0.05)
        {
            return Err(TinyError::Clock { command, said, seen });
        }
        inference.seen =
            begun.zip(done).map_or(Duration::ZERO, |(begun, done)| done.saturating_duration_since(begun));
        Ok(inference)
    }

    /// Sends a command and reads its answer.
    fn command(&mut self, command: &str, patience: Duration) -> Result<Vec<(Reply, Instant)>, TinyError> {
        let lines = self.talk(command, patience)?;
        Ok(lines.into_iter().map(|(line, at)| (Reply::read(&line), at)).collect())
    }

    /// Sends a command; the lines up to the device's word that it is done.
    fn talk(&mut self, command: &str, patience: Duration) -> Result<Vec<(String, Instant)>, TinyError> {
        self.pending.clear();
        let sent =
            if self.settings.through_interface { format!("dut {command}%") } else { format!("{command}%") };
        write_all(&mut self.stream, sent.as_bytes(), self.settings.patience).map_err(TinyError::Link)?;
        if self.settings.through_interface {
            // The board's own answer, before the device's.
            self.until_ready(command, patience, false)?;
        }
        let lines = self.until_ready(command, patience, self.settings.through_interface)?;
        let refused = lines.iter().find_map(|(line, _)| match Reply::read(line) {
            Reply::Error(text) => Some(text),
            _ => None,
        });
        match refused {
            Some(text) => Err(TinyError::Refused { command: command.to_owned(), text }),
            None => Ok(lines),
        }
    }

    fn until_ready(
        &mut self,
        command: &str,
        patience: Duration,
        passed_on: bool,
    ) -> Result<Vec<(String, Instant)>, TinyError> {
        let begin = Instant::now();
        let mut lines: Vec<(String, Instant)> = Vec::new();
        loop {
            while let Some((line, at)) = self.pending.pop_front() {
                let line = match line.strip_prefix("[dut]: ") {
                    Some(passed) if passed_on => passed.to_owned(),
                    _ => line,
                };
                if Reply::read(&line) == Reply::Ready {
                    return Ok(lines);
                }
                lines.push((line, at));
            }
            if begin.elapsed() >= patience {
                let last = lines.pop().map(|(line, _)| line.chars().take(TOLD).collect()).unwrap_or_default();
                return Err(TinyError::Silent { command: command.to_owned(), waited: begin.elapsed(), last });
            }
            self.read()?;
        }
    }

    /// Reads what there is.
    fn read(&mut self) -> Result<usize, TinyError> {
        let mut bytes = [0; 1024];
        match self.stream.read(&mut bytes) {
            Ok(0) => Err(TinyError::Link(LinkError::Gone(ErrorKind::UnexpectedEof.into()))),
            Ok(count) => {
                let at = Instant::now();
                self.pending.extend(self.lines.feed(&bytes[..count]).into_iter().map(|line| (line, at)));
                Ok(count)
            }
            Err(error) if is_early(&error) => {
                if error.kind() == ErrorKind::WouldBlock {
                    thread::sleep(Duration::from_millis(1));
                }
                Ok(0)
            }
            Err(error) => Err(TinyError::Link(LinkError::from_io(error))),
        }
    }

    /// Reads on until nothing has come for a while: lines of a run before this one.
    fn quieten(&mut self) -> Result<(), TinyError> {
        let (begin, mut heard) = (Instant::now(), Instant::now());
        while heard.elapsed() < Duration::from_millis(150) && begin.elapsed() < Duration::from_secs(2) {
            if self.read()? > 0 {
                heard = Instant::now();
            }
        }
        self.lines.restart();
        self.pending.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::lap;

    #[test]
    fn a_lap_over_the_end_of_a_small_counter_is_no_shorter() {
        assert_eq!(lap(10, 25), 15);
        assert_eq!(lap(u64::from(u32::MAX) - 9, 5), 15);
    }
}
