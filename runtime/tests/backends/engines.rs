//! Engines as data, and the fixtures they run.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use offramp_runtime::backend::ort::{Library, OrtBackend, Pool, Provider, Silence, silence_telemetry};
use offramp_runtime::backend::tract::TractBackend;
use offramp_runtime::backend::{Backend, GraphSource, HostTensor, Origin, Runner, RunnerOptions, Value};

/// ONNX Runtime from `ORT_DYLIB_PATH`; without it the tests that need it say so and pass, unless `OFFRAMP_REQUIRE`
/// names `ort`.
pub fn library() -> Option<Library> {
    static LIBRARY: OnceLock<Option<Library>> = OnceLock::new();
    *LIBRARY.get_or_init(|| {
        let Some(path) = std::env::var_os("ORT_DYLIB_PATH") else {
            let required = std::env::var("OFFRAMP_REQUIRE").unwrap_or_default();
            assert!(!required.split(',').any(|name| name == "ort"), "ORT_DYLIB_PATH is not set");
            eprintln!("skipped on ONNX Runtime: ORT_DYLIB_PATH is not set");
            return None;
        };
        Some(Library::load(Path::new(&path), Pool { threads: Some(1), spinning: true }, silence()).unwrap())
    })
}

/// Telemetry off, once.
pub fn silence() -> Silence {
    static SILENCE: OnceLock<Silence> = OnceLock::new();
    // SAFETY: the other threads of a test binary touch the environment through std alone, which locks it; the library,
    // which reads it by itself, is loaded with this proof and thus later.
    *SILENCE.get_or_init(|| unsafe { silence_telemetry() })
}

/// Every engine at hand.
pub fn engines() -> Vec<Box<dyn Backend>> {
    let mut engines: Vec<Box<dyn Backend>> = vec![Box::new(TractBackend::new())];
    engines.extend(
        library().map(|library| Box::new(OrtBackend::new(library, Provider::Cpu)) as Box<dyn Backend>),
    );
    engines
}

/// Path of a fixture.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/backends/fixtures").join(name)
}

/// Prepares a fixture; `host` names the outputs that the test reads.
pub fn prepare(engine: &dyn Backend, name: &str, host: &[&str]) -> Box<dyn Runner> {
    let path = fixture(&format!("{name}.onnx"));
    let graph = GraphSource { label: name.to_owned(), origin: Origin::File(&path) };
    let host_outputs = host.iter().map(|name| (*name).to_owned()).collect();
    engine.prepare(&graph, &RunnerOptions { host_outputs, ..RunnerOptions::default() }).unwrap()
}

/// An input of `runner` holding `image`.
pub fn fill(runner: &dyn Runner, batch: usize, image: HostTensor<'_>) -> Value {
    let value = runner.allocate(0, batch).unwrap();
    value.write(image).unwrap();
    value
}

/// What the host reads from a value.
pub fn read(value: &Value) -> Vec<f32> {
    let mut into = vec![0.0; value.shape().iter().product()];
    value.read(&mut into).unwrap();
    into
}

/// The image and the logits of every exit that the reference gave.
pub fn expected(name: &str) -> (Vec<f32>, Vec<Vec<Vec<f32>>>) {
    let text = std::fs::read(fixture("expected.json")).unwrap();
    let all: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let case = &all[name];
    let image = serde_json::from_value(case["image"].clone()).unwrap();
    (image, serde_json::from_value(case["logits"].clone()).unwrap())
}

/// Fails unless both agree within rounding.
pub fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 1e-4 * expected.abs().max(1.0), "{what}: {found} and {expected}");
    }
}
