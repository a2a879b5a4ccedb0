//! One row of numbers at a moment: what a source is to whoever samples it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::source::tree;

/// Gives the value of every rail of a description, in its order.
pub trait Probe: Send {
    /// Fills `row`, one entry per rail. A rail that fails does not keep the others from being read.
    fn read(&mut self, row: &mut [Result<Sample, Lost>]);
}

/// One value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Microwatts of a rail that gives power, microjoules of a counter.
    pub value: i64,
    /// The step to the next value that the source can show, in the same unit; `None`: unknown.
    pub step: Option<i64>,
}

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Lost {
    /// The file, or the device behind it, is gone.
    Vanished,
    /// The source says to try again: a part that is switched off, or a conversion under way.
    Busy,
    /// What was read is no number.
    NotANumber,
    /// The number cannot be.
    Implausible,
    /// Reading failed in another way.
    Failed,
}

impl Lost {
    /// The reason, for people.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Vanished => "the file or its device is gone",
            Self::Busy => "the source says to try again",
            Self::NotANumber => "what was read is no number",
            Self::Implausible => "what was read cannot be",
            Self::Failed => "reading failed",
        }
    }

    fn of(error: &io::Error) -> Self {
        const ENXIO: i32 = 6;
        const ENODEV: i32 = 19;
        const ESTALE: i32 = 116;
        match (error.kind(), error.raw_os_error()) {
            (io::ErrorKind::NotFound, _) | (_, Some(ENXIO | ENODEV | ESTALE)) => Self::Vanished,
            (io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted, _) => Self::Busy,
            _ => Self::Failed,
        }
    }
}

/// An open file with one number, read in place again and again without allocating.
#[derive(Debug)]
pub struct NumberFile {
    path: PathBuf,
    file: File,
}

impl NumberFile {
    /// Opens `path`.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: tree::open(path)? })
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the number: decimal, a unit after a space ignored (`32760 ma`, as older boards write).
    ///
    /// # Errors
    /// [`Lost`]. After an empty read, or one that says that the device is gone, the path is opened anew: drivers are unbound and
    /// bound again, and the old file stays dead.
    pub fn read(&mut self) -> Result<i64, Lost> {
        let mut buffer = [0; 64];
        let read = self.at_start(&mut buffer).map_err(|error| Lost::of(&error));
        let length = match read {
            Ok(0) | Err(Lost::Vanished) => {
                self.file = tree::open(&self.path).map_err(|error| Lost::of(&error))?;
                self.at_start(&mut buffer).map_err(|error| Lost::of(&error))?
            }
            read => read?,
        };
        number(&buffer[..length]).ok_or(Lost::NotANumber)
    }

    #[cfg(unix)]
    fn at_start(&self, buffer: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.file, buffer, 0)
    }

    #[cfg(not(unix))]
    fn at_start(&self, buffer: &mut [u8]) -> io::Result<usize> {
        use io::{Read as _, Seek as _};
        let mut file = &self.file;
        file.rewind()?;
        file.read(buffer)
    }
}

/// The first word of `text` as a whole number.
fn number(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// How the files of one rail become its value.
#[derive(Debug)]
pub enum Channel {
    /// One file that is multiplied: microwatts, milliwatts or microjoules in it.
    Direct {
        /// The file.
        file: NumberFile,
        /// Its unit in microwatts or microjoules.
        scale: i64,
        /// The step of the value, if known, in microwatts or microjoules.
        step: Option<i64>,
    },
    /// Millivolts and milliamperes, read one after the other.
    Product {
        /// Millivolts.
        volts: NumberFile,
        /// Milliamperes.
        amps: NumberFile,
        /// Steps of both, in millivolts and milliamperes, if known.
        steps: Option<(f64, f64)>,
    },
}

impl Channel {
    fn read(&mut self) -> Result<Sample, Lost> {
        match self {
            Self::Direct { file, scale, step } => {
                let value = file.read()?.checked_mul(*scale).ok_or(Lost::Implausible)?;
                Ok(Sample { value, step: *step })
            }
            Self::Product { volts, amps, steps } => {
                let (volts, amps) = (volts.read()?, amps.read()?);
                let value = volts.checked_mul(amps).ok_or(Lost::Implausible)?;
                // A product moves by a step of either factor times the other.
                let step = steps.map(|(volt, amp)| {
                    (amp * volts.unsigned_abs() as f64 + volt * amps.unsigned_abs() as f64) as i64
                });
                Ok(Sample { value, step })
            }
        }
    }
}

/// Rails that lie in files.
#[derive(Debug)]
pub struct Files {
    channels: Vec<Channel>,
}

impl Files {
    /// One channel per rail.
    pub fn new(channels: Vec<Channel>) -> Self {
        Self { channels }
    }
}

impl Probe for Files {
    fn read(&mut self, row: &mut [Result<Sample, Lost>]) {
        for (channel, entry) in self.channels.iter_mut().zip(row) {
            *entry = channel.read();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_boards_write_them() {
        let cases: [(&[u8], Option<i64>); 9] = [
            (b"5032\n", Some(5032)),
            (b"-3\n", Some(-3)),
            (b"32760 ma\n", Some(32760)),
            (b"", None),
            (b"\n", None),
            (b"N/A\n", None),
            (b"12.5", None),
            (b"99999999999999999999", None),
            (b"\xff\xfe", None),
        ];
        for (text, expected) in cases {
            assert_eq!(number(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_the_system_says_becomes_a_reason() {
        let of = |code| Lost::of(&io::Error::from_raw_os_error(code));
        assert_eq!([2, 6, 19, 116].map(of), [Lost::Vanished; 4]);
        assert_eq!([11, 4].map(of), [Lost::Busy; 2]);
        assert_eq!([5, 121, 110].map(of), [Lost::Failed; 3]);
    }

    #[test]
    fn a_file_is_read_in_place_and_opened_anew_when_it_came_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("power1_input");
        std::fs::write(&path, "100\n").unwrap();
        let mut file = NumberFile::open(&path).unwrap();
        assert_eq!((file.read(), file.read()), (Ok(100), Ok(100)));
        std::fs::write(&path, "7\n").unwrap();
        assert_eq!(file.read(), Ok(7));
        std::fs::write(&path, "").unwrap();
        assert_eq!(file.read(), Err(Lost::NotANumber));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(file.read(), Err(Lost::Vanished));
        std::fs::write(&path, "9\n").unwrap();
        assert_eq!(file.read(), Ok(9));
    }

    #[test]
    fn a_product_too_large_to_be_is_no_value() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            NumberFile::open(&path).unwrap()
        };
        let huge = i64::MAX.to_string();
        let mut channel = Channel::Product { volts: write("v", &huge), amps: write("a", "2"), steps: None };
        assert_eq!(channel.read(), Err(Lost::Implausible));
        let mut channel =
            Channel::Product { volts: write("v", "5000"), amps: write("a", "1000"), steps: Some((8.0, 8.0)) };
        assert_eq!(channel.read(), Ok(Sample { value: 5_000_000, step: Some(48_000) }));
    }
}
