//! A session wired to its tensors.

use std::ffi::CString;
use std::ptr;
use std::sync::Arc;

use ort::AsPointer;
use ort::session::{IoBinding, SharedSessionInner};

use super::super::{Bound, RunError, Value};

/// Runs without a heap allocation of ours. ONNX Runtime runs one session from several threads at once; bindings are
/// never shared.
pub(super) struct OrtBound {
    graph: Arc<str>,
    binding: IoBinding,
    session: Arc<SharedSessionInner>,
    /// Inputs in host memory of a graph that runs elsewhere: ONNX Runtime copies them when they are bound, not when
    /// the graph runs.
    refresh: Vec<(CString, *const ort::sys::OrtValue)>,
    outputs: Vec<Value>,
    /// Keeps the tensors alive that the binding points to.
    _inputs: Vec<Value>,
}

impl OrtBound {
    pub(super) fn new<'n>(
        graph: &Arc<str>,
        session: Arc<SharedSessionInner>,
        binding: IoBinding,
        inputs: Vec<Value>,
        outputs: Vec<Value>,
        refresh: impl Iterator<Item = (&'n str, *const ort::sys::OrtValue)>,
    ) -> ort::Result<Self> {
        let refresh = refresh.map(|(name, value)| Ok((CString::new(name)?, value)));
        Ok(Self {
            graph: Arc::clone(graph),
            binding,
            session,
            refresh: refresh.collect::<ort::Result<_>>()?,
            outputs,
            _inputs: inputs,
        })
    }

    fn run_session(&mut self) -> ort::Result<()> {
        let api = ort::api();
        let binding = self.binding.ptr_mut();
        for (name, value) in &self.refresh {
            // SAFETY: the binding is this object's own, the name ends with NUL, the value is kept by `_inputs`.
            let status = unsafe { (api.BindInput)(binding, name.as_ptr(), *value) };
            // SAFETY: the status comes from the call above and is used once.
            unsafe { ort::Error::result_from_status(status) }?;
        }
        if !self.refresh.is_empty() {
            // SAFETY: the binding is this object's own.
            let status = unsafe { (api.SynchronizeBoundInputs)(binding) };
            // SAFETY: the status comes from the call above and is used once.
            unsafe { ort::Error::result_from_status(status) }?;
        }
        // SAFETY: session and binding belong together and live as long as this object; every bound tensor is kept by
        // `_inputs` and `outputs`; no run options is a documented choice.
        let status = unsafe { (api.RunWithBinding)(self.session.ptr().cast_mut(), ptr::null(), binding) };
        // SAFETY: the status comes from the call above and is used once.
        unsafe { ort::Error::result_from_status(status) }
    }
}

impl Bound for OrtBound {
    fn outputs(&self) -> &[Value] {
        &self.outputs
    }

    fn run(&mut self) -> Result<(), RunError> {
        self.run_session()
            .map_err(|source| RunError::Engine { graph: self.graph.to_string(), source: source.into() })
    }
}
