//! What can go wrong.

use std::io;
use std::time::Duration;

use crate::csv::LayoutError;
use crate::link::LinkError;
use crate::port::PortError;

/// What keeps a recorder from recording.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecorderError {
    /// There is no line to the device.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The device does not answer as it should.
    #[error("{name} is no meter that can be used")]
    Link {
        /// What was connected to.
        name: String,
        /// Why.
        source: LinkError,
    },
    /// There is no thread to record in.
    #[error("no thread to record in")]
    Thread(#[source] io::Error),
    /// Fewer than two edges of the wire were seen in the window.
    #[error("the wire had {found} edges in the window, expected at least 2")]
    NoEdges {
        /// Edges.
        found: usize,
    },
    /// The device never answered a mark of the window.
    #[error("the device stamped {found} of the window's 2 marks")]
    NoMarks {
        /// Marks that were answered.
        found: usize,
    },
    /// No lines with a power.
    #[error("{name} sent no lines with a power in {waited:.1?}, {rejected} that cannot be read")]
    NoLines {
        /// What was connected to.
        name: String,
        /// How long lines were waited for.
        waited: Duration,
        /// Lines that gave no sample.
        rejected: u64,
        /// Why the last header could not be used.
        #[source]
        header: Option<LayoutError>,
    },
    /// Nothing at all was sampled in the window.
    #[error("no sample lies in the window of {window_s:.3} s: {why}")]
    NoSamples {
        /// Length of the window.
        window_s: f64,
        /// What the recorder was at.
        why: String,
    },
}
