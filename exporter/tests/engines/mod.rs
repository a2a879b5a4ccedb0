//! The engines that tests run on.

use std::path::Path;

use offramp_runtime::backend::ort::{Library, OrtBackend, Pool, Provider};

/// ONNX Runtime from `ORT_DYLIB_PATH`; says so where the test is skipped.
#[expect(clippy::print_stderr, reason = "a skipped test says why")]
pub fn ort() -> Option<OrtBackend> {
    let Some(path) = std::env::var_os("ORT_DYLIB_PATH") else {
        let required = std::env::var("OFFRAMP_REQUIRE").unwrap_or_default();
        assert!(
            !required.split(',').any(|what| what == "ort"),
            "ONNX Runtime is required, ORT_DYLIB_PATH is not set"
        );
        eprintln!("skipped: ORT_DYLIB_PATH is not set");
        return None;
    };
    // SAFETY: only tests that use `std::env` run beside this.
    let silence = unsafe { offramp_runtime::backend::ort::silence_telemetry() };
    let library = Library::load(Path::new(&path), Pool { threads: Some(1), spinning: false }, silence);
    Some(OrtBackend::new(library.unwrap(), Provider::Cpu))
}
