//! The later part of a network on another machine.
//!
//! A [`server`] runs tails with the device's own backends and speaks the Open Inference Protocol ([`oip`]); a [`client`] is the
//! runtime's [`Remote`](offramp_runtime::remote::Remote): it decides with a [`placement`] whether images leave the device,
//! sends what crosses the cut and believes no answer that it has not checked ([`tensor`]). A [`link`] between the two is
//! emulated where there is only one machine, and an [`experiment`] tries placements against each other over it. The library never prints, exits or reads the environment.

pub mod client;
pub mod experiment;
pub mod link;
#[cfg(test)]
mod mutations;
pub mod oip;
mod pem;
pub mod placement;
pub mod server;
pub mod tensor;
mod watched;
