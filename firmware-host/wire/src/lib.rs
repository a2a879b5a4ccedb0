//! Frames and messages between a microcontroller and its host.
//!
//! Builds without std and without alloc: the firmware and the host share these very lines. The layout of every byte
//! is in `docs/wire.md`, from which the other end can be written in any language. This crate does no I/O and has no
//! clock.
#![no_std]
#![forbid(unsafe_code)]

mod batch;
mod cobs;
mod fields;
mod frame;
mod hello;
mod message;
mod schema;
mod sequence;

pub use batch::{Batch, BatchError, MAX_VALUES};
pub use frame::{
    Decoder, EncodeError, Frame, MAX_FRAME, MAX_PAYLOAD, Rejected, VERSION, encode, encode_payload,
};
pub use hello::{Abilities, Channel, Hello, MAX_CHANNELS, Quantity};
pub use message::{Answer, Fault, MAX_CHUNK, MarkSource, Message, MessageError, Text};
pub use schema::{SCHEMA, SCHEMA_HASH};
pub use sequence::{Arrival, Sequence};
