//! What only ONNX Runtime does.

use std::path::Path;

use crate::engines::{fixture, library, silence};
use offramp_runtime::backend::ort::{Library, OrtBackend, Pool, Provider, assignments};
use offramp_runtime::backend::{Backend, BackendError, GraphSource, LibraryError, Origin, RunnerOptions};

fn load(path: &Path) -> Result<Library, LibraryError> {
    Library::load(path, Pool::default(), silence())
}

#[test]
fn loading_twice_gives_the_library_that_was_loaded() {
    let Some(library) = library() else { return };
    let again = load(library.path()).unwrap();
    assert_eq!(again.path(), library.path());
    assert_eq!(again.pool(), library.pool());
    assert!(library.version().starts_with("1."), "{}", library.version());
    assert!(library.providers().iter().any(|name| name == Provider::Cpu.engine_name()));
}

#[test]
fn a_file_that_is_not_onnx_runtime_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libonnxruntime.so");
    std::fs::write(&path, "not a library").unwrap();
    // The process may hold a real one by now.
    let error = load(&path).unwrap_err();
    assert!(matches!(error, LibraryError::Load { .. } | LibraryError::Taken { .. }), "{error:?}");
    let error = load(&folder.path().join("nowhere.so")).unwrap_err();
    assert!(matches!(error, LibraryError::Load { .. }), "{error:?}");
}

#[test]
fn a_provider_that_is_not_there_is_an_error_and_not_a_run_on_the_cpu() {
    let Some(library) = library() else { return };
    let path = fixture("residual.onnx");
    for provider in [Provider::Cuda, Provider::TensorRt { fp16: true, cache: None }] {
        if library.providers().iter().any(|name| name == provider.engine_name()) {
            eprintln!("skipped {}: this library has it", provider.name());
            continue;
        }
        let backend = OrtBackend::new(library, provider.clone());
        let graph = GraphSource { label: "segment 0".to_owned(), origin: Origin::File(&path) };
        let Err(error) = backend.prepare(&graph, &RunnerOptions::default()) else {
            panic!("it was prepared")
        };
        let BackendError::Provider { provider: name, source, .. } = &error else { panic!("{error:?}") };
        assert_eq!(*name, provider.name());
        eprintln!("{error}: {source}");
        assert!(!source.to_string().is_empty());
    }
}

#[test]
fn every_node_says_which_provider_ran_it() {
    let Some(library) = library() else { return };
    let (path, scratch) = (fixture("residual.onnx"), tempfile::tempdir().unwrap());
    let graph = GraphSource { label: "whole".to_owned(), origin: Origin::File(&path) };
    let backend = OrtBackend::new(library, Provider::Cpu);
    let runs = assignments(&backend, &graph, &RunnerOptions::default(), scratch.path()).unwrap();
    assert!(runs.iter().any(|run| run.op == "Conv"), "{runs:?}");
    assert!(runs.iter().all(|run| run.provider == Provider::Cpu.engine_name()), "{runs:?}");
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
}
