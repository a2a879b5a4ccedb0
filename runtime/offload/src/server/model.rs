//! A graph that is served: what it takes and gives, ready on one backend.

use offramp_models::{Bundle, BundleError, Tail, TensorSpec, Wire};
use offramp_runtime::backend::{
    Backend, BackendError, Description, GraphSource, Origin, Runner, RunnerOptions,
};

/// A graph's name and the tensors at its edges, as clients see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// What requests call it.
    pub name: String,
    /// What it takes.
    pub inputs: Vec<TensorSpec>,
    /// What it gives.
    pub outputs: Vec<TensorSpec>,
}

/// A graph, prepared.
pub struct Model {
    pub(super) signature: Signature,
    pub(super) runner: Box<dyn Runner>,
    pub(super) description: Description,
    /// For each of the signature's inputs, its place among the runner's.
    pub(super) inputs: Vec<usize>,
    /// For each of the signature's outputs, its place among the runner's.
    pub(super) outputs: Vec<usize>,
}

/// A graph that cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The bundle is not what was written.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The engine cannot prepare it, or cannot run it.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// Its file is not what its signature says.
    #[error("model \"{model}\" {verb} {expected}, its file {verb} {found}")]
    Form {
        /// The model's name.
        model: String,
        /// `takes` or `gives`.
        verb: &'static str,
        /// The tensor of the signature.
        expected: TensorSpec,
        /// What the file has.
        found: String,
    },
    /// Its file takes another number of tensors than its signature says.
    #[error("model \"{model}\" takes {expected} tensors, its file takes {found}")]
    Inputs {
        /// The model's name.
        model: String,
        /// Inputs of the signature.
        expected: usize,
        /// Inputs of the file.
        found: usize,
    },
}

impl Model {
    /// Prepares the tails of `bundle` on `backend` as [`Model::prepare`] does, those of one wire form or all. All files of
    /// its tails are compared with their digests first.
    ///
    /// # Errors
    /// `Bundle` for files that are missing or were changed, else as [`Model::prepare`].
    pub fn tails(
        bundle: &Bundle,
        wire: Option<Wire>,
        backend: &dyn Backend,
        threads: Option<usize>,
    ) -> Result<Vec<Self>, ModelError> {
        let tails = bundle.tails()?.into_iter().filter(|tail| wire.is_none_or(|wire| tail.wire == wire));
        let prepare = |tail: Tail| {
            let file = bundle.dir().join(&tail.file);
            let signature = Signature { name: tail.name, inputs: tail.inputs, outputs: tail.outputs };
            Self::prepare(signature, Origin::File(&file), backend, threads)
        };
        tails.map(prepare).collect()
    }

    /// Prepares `graph` on `backend`, with `threads` inside one operator where the engine has a choice.
    ///
    /// # Errors
    /// `Backend` when the engine cannot run it; `Form` and `Inputs` when it is not the graph of `signature`.
    pub fn prepare(
        signature: Signature,
        graph: Origin<'_>,
        backend: &dyn Backend,
        threads: Option<usize>,
    ) -> Result<Self, ModelError> {
        let source = GraphSource { label: signature.name.clone(), origin: graph };
        let host_outputs = signature.outputs.iter().map(|spec| spec.name.clone()).collect();
        let options = RunnerOptions { threads, host_outputs, ..RunnerOptions::default() };
        let runner = backend.prepare(&source, &options)?;
        let (expected, found) = (signature.inputs.len(), runner.inputs().len());
        if expected != found {
            return Err(ModelError::Inputs { model: signature.name, expected, found });
        }
        let inputs = places(&signature.name, "takes", &signature.inputs, runner.inputs())?;
        let outputs = places(&signature.name, "gives", &signature.outputs, runner.outputs())?;
        Ok(Self { description: backend.describe(), signature, runner, inputs, outputs })
    }

    /// Name and tensors.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// What runs it.
    pub fn backend(&self) -> &Description {
        &self.description
    }
}

impl Signature {
    /// Whether requests can be joined along their first axis: every tensor holds one image per row.
    pub(super) fn joins(&self) -> bool {
        let rows = |spec: &TensorSpec| {
            spec.shape.first() == Some(&None) && spec.shape.iter().skip(1).all(Option::is_some)
        };
        !self.inputs.is_empty() && self.inputs.iter().chain(&self.outputs).all(rows)
    }

    /// The batch that the graph insists on, for a graph that leaves none open.
    pub(super) fn fixed_batch(&self) -> Option<usize> {
        let open = self.inputs.iter().any(|spec| spec.shape.contains(&None));
        let first = self.inputs.first().and_then(|spec| spec.shape.first().copied().flatten());
        if open { None } else { Some(first.unwrap_or(1)) }
    }
}

/// Where each tensor is among those of the file.
fn places(
    model: &str,
    verb: &'static str,
    expected: &[TensorSpec],
    found: &[TensorSpec],
) -> Result<Vec<usize>, ModelError> {
    let place = |spec: &TensorSpec| {
        let place = found.iter().position(|found| agree(spec, found));
        place.ok_or_else(|| {
            let named = found.iter().find(|found| found.name == spec.name);
            ModelError::Form {
                model: model.to_owned(),
                verb,
                expected: spec.clone(),
                found: named.map_or_else(|| "no such tensor".to_owned(), TensorSpec::to_string),
            }
        })
    };
    expected.iter().map(place).collect()
}

/// Whether what a file says of a tensor goes with its specification; a file may leave extents open.
fn agree(spec: &TensorSpec, found: &TensorSpec) -> bool {
    let unranked = found.shape.is_empty();
    let same = |(expected, found): (&Option<usize>, &Option<usize>)| found.is_none() || expected == found;
    spec.name == found.name
        && spec.dtype == found.dtype
        && (unranked
            || spec.shape.len() == found.shape.len() && spec.shape.iter().zip(&found.shape).all(same))
}

#[cfg(test)]
mod tests {
    use offramp_models::DType;
    use offramp_runtime::backend::fake::{FakeBackend, Script};

    use super::*;

    fn spec(name: &str, shape: &[Option<usize>]) -> TensorSpec {
        TensorSpec { name: name.to_owned(), dtype: DType::Float32, shape: shape.to_vec() }
    }

    fn prepare(signature: Signature) -> Result<Model, ModelError> {
        let script = Script {
            inputs: vec![spec("cut", &[None, Some(2)])],
            logits: "exit".to_owned(),
            answers: vec![vec![0.0; 3]],
            ..Script::default()
        };
        let backend = FakeBackend::new().with_script("tail", script);
        Model::prepare(signature, Origin::Bytes(&[]), &backend, None)
    }

    #[test]
    fn a_file_that_is_not_the_signatures_is_refused_by_name() {
        let good = Signature {
            name: "tail".to_owned(),
            inputs: vec![spec("cut", &[None, Some(2)])],
            outputs: vec![spec("exit", &[None, Some(3)])],
        };
        assert_eq!(prepare(good.clone()).unwrap().signature(), &good);
        let cases = [
            (
                Signature { inputs: vec![spec("cut", &[None, Some(4)])], ..good.clone() },
                "model \"tail\" takes \"cut\" float32 [batch, 4], its file takes \"cut\" float32 [batch, 2]",
            ),
            (
                Signature { outputs: vec![spec("final", &[None, Some(3)])], ..good.clone() },
                "model \"tail\" gives \"final\" float32 [batch, 3], its file gives no such tensor",
            ),
            (
                Signature { inputs: vec![], ..good.clone() },
                "model \"tail\" takes 0 tensors, its file takes 1",
            ),
            (Signature { name: "other".to_owned(), ..good }, "fake cannot prepare other"),
        ];
        for (signature, message) in cases {
            assert_eq!(prepare(signature).err().unwrap().to_string(), message);
        }
    }

    #[test]
    fn only_tensors_of_one_row_per_image_are_joined() {
        let of = |shape: &[Option<usize>]| Signature {
            name: "tail".to_owned(),
            inputs: vec![spec("cut", shape)],
            outputs: vec![spec("exit", &[None, Some(3)])],
        };
        assert!(of(&[None, Some(2)]).joins());
        assert!(!of(&[Some(2), None]).joins());
        assert!(!of(&[None, None]).joins());
        assert!(!of(&[Some(1), Some(2)]).joins());
        assert_eq!(of(&[Some(1), Some(2)]).fixed_batch(), Some(1));
        assert_eq!(of(&[None, Some(2)]).fixed_batch(), None);
    }
}
