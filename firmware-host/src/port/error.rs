//! What keeps a port from being opened, and what can be done about it.

use std::io;
use std::path::PathBuf;

use super::selector::PortSelector;

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
            Self::Missing { .. } | Self::NoneFound { .. } => Some("plug it in".to_owned()),
            _ => None,
        }
    }

    /// Whether it can help to try again later: a device that is plugged in again, a port that is let go.
    #[must_use]
    pub fn passes(&self) -> bool {
        !matches!(self, Self::Selector { .. } | Self::NotATerminal { .. })
    }
}

/// Paths, one after another.
pub(super) fn list(paths: &[PathBuf]) -> String {
    let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    names.join(", ")
}
