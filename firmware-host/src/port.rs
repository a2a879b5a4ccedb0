//! Serial ports: which there are, which one is meant, and opening it. The only module that touches `serialport`.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serialport::{SerialPortType, TTYPort};

use crate::posix::{self, Ready};
use crate::stream::Stream;

/// A port that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundPort {
    /// What to open; changes when a device is plugged in again.
    pub path: PathBuf,
    /// A name that stays, under `/dev/serial/by-id`.
    pub by_id: Option<PathBuf>,
    /// What the device says of itself; `None` where it is not on USB.
    pub usb: Option<UsbIdentity>,
    /// Its own words for itself.
    pub product: Option<String>,
}

/// What tells one USB device from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UsbIdentity {
    /// Vendor.
    pub vendor: u16,
    /// Product.
    pub product: u16,
    /// Serial number, where the device has one.
    pub serial: Option<String>,
    /// Which of its interfaces, where it has several.
    pub interface: Option<u8>,
}

/// Which port is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortSelector {
    /// The only USB port there is.
    Only,
    /// A path, of a device or of a link to one.
    Path(PathBuf),
    /// The port of a USB device.
    Usb {
        /// Vendor and product.
        id: Option<(u16, u16)>,
        /// Serial number.
        serial: Option<String>,
        /// Which of its interfaces.
        interface: Option<u8>,
    },
}

/// What keeps a port from being opened. [`PortError::remedy`] says what can be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// There is no such path.
    #[error("there is no serial port {}", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// It may not be opened by this user.
    #[error("serial port {} may not be opened: mode {mode:04o}, group {group}", path.display())]
    Denied {
        /// The path.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The group that it belongs to.
        group: String,
    },
    /// Another program has it.
    #[error("serial port {} is held by another program", path.display())]
    Held {
        /// The path.
        path: PathBuf,
    },
    /// It is something else.
    #[error("{} is not a serial port", path.display())]
    NotATerminal {
        /// The path.
        path: PathBuf,
    },
    /// It cannot be set up.
    #[error("serial port {} cannot be set to {baud} baud", path.display())]
    Open {
        /// The path.
        path: PathBuf,
        /// The speed.
        baud: u32,
        /// What the system says.
        source: io::Error,
    },
    /// No port is the one that is meant.
    #[error("no serial port is {selector}: {seen}")]
    NoneFound {
        /// What was meant.
        selector: PortSelector,
        /// What there is instead.
        seen: String,
    },
    /// More than one port could be meant.
    #[error("{selector} could be any of {}", list(found))]
    Several {
        /// What was meant.
        selector: PortSelector,
        /// What it could be.
        found: Vec<PathBuf>,
    },
    /// What was asked for names no port.
    #[error(
        "{text:?} names no serial port: expected a path, VENDOR:PRODUCT in hexadecimal, VENDOR:PRODUCT:SERIAL, serial=NUMBER or auto"
    )]
    Selector {
        /// What was asked for.
        text: String,
    },
    /// Ports cannot be listed.
    #[error("serial ports cannot be listed")]
    List(#[source] io::Error),
}

impl PortError {
    /// What the user can do about it.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Denied { group, .. } if group != "root" => {
                Some(format!("join the group with: sudo usermod -aG {group} $USER; then log in again"))
            }
            Self::Denied { path, .. } => {
                Some(format!("grant the right with: sudo chmod a+rw {}", path.display()))
            }
            Self::Held { path } => Some(format!("find the program with: fuser -v {}", path.display())),
            Self::Several { found, .. } => {
                found.first().map(|path| format!("name one of them, as with {}", path.display()))
            }
            Self::Missing { .. } | Self::NoneFound { .. } => {
                Some("plug it in, or list what there is".to_owned())
            }
            _ => None,
        }
    }

    /// Whether it can help to try again later: a device that is plugged in again, a port that is let go.
    #[must_use]
    pub fn passes(&self) -> bool {
        !matches!(self, Self::Selector { .. } | Self::NotATerminal { .. })
    }
}

fn list(paths: &[PathBuf]) -> String {
    let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    names.join(", ")
}

impl fmt::Display for PortSelector {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Only => write!(to, "the only USB port"),
            Self::Path(path) => write!(to, "{}", path.display()),
            Self::Usb { id, serial, interface } => {
                write!(to, "a USB device")?;
                if let Some((vendor, product)) = id {
                    write!(to, " {vendor:04x}:{product:04x}")?;
                }
                if let Some(serial) = serial {
                    write!(to, " with serial number {serial}")?;
                }
                if let Some(interface) = interface {
                    write!(to, ", interface {interface}")?;
                }
                Ok(())
            }
        }
    }
}

impl FromStr for PortSelector {
    type Err = PortError;

    /// A path, `VENDOR:PRODUCT`, `VENDOR:PRODUCT:SERIAL`, `serial=NUMBER` or `auto`.
    fn from_str(text: &str) -> Result<Self, PortError> {
        let wrong = || PortError::Selector { text: text.to_owned() };
        if text == "auto" {
            return Ok(Self::Only);
        }
        if text.starts_with(['/', '.']) {
            return Ok(Self::Path(text.into()));
        }
        if let Some(serial) = text.strip_prefix("serial=").filter(|serial| !serial.is_empty()) {
            return Ok(Self::Usb { id: None, serial: Some(serial.to_owned()), interface: None });
        }
        let hex = |part: &str| u16::from_str_radix(part, 16).map_err(|_| wrong());
        let mut parts = text.splitn(3, ':');
        let (Some(vendor), Some(product)) = (parts.next(), parts.next()) else { return Err(wrong()) };
        let serial = parts.next().map(str::to_owned).filter(|serial| !serial.is_empty());
        Ok(Self::Usb { id: Some((hex(vendor)?, hex(product)?)), serial, interface: None })
    }
}

impl PortSelector {
    /// The path of the port that is meant, out of `found`.
    ///
    /// # Errors
    /// [`PortError::NoneFound`], or [`PortError::Several`] where two devices are alike.
    pub fn resolve(&self, found: &[FoundPort]) -> Result<PathBuf, PortError> {
        let fits = |port: &&FoundPort| match (self, &port.usb) {
            (Self::Path(_), _) => false,
            (Self::Only, usb) => usb.is_some(),
            (Self::Usb { .. }, None) => false,
            (Self::Usb { id, serial, interface }, Some(usb)) => {
                id.is_none_or(|id| id == (usb.vendor, usb.product))
                    && (serial.is_none() || *serial == usb.serial)
                    && (interface.is_none() || *interface == usb.interface)
            }
        };
        if let Self::Path(path) = self {
            return Ok(path.clone());
        }
        let fitting: Vec<_> = found.iter().filter(fits).map(|port| port.path.clone()).collect();
        match &fitting[..] {
            [only] => Ok(only.clone()),
            [] if found.is_empty() => {
                Err(PortError::NoneFound { selector: self.clone(), seen: "there are no ports".to_owned() })
            }
            [] => {
                let seen: Vec<_> = found.iter().map(|port| port.path.clone()).collect();
                Err(PortError::NoneFound {
                    selector: self.clone(),
                    seen: format!("there are {}", list(&seen)),
                })
            }
            _ => Err(PortError::Several { selector: self.clone(), found: fitting }),
        }
    }

    /// A selector that finds the device behind `path` again when it comes back under another name; itself where the
    /// device has no name of its own.
    #[must_use]
    pub fn pinned(&self, path: &Path, found: &[FoundPort]) -> Self {
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        match found.iter().find(|port| port.path == real).and_then(|port| port.usb.clone()) {
            Some(UsbIdentity { vendor, product, serial: Some(serial), interface }) => {
                Self::Usb { id: Some((vendor, product)), serial: Some(serial), interface }
            }
            _ => self.clone(),
        }
    }
}

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

    fn found(path: &str, serial: &str) -> FoundPort {
        let usb =
            UsbIdentity { vendor: 0x0483, product: 0x5740, serial: Some(serial.to_owned()), interface: None };
        FoundPort { path: path.into(), by_id: None, usb: Some(usb), product: None }
    }

    #[test]
    fn selectors_read_as_they_are_written() {
        let usb = |id, serial: Option<&str>| PortSelector::Usb {
            id,
            serial: serial.map(str::to_owned),
            interface: None,
        };
        for (text, expected) in [
            ("auto", PortSelector::Only),
            ("/dev/ttyACM0", PortSelector::Path("/dev/ttyACM0".into())),
            ("0483:5740", usb(Some((0x0483, 0x5740)), None)),
            ("0483:5740:A:7", usb(Some((0x0483, 0x5740)), Some("A:7"))),
            ("serial=A7", usb(None, Some("A7"))),
        ] {
            assert_eq!(text.parse::<PortSelector>().unwrap(), expected);
        }
        for wrong in ["", "ttyACM0", "0483", "0483:zz", "serial="] {
            assert!(matches!(wrong.parse::<PortSelector>(), Err(PortError::Selector { .. })), "{wrong}");
        }
    }

    #[test]
    fn two_meters_alike_are_told_apart_by_serial_number_only() {
        let ports = [found("/dev/ttyACM0", "A1"), found("/dev/ttyACM1", "A2")];
        let alike: PortSelector = "0483:5740".parse().unwrap();
        let error = alike.resolve(&ports).unwrap_err();
        insta::assert_snapshot!(error, @"a USB device 0483:5740 could be any of /dev/ttyACM0, /dev/ttyACM1");
        insta::assert_snapshot!(error.remedy().unwrap(), @"name one of them, as with /dev/ttyACM0");
        let second: PortSelector = "0483:5740:A2".parse().unwrap();
        assert_eq!(second.resolve(&ports).unwrap(), Path::new("/dev/ttyACM1"));
        assert!(matches!(PortSelector::Only.resolve(&ports), Err(PortError::Several { .. })));
        insta::assert_snapshot!(
            "1a86:7523".parse::<PortSelector>().unwrap().resolve(&ports).unwrap_err(),
            @"no serial port is a USB device 1a86:7523: there are /dev/ttyACM0, /dev/ttyACM1"
        );
        insta::assert_snapshot!(
            PortSelector::Only.resolve(&[]).unwrap_err(),
            @"no serial port is the only USB port: there are no ports"
        );
    }

    #[test]
    fn a_device_is_found_again_under_another_name() {
        let by_path = PortSelector::Path("/dev/ttyACM1".into());
        let pinned = by_path.pinned(Path::new("/dev/ttyACM1"), &[found("/dev/ttyACM1", "A2")]);
        let replugged = [found("/dev/ttyACM0", "A1"), found("/dev/ttyACM5", "A2")];
        assert_eq!(pinned.resolve(&replugged).unwrap(), Path::new("/dev/ttyACM5"));
        assert_eq!(by_path.pinned(Path::new("/dev/pts/3"), &replugged), by_path);
    }

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
