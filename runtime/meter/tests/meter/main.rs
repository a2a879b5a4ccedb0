//! Sources on boards that are folders, a sampler, and a protocol against waveforms whose energy is known.

#![expect(clippy::print_stdout, reason = "figures stand beside their limits")]
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod boards;
mod protocol;
mod recorder;
mod sampler;
mod simulated;
mod sources;
mod state;
mod truth;
mod waveform;
