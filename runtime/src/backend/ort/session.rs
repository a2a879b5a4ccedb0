//! Sessions that fail closed.

use std::path::Path;

use ort::ep::{CUDA, ExecutionProviderDispatch, TensorRT};
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use super::super::{BackendError, GraphSource, Origin, RunnerOptions};
use super::{Engine, Provider, log, operator};

/// Loads a graph on the engine's provider; `profile` names the file that its runs are recorded in.
pub(super) fn commit(
    engine: &Engine,
    graph: &GraphSource<'_>,
    options: &RunnerOptions,
    profile: Option<&Path>,
) -> Result<Session, BackendError> {
    log::clear();
    let session = configure(engine, options, profile).and_then(|mut builder| match graph.origin {
        Origin::File(path) => builder.commit_from_file(path),
        Origin::Bytes(bytes) => builder.commit_from_memory(bytes),
    });
    session.map_err(|error| refusal(&engine.provider, &graph.label, error))
}

fn configure(
    engine: &Engine,
    options: &RunnerOptions,
    profile: Option<&Path>,
) -> ort::Result<SessionBuilder> {
    let pool = engine.library.pool();
    let level = match options.as_is {
        true => GraphOptimizationLevel::Disable,
        false => GraphOptimizationLevel::All,
    };
    let mut builder = Session::builder(engine.library.environment())?.with_optimization_level(level)?;
    if options.threads.is_some() && options.threads != pool.threads {
        builder = builder
            .with_independent_thread_pool()?
            .with_intra_threads(options.threads.unwrap_or(0))?
            .with_inter_threads(1)?
            .with_intra_op_spinning(pool.spinning)?;
    }
    if let Some(path) = &options.save_optimised {
        builder = builder.with_optimized_model_path(path)?;
    }
    if let Some(path) = profile {
        builder = builder.with_profiling(path)?;
    }
    let providers = dispatch(&engine.provider);
    if !providers.is_empty() {
        builder = builder.with_disable_cpu_fallback()?.with_execution_providers(providers)?;
    }
    Ok(builder)
}

fn dispatch(provider: &Provider) -> Vec<ExecutionProviderDispatch> {
    match provider {
        Provider::Cpu => Vec::new(),
        Provider::Cuda => vec![CUDA::default().with_device_id(0).build().error_on_failure()],
        Provider::TensorRt { fp16, cache } => {
            let mut tensorrt = TensorRT::default().with_device_id(0).with_fp16(*fp16);
            if let Some(cache) = cache.as_ref().and_then(|cache| cache.to_str()) {
                tensorrt = tensorrt
                    .with_engine_cache(true)
                    .with_engine_cache_path(cache)
                    .with_timing_cache(true)
                    .with_timing_cache_path(cache);
            }
            vec![tensorrt.build().error_on_failure()]
        }
    }
}

fn refusal(provider: &Provider, graph: &str, error: ort::Error) -> BackendError {
    let graph = graph.to_owned();
    if let Some((op, node)) = operator::missing(error.message()) {
        return BackendError::Operator { backend: "ort", op, node, graph };
    }
    let source = log::explain(error);
    match provider {
        Provider::Cpu => BackendError::Prepare { backend: "ort", graph, source },
        other => BackendError::Provider { provider: other.name(), graph, source },
    }
}
