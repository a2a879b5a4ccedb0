//! Lines to a device, made again and again.

use std::time::Duration;

use crate::port::{Port, PortError, PortSelector, list_ports};
use crate::stream::Stream;

/// Gets a line to a device, again and again.
pub trait Connect: Send {
    /// A new line to the device.
    ///
    /// # Errors
    /// [`PortError`].
    fn connect(&mut self) -> Result<Box<dyn Stream>, PortError>;

    /// What it connects to, for people.
    fn name(&self) -> String;
}

/// Connects to a serial port; a USB device is found again when it comes back under another name.
#[derive(Clone, Debug)]
pub struct PortConnect {
    selector: PortSelector,
    baud: u32,
}

impl PortConnect {
    /// Connects to the port that `selector` means, at `baud`.
    #[must_use]
    pub fn new(selector: PortSelector, baud: u32) -> Self {
        Self { selector, baud }
    }
}

impl Connect for PortConnect {
    fn connect(&mut self) -> Result<Box<dyn Stream>, PortError> {
        let port = Port::find(&self.selector, self.baud, Duration::from_millis(50))?;
        if let Ok(found) = list_ports(false) {
            self.selector = self.selector.pinned(port.path(), &found);
        }
        Ok(Box::new(port))
    }

    fn name(&self) -> String {
        self.selector.to_string()
    }
}
