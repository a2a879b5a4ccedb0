//! Bytes as a model through everything that the crate does: `cargo +nightly fuzz run model`.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use offramp_graph::ir::ValueInfo;
use offramp_graph::{Model, fuse, partition};

fuzz_target!(|data: &[u8]| {
    let Ok(mut model) = Model::from_bytes(Bytes::copy_from_slice(data)) else { return };
    if model.inline().is_err() {
        return;
    }
    let written = model.to_bytes().expect("what was read can be written");
    let again = Model::from_bytes(written.clone()).expect("what was written can be read");
    assert_eq!(again.to_bytes().expect("and written again"), written);
    let exits: Vec<String> = model.graph.outputs.iter().map(|output| output.name.clone()).collect();
    if let Ok(parts) = partition(&model, &exits, &|name| Some(ValueInfo::float32(name))) {
        fuse(&parts).expect("parts of one model fuse");
    }
});
