//! How many connections the system has room for.

use tracing::warn;

/// Open files that are kept for everything else: models, logs, secrets, those who read metrics.
const KEPT: u64 = 128;

/// As many of `wanted` connections as this process may have open. Where the system's limit came first, accepting would fail before
/// anybody could be displaced.
pub(super) fn connections(wanted: usize) -> usize {
    let Some(limit) = files() else { return wanted };
    let room = usize::try_from(limit.saturating_sub(KEPT).max(1)).unwrap_or(usize::MAX);
    if room < wanted {
        warn!(limit, connections = room, wanted, "few open files are allowed (ulimit -n)");
    }
    wanted.min(room)
}

#[cfg(unix)]
fn files() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
fn files() -> Option<u64> {
    None
}
