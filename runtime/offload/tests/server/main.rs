//! A server as its clients meet it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what tests are built of fails as tests do")]

mod access;
mod answers;
mod batching;
mod draining;
mod engines;
mod hostile;
mod mutations;
mod observed;
mod overload;
mod refusals;
mod scanned;
mod scripted;
mod start;
