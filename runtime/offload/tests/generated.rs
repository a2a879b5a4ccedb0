//! The committed code is what the protocol's definition gives.

use std::path::Path;

#[test]
fn the_generated_code_is_that_of_the_committed_definition() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let files = protox::compile(["open_inference.proto"], [root.join("proto")]).unwrap();
    tonic_prost_build::configure()
        .bytes(".")
        .codec_path("crate::oip::codec::PartedCodec")
        .emit_rerun_if_changed(false)
        .out_dir(folder.path())
        .compile_fds(files)
        .unwrap();
    let made = std::fs::read_to_string(folder.path().join("inference.rs")).unwrap();
    let kept = root.join("src/oip/inference.rs");
    if std::env::var_os("OFFRAMP_REGENERATE").is_some() {
        std::fs::write(&kept, &made).unwrap();
    }
    let kept = std::fs::read_to_string(kept).unwrap_or_default();
    assert!(made == kept, "run this test with OFFRAMP_REGENERATE=1 and commit src/oip/inference.rs");
}
