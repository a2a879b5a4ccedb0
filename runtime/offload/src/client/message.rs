//! Requests as bytes.
//!
//! All but the elements and the id is the same for every request of a model, so a message is laid out once. Values are read straight
//! to their places in it, behind the tag and length of their field: parts of a message in protobuf may follow each other in any
//! order.

use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut, Bytes};
use offramp_models::TensorSpec;
use offramp_runtime::backend::{RunError, Value};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use super::model::{Model, bytes};
use crate::oip::ModelInferRequest;
use crate::oip::model_infer_request::InferInputTensor;
use crate::tensor::filled;

/// Fields of `ModelInferRequest`.
const ID: u32 = 3;
const RAW_INPUT_CONTENTS: u32 = 7;

/// Why no message could be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum MessageError {
    /// Peers would not take it.
    #[error("a message of {bytes} bytes is larger than the {cap} that are sent")]
    TooLarge { bytes: usize, cap: usize },
    /// Not what the model takes.
    #[error("the model takes {expected}, got {found}")]
    Form { expected: String, found: String },
    /// A value that the host cannot read.
    #[error("what crosses the cut cannot be read")]
    Unreadable {
        #[source]
        source: RunError,
    },
}

/// Makes the messages of one model.
#[derive(Debug, Default)]
pub(super) struct Envelope {
    /// For how many images `message` is laid out.
    images: usize,
    /// The latest message; written anew when nobody holds it any more.
    message: Arc<Vec<u8>>,
    id: Range<usize>,
    /// Where each input's elements are.
    inputs: Vec<Range<usize>>,
}

/// A message that is being sent.
struct Sent(Arc<Vec<u8>>);

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Where elements come from.
pub(super) trait Elements {
    /// Copies all of them, little-endian and row-major.
    fn copy(&self, spec: &TensorSpec, images: usize, into: &mut [u8]) -> Result<(), MessageError>;
}

impl Elements for Value {
    fn copy(&self, spec: &TensorSpec, images: usize, into: &mut [u8]) -> Result<(), MessageError> {
        let (dtype, shape) = (self.dtype(), self.shape());
        let extents = spec.shape.iter().map(|extent| extent.unwrap_or(images));
        if dtype != spec.dtype || !extents.eq(shape.iter().copied()) {
            let found = format!("{dtype} {shape:?}");
            return Err(MessageError::Form { expected: spec.to_string(), found });
        }
        self.read_bytes(0, into).map_err(|source| MessageError::Unreadable { source })
    }
}

impl Elements for Vec<u8> {
    fn copy(&self, spec: &TensorSpec, _: usize, into: &mut [u8]) -> Result<(), MessageError> {
        if self.len() != into.len() {
            let found = format!("{} bytes", self.len());
            return Err(MessageError::Form { expected: spec.to_string(), found });
        }
        into.copy_from_slice(self);
        Ok(())
    }
}

impl Envelope {
    /// The message that asks `model` about `images`. Nothing is read when it would be larger than `cap`.
    ///
    /// # Errors
    /// [`MessageError`]: it is too large, or `values` are not what the model takes.
    pub(super) fn fill(
        &mut self,
        model: &Model,
        images: usize,
        id: &str,
        values: &[impl Elements],
        cap: usize,
    ) -> Result<Bytes, MessageError> {
        if values.len() != model.inputs.len() {
            let (expected, found) = (model.inputs.len(), values.len());
            return Err(MessageError::Form {
                expected: format!("{expected} values"),
                found: found.to_string(),
            });
        }
        if (self.images, self.id.len()) != (images, id.len()) || self.message.len() > cap {
            *self = Self::lay_out(model, images, id.len(), cap)?;
        }
        let message = Arc::make_mut(&mut self.message);
        message[self.id.clone()].copy_from_slice(id.as_bytes());
        for ((spec, value), range) in model.inputs.iter().zip(values).zip(&self.inputs) {
            value.copy(spec, images, &mut message[range.clone()])?;
        }
        Ok(Bytes::from_owner(Sent(Arc::clone(&self.message))))
    }

    /// A message with room for the id and the elements.
    fn lay_out(model: &Model, images: usize, id: usize, cap: usize) -> Result<Self, MessageError> {
        let mut message = head(model, images);
        let elements = model.inputs.iter().map(|spec| bytes(spec, images));
        let size = message.len() + field(id) + elements.clone().map(field).sum::<usize>();
        if size > cap {
            return Err(MessageError::TooLarge { bytes: size, cap });
        }
        message.reserve_exact(size - message.len());
        let id = room(ID, id, &mut message);
        let inputs = elements.map(|elements| room(RAW_INPUT_CONTENTS, elements, &mut message)).collect();
        Ok(Self { images, message: Arc::new(message), id, inputs })
    }
}

/// The part of a message that is the same for all images.
fn head(model: &Model, images: usize) -> Vec<u8> {
    let input = |spec: &TensorSpec| InferInputTensor {
        name: spec.name.clone(),
        datatype: spec.dtype.datatype().to_owned(),
        shape: filled(spec, images),
        ..InferInputTensor::default()
    };
    let inputs = model.inputs.iter().map(input).collect();
    let request =
        ModelInferRequest { model_name: model.name.clone(), inputs, ..ModelInferRequest::default() };
    request.encode_to_vec()
}

/// Appends a field of `length` bytes and says where its content is.
fn room(tag: u32, length: usize, message: &mut Vec<u8>) -> Range<usize> {
    encode_key(tag, WireType::LengthDelimited, message);
    encode_varint(length as u64, message);
    let at = message.len();
    message.put_bytes(0, length);
    at..at + length
}

/// Bytes of a field with `length` bytes of content; its key takes one.
fn field(length: usize) -> usize {
    1 + encoded_len_varint(length as u64) + length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::model::tests::model;
    use crate::mutations::{SplitMix, runs};
    use proptest::prelude::*;

    fn values(images: usize, seed: u8) -> Vec<Vec<u8>> {
        [8, 4].map(|bytes| (0..bytes * images).map(|at| seed.wrapping_add(at as u8)).collect()).to_vec()
    }

    proptest! {
        #[test]
        fn messages_are_what_the_protocols_own_encoder_means(
            asked in prop::collection::vec((1..6_usize, any::<u8>(), "[a-z0-9]{0,20}"), 1..5),
        ) {
            let model = model();
            let mut envelope = Envelope::default();
            // Each is made from what the one before left, some while it is still being sent.
            let mut sending = Vec::new();
            for (images, seed, id) in asked {
                let values = values(images, seed);
                let message = envelope.fill(&model, images, &id, &values, 4096).unwrap();
                let mut expected = ModelInferRequest::decode(&*head(&model, images)).unwrap();
                prop_assert_eq!(&expected.model_name, &model.name);
                prop_assert_eq!(&expected.inputs[0].shape, &vec![images as i64, 2]);
                prop_assert_eq!(expected.inputs[1].datatype.as_str(), "UINT8");
                expected.id = id;
                expected.raw_input_contents = values.into_iter().map(Bytes::from).collect();
                sending.push((message, expected));
                if seed % 2 == 0 {
                    sending.clear();
                }
                for (message, expected) in &sending {
                    prop_assert_eq!(&ModelInferRequest::decode(message.clone()).unwrap(), expected);
                }
            }
        }
    }

    #[test]
    fn values_of_any_other_size_are_never_sent() {
        let (model, mut envelope) = (model(), Envelope::default());
        for run in 0..runs() {
            let mut random = SplitMix(run);
            let (images, cap) = (1 + random.below(4), random.one_of(&[0, 60, 90, 4096]));
            let values: Vec<Vec<u8>> = (0..random.one_of(&[2, 2, 2, 0, 1, 3]))
                .map(|input| {
                    let (right, odd) = ([8, 4, 4][input] * images, random.below(40));
                    vec![run as u8; random.one_of(&[right, right, right, odd])]
                })
                .collect();
            let fits = values.iter().map(Vec::len).eq([8 * images, 4 * images]);
            let Ok(message) = envelope.fill(&model, images, "id", &values, cap) else {
                assert!(!fits || cap < 4096, "{values:?}");
                continue;
            };
            assert!(fits && message.len() <= cap, "{values:?} in {}", message.len());
            let sent = ModelInferRequest::decode(message).unwrap();
            assert_eq!(sent.raw_input_contents, values);
            assert!(sent.inputs.iter().all(|input| input.shape[0] == images as i64));
        }
    }

    #[test]
    fn the_size_is_known_before_anything_is_read() {
        struct Unread;
        impl Elements for Unread {
            fn copy(&self, _: &TensorSpec, _: usize, _: &mut [u8]) -> Result<(), MessageError> {
                panic!("read")
            }
        }
        let model = model();
        let cap = Envelope::default().fill(&model, 2, "7", &values(2, 0), 4096).unwrap().len();
        let error = Envelope::default().fill(&model, 2, "77", &[Unread, Unread], cap).unwrap_err();
        let expected = format!("a message of {} bytes is larger than the {cap} that are sent", cap + 1);
        assert_eq!(error.to_string(), expected);
        assert!(Envelope::default().fill(&model, 2, "7", &values(2, 0), cap).is_ok());
    }

    #[test]
    fn values_of_another_form_are_not_sent() {
        let model = model();
        let fill = |values: &[Vec<u8>]| {
            Envelope::default().fill(&model, 1, "", values, 4096).unwrap_err().to_string()
        };
        assert_eq!(fill(&values(1, 0)[..1]), "the model takes 2 values, got 1");
        assert_eq!(fill(&values(2, 0)), "the model takes \"cut\" float32 [batch, 2], got 16 bytes");
    }

    #[test]
    fn the_memory_of_a_message_that_is_gone_is_used_again() {
        let (model, mut envelope) = (model(), Envelope::default());
        let first = envelope.fill(&model, 64, "1", &values(64, 0), 4096).unwrap();
        let at = first.as_ptr();
        let beside = envelope.fill(&model, 64, "2", &values(64, 0), 4096).unwrap();
        assert_ne!(beside.as_ptr(), at);
        let at = beside.as_ptr();
        drop(beside);
        let third = envelope.fill(&model, 64, "3", &values(64, 0), 4096).unwrap();
        assert_eq!(third.as_ptr(), at);
    }
}
