//! Answers, believed only as far as they can be checked.

use bytes::Bytes;
use prost::Message;

use super::model::Model;
use crate::oip::infer_parameter::ParameterChoice;
use crate::oip::model_infer_response::InferOutputTensor;
use crate::oip::{ModelInferResponse, SERVER_US};
use crate::tensor::{self, Described, TensorError};

/// An answer that cannot be one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// No message at all.
    #[error("it is empty")]
    Empty,
    /// More than one message: which of them is meant?
    #[error("there are several")]
    Several,
    /// Bytes that are no message.
    #[error("it is no message of the protocol")]
    Decode {
        /// The decoder's reason.
        #[source]
        source: prost::DecodeError,
    },
    /// The answer of another model.
    #[error("it is of model \"{found}\", \"{expected}\" was asked")]
    Model {
        /// The model asked.
        expected: String,
        /// The model that answers.
        found: String,
    },
    /// An output that is not there.
    #[error("output \"{tensor}\" is missing")]
    Missing {
        /// The output.
        tensor: String,
    },
    /// An output that is there twice.
    #[error("output \"{tensor}\" comes twice")]
    Twice {
        /// The output.
        tensor: String,
    },
    /// Elements for another number of outputs.
    #[error("it has elements for {found} of {expected} outputs")]
    Contents {
        /// Outputs.
        expected: usize,
        /// Fields with elements.
        found: usize,
    },
    /// An output that is not what the model gives.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

/// An answer that was checked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reply {
    /// Shape `[outputs, images, classes]`, finite.
    pub(super) logits: Vec<f32>,
    /// How long the peer says that it took.
    pub(super) server: Option<std::time::Duration>,
}

/// Bytes that an answer may have: names and parameters beside the logits, typed or raw.
pub(super) fn most(model: &Model, images: usize) -> usize {
    const BESIDE: usize = 64 << 10;
    BESIDE.saturating_add(model.logits(images).saturating_mul(8))
}

/// The answer of `model` about `images`, out of a message.
///
/// # Errors
/// [`ReplyError`] for everything that is not the model's outputs, whole and finite.
pub(super) fn check(model: &Model, images: usize, message: Bytes) -> Result<Reply, ReplyError> {
    if message.is_empty() {
        return Err(ReplyError::Empty);
    }
    let response = ModelInferResponse::decode(message).map_err(|source| ReplyError::Decode { source })?;
    if !response.model_name.is_empty() && response.model_name != model.name {
        return Err(ReplyError::Model { expected: model.name.clone(), found: response.model_name });
    }
    let raw = &response.raw_output_contents;
    if !raw.is_empty() && raw.len() != response.outputs.len() {
        return Err(ReplyError::Contents { expected: response.outputs.len(), found: raw.len() });
    }
    let mut logits = Vec::with_capacity(model.logits(images));
    for spec in &model.outputs {
        let mut named = response.outputs.iter().enumerate().filter(|(_, output)| output.name == spec.name);
        let tensor = || spec.name.clone();
        let (at, output) = named.next().ok_or_else(|| ReplyError::Missing { tensor: tensor() })?;
        if named.next().is_some() {
            return Err(ReplyError::Twice { tensor: tensor() });
        }
        let typed;
        let bytes = match raw.get(at) {
            Some(bytes) => bytes.as_ref(),
            None => {
                typed = elements(output);
                typed.as_slice()
            }
        };
        let InferOutputTensor { name, datatype, shape, .. } = output;
        let found = tensor::images(spec, Described { name, datatype, shape, bytes })?;
        // A model that insists on a batch says nothing about how many of its rows are meant.
        if spec.shape.first() == Some(&None) && found != images {
            return Err(TensorError::Batch { tensor: tensor(), expected: images, found }.into());
        }
        tensor::finite(&spec.name, bytes, &mut logits)?;
    }
    let expected = model.logits(images);
    if logits.len() != expected {
        return Err(ReplyError::Contents { expected, found: logits.len() });
    }
    let server = response.parameters.get(SERVER_US).and_then(|parameter| match parameter.parameter_choice {
        Some(ParameterChoice::Int64Param(micros)) => u64::try_from(micros).ok(),
        Some(ParameterChoice::Uint64Param(micros)) => Some(micros),
        _ => None,
    });
    Ok(Reply { logits, server: server.map(std::time::Duration::from_micros) })
}

/// Elements that came typed, as they would have come raw.
fn elements(output: &InferOutputTensor) -> Vec<u8> {
    let contents = output.contents.iter().flat_map(|contents| &contents.fp32_contents);
    contents.flat_map(|element| element.to_le_bytes()).collect()
}

#[cfg(test)]
mod mutated;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::model::tests::model;
    use crate::oip::{InferParameter, InferTensorContents};

    pub(super) fn logits(images: usize) -> Vec<f32> {
        (0..2 * images * 3).map(|at| at as f32 / 2.0).collect()
    }

    /// The right answer, raw.
    pub(super) fn answer(images: usize) -> ModelInferResponse {
        let output = |name: &str| InferOutputTensor {
            name: name.to_owned(),
            datatype: "FP32".to_owned(),
            shape: vec![images as i64, 3],
            ..InferOutputTensor::default()
        };
        let raw = |logits: &[f32]| logits.iter().flat_map(|logit| logit.to_le_bytes()).collect();
        ModelInferResponse {
            model_name: model().name,
            outputs: vec![output("exit1"), output("exit2")],
            raw_output_contents: logits(images).chunks(images * 3).map(raw).collect(),
            ..ModelInferResponse::default()
        }
    }

    fn checked(images: usize, response: &ModelInferResponse) -> Result<Reply, ReplyError> {
        check(&model(), images, response.encode_to_vec().into())
    }

    #[test]
    fn raw_and_typed_answers_are_taken_in_any_order_of_outputs() {
        let expected = Reply { logits: logits(2), server: None };
        let raw = answer(2);
        assert_eq!(checked(2, &raw), Ok(expected.clone()));
        let mut turned = raw.clone();
        turned.outputs.reverse();
        turned.raw_output_contents.reverse();
        assert_eq!(checked(2, &turned), Ok(expected.clone()));
        let mut typed = raw.clone();
        typed.raw_output_contents.clear();
        for (output, logits) in typed.outputs.iter_mut().zip(logits(2).chunks(6)) {
            output.contents = Some(InferTensorContents {
                fp32_contents: logits.to_vec(),
                ..InferTensorContents::default()
            });
        }
        assert_eq!(checked(2, &typed), Ok(expected.clone()));
        // MLServer leaves an empty message beside the raw elements.
        let mut both = raw;
        both.outputs[0].contents = Some(InferTensorContents::default());
        both.model_name.clear();
        assert_eq!(checked(2, &both), Ok(expected));
    }

    #[test]
    fn a_peer_that_says_how_long_it_took_is_heard() {
        let mut response = answer(1);
        for (choice, expected) in [
            (ParameterChoice::Int64Param(1500), Some(1500)),
            (ParameterChoice::Uint64Param(7), Some(7)),
            (ParameterChoice::Int64Param(-1), None),
            (ParameterChoice::StringParam("fast".into()), None),
        ] {
            let parameter = InferParameter { parameter_choice: Some(choice) };
            response.parameters = [(SERVER_US.to_owned(), parameter)].into();
            let server = checked(1, &response).unwrap().server;
            assert_eq!(server, expected.map(std::time::Duration::from_micros));
        }
    }

    #[test]
    fn whatever_is_wrong_with_an_answer_is_named() {
        let with = |change: &dyn Fn(&mut ModelInferResponse)| {
            let mut response = answer(2);
            change(&mut response);
            checked(2, &response).unwrap_err().to_string()
        };
        type Change<'a> = &'a dyn Fn(&mut ModelInferResponse);
        let cases: [(Change<'_>, &str); 11] = [
            (&|r| r.raw_output_contents[1] = Bytes::new(), "tensor \"exit2\" of 24 bytes came with 0"),
            (
                &|r| r.raw_output_contents[1] = Bytes::from_static(&[0; 20]),
                "tensor \"exit2\" of 24 bytes came with 20",
            ),
            (
                &|r| r.raw_output_contents[0] = f32::NAN.to_le_bytes().repeat(6).into(),
                "tensor \"exit1\" holds NaN at element 0",
            ),
            (&|r| r.outputs[0].shape = vec![3, 2], "tensor \"exit1\" has shape [batch, 3], got [3, 2]"),
            (&|r| r.outputs[0].datatype = "FP64".into(), "tensor \"exit1\" is of FP32, got \"FP64\""),
            (&|r| r.outputs[0].name = "exit0".into(), "output \"exit1\" is missing"),
            (&|r| r.outputs[1].name = "exit1".into(), "output \"exit1\" comes twice"),
            (&|r| r.raw_output_contents.truncate(1), "it has elements for 1 of 2 outputs"),
            (&|r| r.raw_output_contents.clear(), "tensor \"exit1\" of 24 bytes came with 0"),
            (
                &|r| r.model_name = "other".into(),
                "it is of model \"other\", \"net.0123456789ab.tail1.f32\" was asked",
            ),
            (
                &|r| {
                    r.outputs[0].shape = vec![1, 3];
                    r.raw_output_contents[0] = Bytes::from_static(&[0; 12]);
                },
                "tensor \"exit1\" holds 1 images, 2 were expected",
            ),
        ];
        for (change, message) in cases {
            assert_eq!(with(change), message);
        }
        assert_eq!(check(&model(), 1, Bytes::new()), Err(ReplyError::Empty));
        assert!(matches!(check(&model(), 1, Bytes::from_static(&[0xff; 9])), Err(ReplyError::Decode { .. })));
    }
}
