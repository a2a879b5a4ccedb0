//! One tail, as peers serve it.

use bytes::Bytes;
use offramp_models::tensor::Shape;
use offramp_models::{DType, TensorSpec};

use crate::tensor::datatype;

/// A tail under the name that servers know it by.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The name; it holds a digest of what the tail computes with.
    pub name: String,
    /// The segment that would run next on the device; 0 takes the image.
    pub cut: usize,
    /// What it takes, in the order in which values are sent.
    pub inputs: Vec<TensorSpec>,
    /// Logits of the exits from the cut on, in order: float32, shape `[batch, classes]`.
    pub outputs: Vec<TensorSpec>,
    /// A question to it, and the answer.
    pub canary: Canary,
}

/// A known question: the one check of a peer that does not depend on names.
#[derive(Clone, Debug, PartialEq)]
pub struct Canary {
    /// Images asked about.
    pub images: usize,
    /// Little-endian elements of every input.
    pub inputs: Vec<Bytes>,
    /// Logits of every output, one after the other: shape `[outputs, images, classes]`.
    pub logits: Vec<f32>,
    /// How far an answer may be from these.
    pub tolerance: Tolerance,
}

/// How far an answer may be from the expected one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Of a logit, relative to itself where it is above 1.
    pub logits: f32,
    /// Whether every label must be the same as well.
    pub labels: bool,
}

impl Tolerance {
    /// For float32 on the wire: engines add in another order, nothing else.
    pub const F32: Self = Self { logits: 1e-3, labels: false };
    /// For uint8 on the wire: engines may go on with integers, and round once more.
    pub const U8: Self = Self { logits: 0.1, labels: true };
}

/// A model that no request can be made for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Nothing is sent, or nothing comes back.
    #[error("it has {inputs} inputs and {outputs} outputs")]
    Empty {
        /// Inputs.
        inputs: usize,
        /// Outputs.
        outputs: usize,
    },
    /// A type that the protocol does not name.
    #[error("{tensor} is of a type that the protocol does not carry")]
    Datatype {
        /// The tensor.
        tensor: String,
    },
    /// An output that is no logits.
    #[error("{found} is no logits: expected float32 [batch, {classes}]")]
    Logits {
        /// The output.
        found: String,
        /// Classes of the first output.
        classes: usize,
    },
    /// A known question that does not fit the model.
    #[error("its known question does not fit: expected {expected} {what}, got {found}")]
    Canary {
        /// `bytes of "cut"`, `logits` and so on.
        what: String,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
}

impl Model {
    /// Classes of its exits.
    pub fn classes(&self) -> usize {
        self.outputs.first().and_then(|logits| logits.shape.last().copied().flatten()).unwrap_or(0)
    }

    /// Bytes that cross the cut for one image.
    pub fn bytes_per_image(&self) -> usize {
        self.inputs.iter().map(TensorSpec::bytes_per_image).sum()
    }

    /// Elements of an answer about `images`.
    pub(super) fn logits(&self, images: usize) -> usize {
        self.outputs.len() * images * self.classes()
    }

    /// # Errors
    /// [`ModelError`]: what a request cannot be made with.
    pub(super) fn check(&self) -> Result<(), ModelError> {
        let (inputs, outputs) = (self.inputs.len(), self.outputs.len());
        if inputs == 0 || outputs == 0 {
            return Err(ModelError::Empty { inputs, outputs });
        }
        if let Some(odd) = self.inputs.iter().find(|spec| datatype(spec.dtype).is_empty()) {
            return Err(ModelError::Datatype { tensor: odd.to_string() });
        }
        let classes = self.classes();
        let is_logits = |spec: &&TensorSpec| {
            spec.dtype == DType::Float32
                && matches!(spec.shape[..], [_, Some(found)] if found == classes && found > 0)
        };
        if let Some(odd) = self.outputs.iter().find(|spec| !is_logits(spec)) {
            return Err(ModelError::Logits { found: odd.to_string(), classes });
        }
        let Canary { images, inputs, logits, .. } = &self.canary;
        let differs = |what: String, expected, found| ModelError::Canary { what, expected, found };
        if inputs.len() != self.inputs.len() {
            return Err(differs("inputs".to_owned(), self.inputs.len(), inputs.len()));
        }
        for (spec, elements) in self.inputs.iter().zip(inputs) {
            let expected = bytes(spec, *images);
            if elements.len() != expected || *images == 0 {
                return Err(differs(format!("bytes of \"{}\"", spec.name), expected, elements.len()));
            }
        }
        if logits.len() != self.logits(*images) {
            return Err(differs("logits".to_owned(), self.logits(*images), logits.len()));
        }
        Ok(())
    }

    /// What is wrong with an answer to the known question, `[outputs, images, classes]` and finite.
    pub(super) fn differs(&self, answer: &[f32]) -> Option<String> {
        let Canary { logits, tolerance, .. } = &self.canary;
        let apart = |(expected, found): (&f32, &f32)| {
            (expected - found).abs() > tolerance.logits * expected.abs().max(1.0)
        };
        if let Some(at) = logits.iter().zip(answer).position(apart) {
            let (expected, found) = (logits[at], answer.get(at).copied().unwrap_or(f32::NAN));
            return Some(format!("logit {at} is {found}, expected {expected} within {}", tolerance.logits));
        }
        let classes = self.classes().max(1);
        let labels = |logits: &[f32]| logits.chunks_exact(classes).map(label).collect::<Vec<_>>();
        let (expected, found) = (labels(logits), labels(answer));
        (tolerance.labels && expected != found)
            .then(|| format!("labels are {found:?}, expected {expected:?}"))
    }

    /// What differs between a peer's description of a tensor and `spec`; a peer's -1 stands for any extent.
    pub(super) fn described(spec: &TensorSpec, found: (&str, &[i64])) -> Option<(String, String)> {
        let (dtype, shape) = found;
        let fits = |(extent, found): (&Option<usize>, &i64)| match extent {
            Some(extent) => *found == -1 || usize::try_from(*found) == Ok(*extent),
            None => *found == -1 || *found > 0,
        };
        let same = spec.shape.len() == shape.len() && spec.shape.iter().zip(shape).all(fits);
        (dtype != datatype(spec.dtype) || !same).then(|| {
            let expected = format!("\"{}\" {} {}", spec.name, datatype(spec.dtype), Shape(&spec.shape));
            (expected, format!("{dtype} {shape:?}"))
        })
    }
}

/// Bytes of a tensor for `images`.
pub(super) fn bytes(spec: &TensorSpec, images: usize) -> usize {
    spec.shape.iter().map(|extent| extent.unwrap_or(images)).product::<usize>() * spec.dtype.size()
}

/// The lowest class with the largest logit.
fn label(logits: &[f32]) -> usize {
    let mut best = 0;
    for (class, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = class;
        }
    }
    best
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::client) fn spec(name: &str, dtype: DType, extents: &[usize]) -> TensorSpec {
        let shape = std::iter::once(None).chain(extents.iter().map(|extent| Some(*extent))).collect();
        TensorSpec { name: name.to_owned(), dtype, shape }
    }

    /// Two inputs, two exits of three classes, a question about one image.
    pub(in crate::client) fn model() -> Model {
        Model {
            name: "net.0123456789ab.tail1.f32".to_owned(),
            cut: 1,
            inputs: vec![spec("cut", DType::Float32, &[2]), spec("mask", DType::Uint8, &[4])],
            outputs: vec![spec("exit1", DType::Float32, &[3]), spec("exit2", DType::Float32, &[3])],
            canary: Canary {
                images: 1,
                inputs: vec![Bytes::from_static(&[0; 8]), Bytes::from_static(&[1; 4])],
                logits: vec![0.0, 1.0, 2.0, 30.0, 4.0, 5.0],
                tolerance: Tolerance::F32,
            },
        }
    }

    #[test]
    fn a_model_that_cannot_be_asked_says_what_is_wrong_with_it() {
        assert_eq!(model().check(), Ok(()));
        let with = |change: fn(&mut Model)| {
            let mut model = model();
            change(&mut model);
            model.check().unwrap_err().to_string()
        };
        assert_eq!(with(|model| model.inputs.clear()), "it has 0 inputs and 2 outputs");
        assert_eq!(
            with(|model| model.outputs[1].dtype = DType::Float16),
            "\"exit2\" float16 [batch, 3] is no logits: expected float32 [batch, 3]"
        );
        assert_eq!(
            with(|model| model.canary.inputs[1] = Bytes::new()),
            "its known question does not fit: expected 4 bytes of \"mask\", got 0"
        );
        assert_eq!(
            with(|model| model.canary.logits.truncate(5)),
            "its known question does not fit: expected 6 logits, got 5"
        );
        assert_eq!((model().bytes_per_image(), model().logits(4)), (12, 24));
    }

    #[test]
    fn a_known_answer_may_differ_by_rounding_and_by_no_more() {
        let mut model = model();
        let answer = |at: usize, by: f32| {
            let mut answer = model.canary.logits.clone();
            answer[at] += by;
            answer
        };
        assert_eq!(model.differs(&answer(2, 0.0)), None);
        assert_eq!(model.differs(&answer(3, 0.02)), None, "relative to 30");
        assert!(model.differs(&answer(3, 0.04)).unwrap().starts_with("logit 3 is 30.04"));
        let swapped = [0.0, 2.0, 2.05, 30.0, 4.0, 5.0];
        model.canary.logits = vec![0.0, 2.05, 2.0, 30.0, 4.0, 5.0];
        model.canary.tolerance = Tolerance::U8;
        assert_eq!(model.differs(&swapped).unwrap(), "labels are [2, 0], expected [1, 0]");
        model.canary.tolerance.labels = false;
        assert_eq!(model.differs(&swapped), None);
    }

    #[test]
    fn a_description_may_leave_extents_open_but_not_contradict() {
        let cut = spec("cut", DType::Float32, &[16, 8]);
        let differs = |dtype, shape: &[i64]| Model::described(&cut, (dtype, shape));
        assert_eq!(differs("FP32", &[-1, 16, 8]), None);
        assert_eq!(differs("FP32", &[1, -1, -1]), None);
        for (dtype, shape) in
            [("FP16", &[-1, 16, 8][..]), ("FP32", &[-1, 16]), ("FP32", &[-1, 8, 16]), ("FP32", &[0, 16, 8])]
        {
            assert!(differs(dtype, shape).is_some(), "{dtype} {shape:?}");
        }
    }
}
