//! One image through the segments of a bundle.
//!
//! [`prepare`] turns a bundle into a [`pipeline::Pipeline`] for one backend; [`executor`] sends images through it,
//! asking a [`policy`] after every exit; a [`pass`] does so for a whole data set; [`trace`] and [`report`] say what
//! happened. The library never prints, exits
//! or reads the environment.

pub mod backend;
pub mod bench;
pub mod calibrate;
pub mod confidence;
pub mod executor;
pub mod feed;
pub mod meter;
pub mod pacing;
pub mod pass;
pub mod pipeline;
pub mod policy;
pub mod prepare;
pub mod recording;
pub mod remote;
pub mod replay;
pub mod report;
pub mod statistics;
pub mod trace;
