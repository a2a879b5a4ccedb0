//! Claims about bundles, data sets and preprocessing, made on generated files.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and says what it skips"
)]

mod archives;
mod bundles;
mod cifar;
mod export;
mod folders;
mod manifests;
mod mutations;
mod preparation;
mod sample;
mod shared;
mod tails;
mod tiny_imagenet;
mod zoo;
