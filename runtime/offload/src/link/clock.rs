//! Waiting more finely than tokio's timer.

use std::time::{Duration, Instant};

/// tokio's timer counts milliseconds and is late by up to two; a thread's sleep is late by some 50 microseconds.
const COARSE: Duration = Duration::from_millis(2);

/// Waits until `at`, at least.
pub(super) async fn sleep_until(at: Instant) {
    let now = Instant::now();
    if at <= now {
        return;
    }
    if let Some(early) = at.checked_sub(COARSE).filter(|early| *early > now) {
        tokio::time::sleep_until(early.into()).await;
    }
    let rest = move || std::thread::sleep(at.saturating_duration_since(Instant::now()));
    // An error means that the runtime ends, and the link with it.
    let _ = tokio::task::spawn_blocking(rest).await;
}
