//! Which of the ports is meant.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Serialize;

use super::error::{PortError, list};

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
        // A name that is there is meant, and so is whatever can only be a path.
        if text.contains('/') || text.starts_with('.') || std::path::Path::new(text).exists() {
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
}
