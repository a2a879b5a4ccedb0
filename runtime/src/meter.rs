//! Energy: joules over a window, with what they cover and how finely they resolve.
//!
//! A meter never knows what runs while it measures; energy per image is attributed by whoever does.

pub use offramp_meter::*;
