//! What the tests with a simulated board have in common.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::path::Path;
use std::time::{Duration, Instant};

use offramp_firmware_host::sim::{Board, Simulator};
use offramp_firmware_host::{Link, Port, Session};

/// A board under a name that stays, and the folder of that name.
pub fn start(board: Board) -> (Simulator, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let link = Some(folder.path().join("meter"));
    (Simulator::start(Board { link, ..board }, None).unwrap(), folder)
}

pub fn port(path: &Path) -> Port {
    Port::open(path, 921_600, Duration::from_millis(20)).unwrap()
}

pub fn session(path: &Path) -> Session<Port> {
    let link = Link::new(port(path), Duration::from_millis(500));
    Session::open(link, Instant::now(), Duration::from_secs(10)).unwrap()
}
