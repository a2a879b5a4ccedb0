//! Serial ports: which there are, and opening one. The only module that touches `serialport`.

mod error;
mod selector;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serialport::{SerialPortType, TTYPort};

pub use self::error::PortError;
pub use self::selector::{FoundPort, PortSelector, UsbIdentity};
use crate::posix::{self, Ready};
use crate::stream::Stream;

/// The serial ports of this machine. Ports of which nothing is known, as unused ones of the mainboard, are left out
/// unless `all`.
///
/// # Errors
/// [`PortError::List`].
pub fn list_ports(all: bool) -> Result<Vec<FoundPort>, PortError> {
    // Without libudev, serialport reads this folder and panics where it is missing.
    if cfg!(target_os = "linux") && !Path::new("/sys/class/tty").is_dir() {
        return Ok(Vec::new());
    }
    let ports = serialport::available_ports().map_err(|error| PortError::List(error.into()))?;
    let names = by_id(Path::new("/dev/serial/by-id"));
    let mut found: Vec<_> = ports
        .into_iter()
        .filter_map(|port| {
            let path = PathBuf::from(port.port_name);
            let (usb, product) = match port.port_type {
                SerialPortType::UsbPort(usb) => (
                    Some(UsbIdentity {
                        vendor: usb.vid,
                        product: usb.pid,
                        serial: usb.serial_number,
                        interface: usb.interface,
                    }),
                    usb.product,
                ),
                SerialPortType::Unknown if !all => return None,
                _ => (None, None),
            };
            let by_id = names.iter().find(|(target, _)| *target == path).map(|(_, name)| name.clone());
            Some(FoundPort { path, by_id, usb, product })
        })
        .collect();
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

/// Where the links in `folder` lead, and the links.
fn by_id(folder: &Path) -> Vec<(PathBuf, PathBuf)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| Some((fs::canonicalize(entry.path()).ok()?, entry.path())))
        .collect()
}

/// An open serial port: exclusive, raw, 8N1. Reads and writes wait for its timeout at most.
#[derive(Debug)]
pub struct Port {
    // Holds the lock and the settings for as long as any handle lives.
    terminal: Arc<TTYPort>,
    file: File,
    timeout: Duration,
    path: PathBuf,
}

impl Port {
    /// Opens the port that `selector` means, at `baud`.
    ///
    /// # Errors
    /// [`PortError`], each with its [remedy](PortError::remedy).
    pub fn find(selector: &PortSelector, baud: u32, timeout: Duration) -> Result<Self, PortError> {
        let path = match selector {
            PortSelector::Path(path) => path.clone(),
            _ => selector.resolve(&list_ports(false)?)?,
        };
        Self::open(&path, baud, timeout)
    }

    /// Opens the port at `path`, or the one that a link at `path` leads to.
    ///
    /// # Errors
    /// [`PortError`], each with its [remedy](PortError::remedy).
    pub fn open(path: &Path, baud: u32, timeout: Duration) -> Result<Self, PortError> {
        let real = fs::canonicalize(path).map_err(|error| refusal(path, baud, error))?;
        let terminal = serialport::new(real.to_string_lossy(), baud)
            .timeout(timeout)
            .open_native()
            .map_err(|error| refused(path, baud, error))?;
        let file = posix::duplicate(terminal.as_raw_fd())
            .and_then(|file| posix::never_block(file.as_fd()).map(|()| file))
            .map_err(|source| PortError::Open { path: path.to_owned(), baud, source })?;
        Ok(Self { terminal: Arc::new(terminal), file, timeout, path: path.to_owned() })
    }

    /// What was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn patiently<T>(&self, ready: Ready, mut act: impl FnMut(&File) -> io::Result<T>) -> io::Result<T> {
        let deadline = Instant::now() + self.timeout;
        loop {
            match act(&self.file) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    // A terminal can say that it has room, then take nothing: rest instead of asking on.
                    if posix::wait(self.file.as_fd(), ready, left)? && matches!(ready, Ready::Write) {
                        std::thread::sleep(Duration::from_micros(200));
                    }
                }
                other => return other,
            }
        }
    }
}

/// The error of a port that serialport did not open.
fn refused(path: &Path, baud: u32, error: serialport::Error) -> PortError {
    match error.kind() {
        serialport::ErrorKind::NoDevice => PortError::Held { path: path.to_owned() },
        // It has no kind for this one.
        serialport::ErrorKind::Unknown if error.description == "Not a typewriter" => {
            PortError::NotATerminal { path: path.to_owned() }
        }
        _ => refusal(path, baud, error.into()),
    }
}

fn refusal(path: &Path, baud: u32, source: io::Error) -> PortError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => PortError::Missing { path },
        io::ErrorKind::PermissionDenied => {
            let (mode, group) = fs::metadata(&path)
                .map_or((0, "unknown".to_owned()), |meta| (meta.mode() & 0o7777, group_name(meta.gid())));
            PortError::Denied { path, mode, group }
        }
        _ => PortError::Open { path, baud, source },
    }
}

/// A group's name, or its number where the machine knows no name.
fn group_name(id: u32) -> String {
    let number = id.to_string();
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let name = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then(|| name.to_owned())
    });
    name.unwrap_or(number)
}

impl Read for Port {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.patiently(Ready::Read, |mut file| file.read(buffer))
    }
}

impl Write for Port {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.patiently(Ready::Write, |mut file| file.write(bytes))
    }

    /// Does nothing: waiting until a terminal has sent everything can hang.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Port {
    fn split(&self) -> io::Result<Box<dyn Stream>> {
        let (terminal, path) = (Arc::clone(&self.terminal), self.path.clone());
        Ok(Box::new(Self { terminal, file: self.file.try_clone()?, timeout: self.timeout, path }))
    }
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_stay_lead_to_ports() {
        let folder = tempfile::tempdir().unwrap();
        let port = folder.path().join("ttyACM0");
        fs::write(&port, "").unwrap();
        let ids = folder.path().join("by-id");
        fs::create_dir(&ids).unwrap();
        std::os::unix::fs::symlink("../ttyACM0", ids.join("usb-A7-if00")).unwrap();
        std::os::unix::fs::symlink("../gone", ids.join("usb-B8-if00")).unwrap();
        let real = fs::canonicalize(&port).unwrap();
        assert_eq!(by_id(&ids), [(real, ids.join("usb-A7-if00"))]);
        assert!(by_id(&folder.path().join("absent")).is_empty());
    }

    #[test]
    fn a_missing_right_names_the_group_and_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ttyACM0");
        fs::write(&path, "").unwrap();
        let error = refusal(&path, 115_200, io::ErrorKind::PermissionDenied.into());
        assert!(matches!(&error, PortError::Denied { mode, .. } if *mode & 0o400 != 0), "{error}");
        let denied = PortError::Denied { path: "/dev/ttyACM0".into(), mode: 0o660, group: "dialout".into() };
        insta::assert_snapshot!(denied, @"serial port /dev/ttyACM0 may not be opened: mode 0660, group dialout");
        insta::assert_snapshot!(
            denied.remedy().unwrap(),
            @"join the group with: sudo usermod -aG dialout $USER; then log in again"
        );
        assert!(denied.passes());
    }

    #[test]
    fn what_is_no_port_is_told_by_what_it_is() {
        let open = |path: &str| Port::open(Path::new(path), 115_200, Duration::from_millis(10)).unwrap_err();
        assert!(matches!(open("/dev/absent"), PortError::Missing { .. }));
        assert!(matches!(open("/dev/null"), PortError::NotATerminal { .. }));
        assert!(!open("/dev/null").passes() && open("/dev/absent").passes());
    }

    #[test]
    fn a_port_that_is_held_is_told_as_such_and_opens_when_let_go() {
        let line = posix::Terminal::open().unwrap();
        let open = || Port::open(&line.path, 115_200, Duration::from_millis(10));
        let first = open().unwrap();
        let second = first.split().unwrap();
        assert!(matches!(open(), Err(PortError::Held { .. })));
        drop(first);
        assert!(matches!(open(), Err(PortError::Held { .. })), "a half still holds it");
        drop(second);
        assert!(open().is_ok());
    }

    #[test]
    fn neither_reading_nor_writing_blocks_for_ever() {
        let line = posix::Terminal::open().unwrap();
        let mut port = Port::open(&line.path, 921_600, Duration::from_millis(30)).unwrap();
        let begin = Instant::now();
        assert_eq!(port.read(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(begin.elapsed() >= Duration::from_millis(30));
        let mut taken = 0;
        let error = loop {
            match port.write(&[7; 65_536]) {
                Ok(count) => taken += count,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(taken > 0 && begin.elapsed() < Duration::from_secs(10), "{taken} bytes were taken");
    }

    #[test]
    fn a_line_that_is_hung_up_is_gone() {
        let line = posix::Terminal::open().unwrap();
        let mut port = Port::open(&line.path, 921_600, Duration::from_millis(100)).unwrap();
        drop(line);
        // Linux says so by an error or by the end of the file.
        match port.read(&mut [0; 8]) {
            Ok(count) => assert_eq!(count, 0),
            Err(error) => assert!(crate::stream::is_gone(&error), "{error}"),
        }
        assert!(crate::stream::is_gone(&port.write(b"x").unwrap_err()));
    }
}
