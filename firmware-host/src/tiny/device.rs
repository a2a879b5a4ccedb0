//! The device's end: commands in, lines out.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::host::TinyError;
use crate::link::write_all;
use crate::network::{Inference, Network};
use crate::stream::{is_early, is_gone};

/// Characters of a command that are kept, as in the reference.
pub const MAX_COMMAND: usize = 80;
/// Bytes that can be loaded, as in the reference.
pub const MAX_IMAGE: usize = 96 * 96 * 3;

const FIRMWARE: &str = "ULPMark for tinyML Firmware V0.0.1";
const HELP: &str = "\r\n\
help         : Print this information\r\n\
name         : Print the name of the device\r\n\
timestsamp   : Generate a timetsamp\r\n\
db SUBCMD    : Manipulate a generic byte buffer\r\n\
\u{20} load N     : Allocate N bytes and set load counter\r\n\
\u{20} db HH[HH]* : Load 8-bit hex byte(s) until N bytes\r\n\
\u{20} print [N=16] [offset=0]\r\n\
\u{20}            : Print N bytes at offset as hex\r\n\
infer N [W=0]: Load input, execute N inferences after W warmup loops\r\n\
results      : Return the result fp32 vector\r\n";

/// How the device tells when inferences begin and end.
pub enum Mode {
    /// By lines with its clock.
    Performance,
    /// By a pulse on a wire, which this makes.
    Energy(Box<dyn FnMut() + Send>),
}

/// A network behind the protocol.
pub struct Device<N> {
    network: N,
    vendor: String,
    mode: Mode,
    origin: Instant,
    command: Vec<u8>,
    buffer: Vec<u8>,
    size: usize,
    latest: Option<Inference>,
    counts: Vec<u64>,
}

/// Where lines go.
type Out<'a> = dyn FnMut(&str) -> Result<(), TinyError> + 'a;

impl<N: Network> Device<N> {
    /// A device of `vendor` that runs `network`.
    pub fn new(network: N, vendor: &str, mode: Mode) -> Self {
        Self {
            network,
            vendor: vendor.to_owned(),
            mode,
            origin: Instant::now(),
            command: Vec::new(),
            buffer: Vec::new(),
            size: 0,
            latest: None,
            counts: Vec::new(),
        }
    }

    /// Says what a device says when it boots. On a line that keeps it for hosts that come later, as a pseudo-terminal does,
    /// leave it out: MLCommons' runner would take it for the answer to its first command.
    ///
    /// # Errors
    /// [`TinyError::Link`].
    pub fn announce<S: Write>(&mut self, stream: &mut S) -> Result<(), TinyError> {
        self.boot(&mut |text| say(stream, text))
    }

    /// Answers commands until `ended` or the host leaves.
    ///
    /// The stream's reads must give up after a while, see [`Stream`](crate::Stream).
    ///
    /// # Errors
    /// [`TinyError::Link`].
    pub fn serve<S: Read + Write>(&mut self, stream: &mut S, ended: &AtomicBool) -> Result<(), TinyError> {
        let mut bytes = [0; 256];
        while !ended.load(Ordering::Acquire) {
            match stream.read(&mut bytes) {
                Ok(0) => return Ok(()),
                Ok(count) => self.feed(&bytes[..count], &mut |text| say(stream, text))?,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(error) if is_early(&error) => {}
                Err(error) if is_gone(&error) => return Ok(()),
                Err(error) => return Err(TinyError::Link(crate::LinkError::Io(error))),
            }
        }
        Ok(())
    }

    /// What a device says when it boots.
    ///
    /// # Errors
    /// What `out` gives.
    pub fn boot(&mut self, out: &mut Out<'_>) -> Result<(), TinyError> {
        let mode = match self.mode {
            Mode::Performance => "performance",
            Mode::Energy(_) => "energy",
        };
        out(&format!("m-timestamp-mode-{mode}\r\n"))?;
        self.timestamp(out)?;
        out("m-init-done\r\n")?;
        out("m-ready\r\n")
    }

    /// Takes bytes of the host; every `%` ends a command, which is answered at once.
    ///
    /// # Errors
    /// What `out` gives.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Out<'_>) -> Result<(), TinyError> {
        for &byte in bytes {
            if byte == b'%' {
                let command = std::mem::take(&mut self.command);
                self.obey(&String::from_utf8_lossy(&command), out)?;
                out("m-ready\r\n")?;
            } else if self.command.len() < MAX_COMMAND {
                self.command.push(byte);
            }
        }
        Ok(())
    }

    fn obey(&mut self, command: &str, out: &mut Out<'_>) -> Result<(), TinyError> {
        let mut words = command.split(' ').filter(|word| !word.is_empty());
        match words.next().unwrap_or_default() {
            "name" => out(&format!("m-name-dut-[{}]\r\n", self.vendor)),
            "timestamp" => self.timestamp(out),
            "profile" => {
                out(&format!("m-profile-[{FIRMWARE}]\r\n"))?;
                out(&format!("m-model-[{}]\r\n", self.network.name()))
            }
            "help" => out(&format!("{FIRMWARE}\r\n{HELP}")),
            "db" => self.buffer(&mut words, out),
            "infer" => {
                // As C reads a number: what is none is 0.
                let (runs, warmups) = (words.next().map(number), words.next().map(number));
                match (runs.unwrap_or(1), warmups.unwrap_or(10)) {
                    (..=0, _) => out("e-[Inference iterations must be >0]\r\n"),
                    (_, ..=-1) => out("e-[Inference warmup must be >=0]\r\n"),
                    (runs, warmups) => self.infer(runs.unsigned_abs(), warmups.unsigned_abs(), out),
                }
            }
            "results" => self.results(out),
            unknown => out(&format!("e-[Unknown command: {unknown}]\r\n")),
        }
    }

    fn timestamp(&mut self, out: &mut Out<'_>) -> Result<(), TinyError> {
        match &mut self.mode {
            Mode::Performance => out(&format!("m-lap-us-{}\r\n", self.origin.elapsed().as_micros())),
            Mode::Energy(pulse) => {
                pulse();
                Ok(())
            }
        }
    }

    fn buffer<'a>(
        &mut self,
        words: &mut impl Iterator<Item = &'a str>,
        out: &mut Out<'_>,
    ) -> Result<(), TinyError> {
        match words.next() {
            None => out("e-[Command 'db' requires a subcommand]\r\n"),
            Some("load") => match words.next().map(number) {
                None => out("e-[Command 'db load' requires the # of bytes]\r\n"),
                Some(..=0) => out("e-[Command 'db load' must be >0 bytes]\r\n"),
                Some(size) => {
                    self.buffer.clear();
                    self.size = usize::try_from(size).unwrap_or(usize::MAX);
                    if self.size > MAX_IMAGE {
                        let size = std::mem::take(&mut self.size);
                        return out(&format!("Supplied buffer size {size} exceeds maximum of {MAX_IMAGE}\n"));
                    }
                    out(&format!("m-[Expecting {size} bytes]\r\n"))
                }
            },
            Some("print") => {
                let mut text = String::new();
                for row in self.buffer.chunks(8) {
                    let row: Vec<_> = row.iter().map(|byte| format!("{byte:02x}")).collect();
                    text += &format!("m-buffer-{}\r\n", row.join("-"));
                }
                // The reference ends a short last row twice.
                if !self.buffer.len().is_multiple_of(8) {
                    text += "\r\n";
                }
                if text.is_empty() { Ok(()) } else { out(&text) }
            }
            Some(digits) => self.digits(digits, out),
        }
    }

    fn digits(&mut self, digits: &str, out: &mut Out<'_>) -> Result<(), TinyError> {
        if !digits.len().is_multiple_of(2) {
            return out("e-[Insufficent number of hex digits]\r\n");
        }
        for pair in digits.as_bytes().chunks(2) {
            if self.buffer.len() >= self.size {
                return Ok(());
            }
            let pair = String::from_utf8_lossy(pair);
            let Some(byte) =
                pair.chars().all(|digit| digit.is_ascii_hexdigit()).then(|| u8::from_str_radix(&pair, 16))
            else {
                return out(&format!("e-[Invalid hex digit '{pair}']\r\n"));
            };
            self.buffer.push(byte.unwrap_or_default());
            if self.buffer.len() == self.size {
                return out("m-load-done\r\n");
            }
        }
        Ok(())
    }

    fn infer(&mut self, runs: u64, warmups: u64, out: &mut Out<'_>) -> Result<(), TinyError> {
        // The reference goes on with what it had before; an answer to another image is worse than none.
        if self.buffer.len() != self.network.image_bytes() {
            let (found, expected) = (self.buffer.len(), self.network.image_bytes());
            return out(&format!("e-[Input db has {found} bytes, expected {expected}]\r\n"));
        }
        self.counts.clear();
        out(&format!("m-warmup-start-{warmups}\r\n"))?;
        for _ in 0..warmups {
            if let Err(error) = self.network.infer(&self.buffer) {
                return out(&format!("e-[{}]\r\n", one_line(&error.to_string())));
            }
        }
        out("m-warmup-done\r\n")?;
        out(&format!("m-infer-start-{runs}\r\n"))?;
        self.timestamp(out)?;
        for _ in 0..runs {
            match self.network.infer(&self.buffer) {
                Ok(inference) => {
                    let exit = usize::from(inference.exit);
                    if self.counts.len() <= exit {
                        self.counts.resize(exit + 1, 0);
                    }
                    self.counts[exit] += 1;
                    self.latest = Some(inference);
                }
                Err(error) => return out(&format!("e-[{}]\r\n", one_line(&error.to_string()))),
            }
        }
        self.timestamp(out)?;
        out("m-infer-done\r\n")?;
        self.results(out)
    }

    fn results(&self, out: &mut Out<'_>) -> Result<(), TinyError> {
        let Some(latest) = &self.latest else { return out("e-[No results yet]\r\n") };
        let scores: Vec<_> = latest.scores.iter().map(|score| format!("{score:.3}")).collect();
        let counts: Vec<_> = self.counts.iter().map(u64::to_string).collect();
        out(&format!("m-results-[{}]\r\n", scores.join(",")))?;
        out(&format!("m-exit-[{}]\r\n", latest.exit))?;
        out(&format!("m-exit-counts-[{}]\r\n", counts.join(",")))?;
        out(&format!("m-confidence-[{:.3}]\r\n", latest.confidence))
    }
}

fn say(stream: &mut impl Write, text: &str) -> Result<(), TinyError> {
    write_all(stream, text.as_bytes(), Duration::from_secs(2)).map_err(TinyError::Link)
}

/// A number as C's `atoi` reads it: digits at the beginning, else 0.
fn number(word: &str) -> i64 {
    let end = word
        .char_indices()
        .find(|(at, character)| !(character.is_ascii_digit() || (*at == 0 && *character == '-')))
        .map_or(word.len(), |(at, _)| at);
    word[..end].parse().unwrap_or(0)
}

fn one_line(text: &str) -> String {
    text.replace(['\r', '\n', ']'], " ")
}
