//! One tail, as peers serve it.

use offramp_models::tensor::Shape;
use offramp_models::{Canary, DType, Tail, TensorSpec, Wire};

/// A tail under the name that servers know it by, and a question to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The name; it holds a digest of what the tail computes with.
    pub name: String,
    /// The segment that would run next on the device; 0 takes the image.
    pub cut: usize,
    /// The form in which its inputs are sent.
    pub wire: Wire,
    /// What it takes, in the order in which values are sent.
    pub inputs: Vec<TensorSpec>,
    /// Logits of the exits from the cut on, in order: float32, shape `[batch, classes]`.
    pub outputs: Vec<TensorSpec>,
    /// A known question: the one check of a peer that does not depend on names.
    pub canary: Canary,
}

/// How far a logit of a known answer may be off, relative to the exit's largest where that is above 1. float32: engines add in another
/// order, nothing else.
const TOLERANCE_F32: f32 = 1e-3;
/// uint8: engines may go on with integers and round once more; every label must be the same as well.
const TOLERANCE_U8: f32 = 0.1;

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
    /// A bundle's tail with its known question.
    pub fn of(tail: &Tail, canary: Canary) -> Self {
        let Tail { cut, wire, name, inputs, outputs, .. } = tail.clone();
        Self { name, cut, wire, inputs, outputs, canary }
    }

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
        let classes = self.classes();
        let is_logits = |spec: &&TensorSpec| {
            spec.dtype == DType::Float32
                && matches!(spec.shape[..], [_, Some(found)] if found == classes && found > 0)
        };
        if let Some(odd) = self.outputs.iter().find(|spec| !is_logits(spec)) {
            return Err(ModelError::Logits { found: odd.to_string(), classes });
        }
        let Canary { batch, inputs, logits } = &self.canary;
        let differs = |what: String, expected, found| ModelError::Canary { what, expected, found };
        for (what, expected, found) in
            [("inputs", self.inputs.len(), inputs.len()), ("outputs", self.outputs.len(), logits.len())]
        {
            if expected != found {
                return Err(differs(what.to_owned(), expected, found));
            }
        }
        for (spec, elements) in self.inputs.iter().zip(inputs) {
            let expected = bytes(spec, *batch);
            if elements.len() != expected || *batch == 0 {
                return Err(differs(format!("bytes of \"{}\"", spec.name), expected, elements.len()));
            }
        }
        for (spec, logits) in self.outputs.iter().zip(logits) {
            if logits.len() != batch * classes {
                return Err(differs(format!("logits of \"{}\"", spec.name), batch * classes, logits.len()));
            }
        }
        Ok(())
    }

    /// What is wrong with an answer to the known question, `[outputs, images, classes]` and finite.
    pub(super) fn differs(&self, answer: &[f32]) -> Option<String> {
        let per_exit = (self.canary.batch * self.classes()).max(1);
        let answer: Vec<Vec<f32>> = answer.chunks_exact(per_exit).map(<[f32]>::to_vec).collect();
        let Some(difference) = self.canary.difference(&answer) else {
            return Some("logits of another form".to_owned());
        };
        let tolerance = match self.wire {
            Wire::F32 => TOLERANCE_F32,
            Wire::U8 => TOLERANCE_U8,
        };
        if difference > tolerance {
            return Some(format!("logits are off by {difference}, {tolerance} is allowed"));
        }
        let classes = self.classes().max(1);
        let labels = |logits: &[Vec<f32>]| {
            let rows = logits.iter().flat_map(|exit| exit.chunks_exact(classes));
            rows.map(label).collect::<Vec<_>>()
        };
        let (expected, found) = (labels(&self.canary.logits), labels(&answer));
        (self.wire == Wire::U8 && expected != found)
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
        (dtype != spec.dtype.datatype() || !same).then(|| {
            let expected = format!("\"{}\" {} {}", spec.name, spec.dtype.datatype(), Shape(&spec.shape));
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

    fn spec(name: &str, dtype: DType, extents: &[usize]) -> TensorSpec {
        let shape = std::iter::once(None).chain(extents.iter().map(|extent| Some(*extent))).collect();
        TensorSpec { name: name.to_owned(), dtype, shape }
    }

    /// Two inputs, two exits of three classes, a question about one image.
    pub(in crate::client) fn model() -> Model {
        Model {
            name: "net.0123456789ab.tail1.f32".to_owned(),
            cut: 1,
            wire: Wire::F32,
            inputs: vec![spec("cut", DType::Float32, &[2]), spec("mask", DType::Uint8, &[4])],
            outputs: vec![spec("exit1", DType::Float32, &[3]), spec("exit2", DType::Float32, &[3])],
            canary: Canary {
                batch: 1,
                inputs: vec![vec![0; 8], vec![1; 4]],
                logits: vec![vec![0.0, 1.0, 2.0], vec![30.0, 4.0, 5.0]],
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
            with(|model| model.canary.inputs[1] = Vec::new()),
            "its known question does not fit: expected 4 bytes of \"mask\", got 0"
        );
        assert_eq!(
            with(|model| model.canary.logits[1].truncate(2)),
            "its known question does not fit: expected 3 logits of \"exit2\", got 2"
        );
        assert_eq!(
            with(|model| model.canary.logits.truncate(1)),
            "its known question does not fit: expected 2 outputs, got 1"
        );
        assert_eq!((model().bytes_per_image(), model().logits(4)), (12, 24));
    }

    #[test]
    fn a_known_answer_may_differ_by_rounding_and_by_no_more() {
        let mut model = model();
        let right = model.canary.logits.concat();
        let answer = |at: usize, by: f32| {
            let mut answer = right.clone();
            answer[at] += by;
            answer
        };
        assert_eq!(model.differs(&right), None);
        assert_eq!(model.differs(&answer(3, 0.02)), None, "relative to 30");
        assert_eq!(model.differs(&answer(0, 0.5)).unwrap(), "logits are off by 0.25, 0.001 is allowed");
        assert_eq!(model.differs(&right[1..]).unwrap(), "logits of another form");
        let swapped = [0.0, 2.0, 2.05, 30.0, 4.0, 5.0];
        model.canary.logits[0] = vec![0.0, 2.05, 2.0];
        model.wire = Wire::U8;
        assert_eq!(model.differs(&swapped).unwrap(), "labels are [2, 0], expected [1, 0]");
        assert_eq!(model.differs(&[0.0, 2.0, 1.95, 29.0, 4.0, 5.0]), None);
    }

    #[test]
    fn a_description_may_leave_extents_open_but_not_contradict() {
        let cut = spec("cut", DType::Float32, &[16, 8]);
        let differs = |dtype, shape: &[i64]| Model::described(&cut, (dtype, shape));
        assert_eq!(differs("FP32", &[-1, 16, 8]), None);
        assert_eq!(differs("FP32", &[1, -1, -1]), None);
        let odd =
            [("FP16", &[-1, 16, 8][..]), ("FP32", &[-1, 16]), ("FP32", &[-1, 8, 16]), ("FP32", &[0, 16, 8])];
        for (dtype, shape) in odd {
            assert!(differs(dtype, shape).is_some(), "{dtype} {shape:?}");
        }
    }
}
