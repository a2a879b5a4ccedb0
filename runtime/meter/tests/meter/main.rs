//! Sources on boards that are folders, a sampler, and a protocol against waveforms whose energy is known.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod boards;
mod sources;
mod state;
