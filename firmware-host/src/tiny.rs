//! MLPerf Tiny's serial protocol, both ends.
//!
//! [`Host`] drives any device that speaks it, through its [`performance`], [`accuracy`] and [`energy`]
//! modes; [`Device`] puts a [`Network`](crate::Network) behind it, so that MLCommons' runner can drive
//! an early-exit network. Beside the benchmark's own lines, a device of ours says at which exit it stopped; their runner
//! passes such lines by.
//!
//! Source: `benchmark/api/internally_implemented.cpp` and `benchmark/runner` of <https://github.com/mlcommons/tiny>.

mod device;
mod host;
mod lines;
mod modes;

pub use self::device::{Device, MAX_COMMAND, MAX_IMAGE, Mode};
pub use self::host::{Host, HostSettings, Identity, TinyError, TinyInference};
pub use self::lines::{Lines, MAX_LINE, Reply};
pub use self::modes::{Accuracy, EdgeMeter, Energy, Performance, Plan, accuracy, energy, performance};
