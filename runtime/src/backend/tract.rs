//! tract, in pure Rust, linked in.
//!
//! A graph is prepared for one image, because that is what tract runs fastest; a batch is that many images one after
//! another, and choosing images copies nothing. A network that insists on a batch runs at that batch only. Operators
//! run on the calling thread, whatever [`RunnerOptions::threads`] says, and [`Runner::threads`] tells so: tract's own
//! threads would split products of matrices alone, at the price of another thread pool in the binary. Dense convolutions that move by one do not go
//! through im2col and a product of matrices, which is most of tract's time on small images: see `planes`.

mod buffer;
mod direct;
mod element;
mod load;
mod planes;
mod runner;

use super::{Backend, BackendError, Description, GraphSource, Runner, RunnerOptions};

/// The release of tract that is linked in.
const VERSION: &str = "0.23.9";

/// tract on the processor.
#[derive(Clone, Copy, Debug, Default)]
pub struct TractBackend;

impl TractBackend {
    /// The backend; it needs nothing on the machine.
    pub fn new() -> Self {
        Self
    }
}

impl Backend for TractBackend {
    fn describe(&self) -> Description {
        Description { name: "tract", provider: "cpu", version: VERSION.to_owned() }
    }

    fn prepare(
        &self,
        graph: &GraphSource<'_>,
        _options: &RunnerOptions,
    ) -> Result<Box<dyn Runner>, BackendError> {
        Ok(Box::new(runner::TractRunner::new(&graph.label, load::load(graph)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_one_that_is_linked() {
        let lock = include_str!("../../../Cargo.lock");
        assert!(lock.contains(&format!("name = \"tract-onnx\"\nversion = \"{VERSION}\"")));
    }
}
