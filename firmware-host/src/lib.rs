//! The host's end of a serial link to a microcontroller.
//!
//! - [`list_ports`] and [`Port`]: which serial ports there are, and opening one.
//! - [`Link`] and [`Session`]: framed messages, a handshake, aligned clocks. `docs/wire.md` has every byte.
//! - [`Recorder`] and [`SerialMeter`]: a power meter that is read in the background and comes back when it was unplugged.
//! - [`csv`]: meters that print one sample per line. [`tiny`]: MLPerf Tiny's protocol, both ends.
//! - [`sim`]: a board that is not there, with a known power and faults on request.
//!
//! Libraries print nothing and read no environment: the command line does.

mod backoff;
mod clock;
pub mod csv;
mod link;
mod measurement;
mod meter;
mod network;
mod port;
mod posix;
mod rails;
mod reading;
mod recorder;
mod series;
mod session;
pub mod sim;
mod stream;
pub mod tiny;

pub use backoff::Backoff;
pub use clock::{Alignment, Clock, Exchange, Located, Ticks};
pub use link::{Link, LinkCounts, LinkError, Received, Sender};
pub use measurement::{EdgeSource, Edges, Measurement};
pub use meter::SerialMeter;
pub use network::{Inference, Network};
pub use port::{FoundPort, Port, PortError, PortSelector, UsbIdentity, list_ports};
pub use rails::{PowerRail, RailsError};
pub use recorder::{Connect, PortConnect, Recorder, RecorderError, Settings, Status, Window};
pub use series::{Series, Sum};
pub use session::{Event, Session};
pub use stream::Stream;
