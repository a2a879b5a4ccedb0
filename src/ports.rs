//! A serial port as flags name it.

use std::fmt;
use std::str::FromStr;

use offramp_firmware_host::{Port, PortConnect, PortError, PortSelector};

/// What a line runs at unless told otherwise. A device on USB does not care.
pub const BAUD: u32 = 460_800;

/// A port and its speed: `PORT` or `PORT@BAUD`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortFlag {
    /// Which port.
    pub selector: PortSelector,
    /// Bits per second.
    pub baud: u32,
}

impl PortFlag {
    /// What connects to it, again and again.
    pub fn connect(&self) -> Box<PortConnect> {
        Box::new(PortConnect::new(self.selector.clone(), self.baud))
    }

    /// Opens it once; reads give up after `timeout`.
    ///
    /// # Errors
    /// [`PortError`].
    pub fn open(&self, timeout: std::time::Duration) -> Result<Port, PortError> {
        Port::find(&self.selector, self.baud, timeout)
    }
}

impl FromStr for PortFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A path may have an @ too.
        let speed =
            |(port, baud): (&str, &str)| Some((port.to_owned(), baud.parse().ok().filter(|&baud| baud > 0)?));
        let (port, baud) = text.rsplit_once('@').and_then(speed).unwrap_or_else(|| (text.to_owned(), BAUD));
        let selector = port.parse().map_err(|error: PortError| error.to_string())?;
        Ok(Self { selector, baud })
    }
}

impl fmt::Display for PortFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.selector)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_has_a_speed_of_its_own_or_the_usual_one() {
        let read = |text: &str| text.parse::<PortFlag>().map(|port| (port.selector.to_string(), port.baud));
        assert_eq!(read("/dev/ttyUSB0@115200"), Ok(("/dev/ttyUSB0".into(), 115_200)));
        assert_eq!(read("/dev/by-id/a@b"), Ok(("/dev/by-id/a@b".into(), BAUD)));
        assert_eq!(read("/dev/ttyACM0@0").unwrap().1, BAUD);
        assert!(read("ttyACM0").is_err());
    }
}
